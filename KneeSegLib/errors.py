"""The errors a user may see: each carries one sentence that says what was found, what was expected and what to do."""

from __future__ import annotations

from KneeSegLib.plain_text import make_one_line


class KneeSegError(Exception):
    """Base of every error that KneeSegLib raises on purpose; ``str(error)`` is fit to show to a user.

    What a terminal would obey in the name or the content of a file is not in it.
    """

    exit_status = 1

    def __str__(self) -> str:
        return make_one_line(super().__str__())


class InputError(KneeSegError):
    """The image, folder or option given cannot be used."""

    exit_status = 2


class AnatomyNotFoundError(KneeSegError):
    """The image is sound but holds nothing that the pipeline looks for."""

    exit_status = 3


class ModelError(KneeSegError):
    """Weights are missing, damaged or do not fit this version."""

    exit_status = 4


class OutputError(KneeSegError):
    """The result could not be written; nothing was left half-written."""

    exit_status = 5


class ResourceError(KneeSegError):
    """The machine lacks what the run needs (memory, device, package)."""

    exit_status = 6


class PartialFailure(KneeSegError):
    """Some scans of a batch could not be segmented; the others were."""

    exit_status = 7


class Cancelled(KneeSegError):
    """The user stopped the run; nothing was written."""

    exit_status = 130

    def __init__(self, message: str = "Cancelled; nothing was written.") -> None:
        super().__init__(message)
