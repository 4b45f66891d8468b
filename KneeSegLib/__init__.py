"""KneeSeg: from a CT of the leg to labelled bones, surfaces and a report.

    >>> import KneeSegLib as ks
    >>> case = ks.segment("scans/leg_ct/", pipeline="ct-leg")
    >>> case.save("out/")

Importing this package loads neither torch nor VTK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from KneeSegLib.segmentation import segment

__version__ = "0.1.0"
__all__ = ["segment", "__version__", "TRAINING_STATEMENT"]

TRAINING_STATEMENT = "Networks trained on synthetic images of real anatomy only; not a medical device."
"""Stands wherever a result is shown, until networks trained on real images ship."""


def __getattr__(name: str) -> Any:
    if name == "segment":
        from KneeSegLib.segmentation import segment

        return segment
    raise AttributeError(f"module 'KneeSegLib' has no attribute {name!r}")
