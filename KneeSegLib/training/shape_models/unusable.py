"""Cases that cannot be part of a model."""

from __future__ import annotations

from KneeSegLib.errors import KneeSegError


class UnusableCase(KneeSegError):
    """A case that cannot be part of a model, and the reason as the report tells it: ``f"{case} {reason}"``."""

    def __init__(self, case: str, reason: str) -> None:
        super().__init__(f"{case} {reason}.")
        self.case = case
        self.reason = reason
