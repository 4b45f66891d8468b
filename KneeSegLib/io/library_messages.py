"""What libraries of C++ print beside their errors goes to the log: it names files, and means nothing to a user."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

_log = logging.getLogger(__name__)


class _ToLog(sitk.LoggerBase):
    """Takes all that ITK would print, of whatever kind."""

    def DisplayText(self, t: str) -> None:  # noqa: N802
        _log.info("ITK: %s", t.strip())

    def DisplayErrorText(self, t: str) -> None:  # noqa: N802
        self.DisplayText(t)

    def DisplayWarningText(self, t: str) -> None:  # noqa: N802
        self.DisplayText(t)

    def DisplayGenericOutputText(self, t: str) -> None:  # noqa: N802
        self.DisplayText(t)


@contextmanager
def log_itk_messages() -> Iterator[None]:
    """Send to the log what ITK has to say meanwhile."""
    logger = _ToLog()
    before = logger.SetAsGlobalITKLogger()
    try:
        yield
    finally:
        before.SetAsGlobalITKLogger()
