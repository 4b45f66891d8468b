"""Numbers about what was segmented, beyond volumes."""

from __future__ import annotations

from KneeSegLib.measurements.cartilage import CartilageMeasurement, RegionThickness, measure_cartilage, thickness_mm
from KneeSegLib.measurements.regions import cartilage_regions

__all__ = ["CartilageMeasurement", "RegionThickness", "cartilage_regions", "measure_cartilage", "thickness_mm"]
