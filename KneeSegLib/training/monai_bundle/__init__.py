"""Networks for others: standard MONAI bundles that run without KneeSeg. One way only: KneeSeg reads none of them.

>>> from KneeSegLib.bundles import find_bundle
>>> from KneeSegLib.training.monai_bundle import export_monai_bundle
>>> export_monai_bundle(find_bundle("ct-knee"), "ct-knee")            # doctest: +SKIP
"""

from __future__ import annotations

from KneeSegLib.training.monai_bundle.monai_bundle import export_monai_bundle

__all__ = ["export_monai_bundle"]
