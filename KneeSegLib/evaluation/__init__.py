"""How well a segmentation agrees with a reference.

    >>> from KneeSegLib.evaluation import evaluate
    >>> evaluate(reference, prediction)["femur_right"].metrics["dice"]

Importing this package is cheap; SimpleITK, SciPy and VTK load when something is evaluated.
"""

from __future__ import annotations

from typing import Any

__all__ = ["evaluate"]


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        from KneeSegLib.evaluation.comparison import evaluate

        return evaluate
    raise AttributeError(f"module 'KneeSegLib.evaluation' has no attribute {name!r}")
