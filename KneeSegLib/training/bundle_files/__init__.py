"""Bundles written: weights, metadata, README and licences of a network that was trained, or is described anew.

:mod:`KneeSegLib.bundles` finds and reads them.
"""

from __future__ import annotations

from KneeSegLib.training.bundle_files.amending import amend_bundle
from KneeSegLib.training.bundle_files.writing import write_bundle

__all__ = ["amend_bundle", "write_bundle"]
