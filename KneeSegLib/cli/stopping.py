"""How a run is stopped from outside: Ctrl-C, a termination signal, or a parent that closes our standard input."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from KneeSegLib.errors import Cancelled

SAME_PRESS_SECONDS = 2.0
"""An impatient second Ctrl-C must not break off the tidying up that the first one began."""


class Stop:
    """Remembers that a stop was asked for and interrupts the main thread."""

    def __init__(self) -> None:
        self._requested = False
        self._interrupted_at = float("-inf")
        self._listening = False
        self._postponing = False
        self._postponed = False

    @property
    def is_requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._requested

    def check(self) -> None:
        """Raise :class:`Cancelled` if a stop was asked for, in case some code in between swallowed the interrupt."""
        if self._requested:
            raise Cancelled

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn the signals that end a program into ``KeyboardInterrupt`` inside the block (main thread only)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # no SIGHUP on Windows, SIGBREAK only there
        signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
        # A signal that is ignored stays ignored: that is what nohup asks for.
        before = {number: signal.getsignal(number) for number in signals if signal.getsignal(number) != signal.SIG_IGN}
        for number in before:
            signal.signal(number, self._interrupt)
        self._listening = True
        tell_unraisable = sys.unraisablehook

        def tell_others(unraisable: sys.UnraisableHookArgs) -> None:
            # An interrupt in a place that cannot pass it on is remembered, and need not be printed.
            if not isinstance(unraisable.exc_value, KeyboardInterrupt):
                tell_unraisable(unraisable)

        sys.unraisablehook = tell_others
        try:
            yield
        finally:
            self._listening = False
            sys.unraisablehook = tell_unraisable
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """Let the block end before a signal interrupts it; for what must be whole and is short.

        Only the first signal waits: a second one, later, gets through to a block that hangs.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._postponing = True
        try:
            yield
        finally:
            self._postponing = False
            interrupted, self._postponed = self._postponed, False
        if interrupted:
            raise KeyboardInterrupt

    def watch_standard_input(self) -> None:
        """Ask for a stop as soon as standard input is closed at its other end."""
        threading.Thread(target=self._wait_for_end_of_input, args=(sys.stdin.fileno(),), daemon=True).start()

    def _wait_for_end_of_input(self, descriptor: int) -> None:
        # Not through sys.stdin: a thread that waits inside its buffer would hold a lock when Python ends.
        while True:
            try:
                if not os.read(descriptor, 4096):
                    break
            except OSError:
                break
        self._requested = True
        if not self._listening:
            return
        main_thread = threading.main_thread().ident
        if hasattr(signal, "pthread_kill") and main_thread is not None:
            signal.pthread_kill(main_thread, signal.SIGINT)  # wakes it even from a system call
        else:
            _thread.interrupt_main()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._interrupted_at < SAME_PRESS_SECONDS:
            return
        self._requested, self._interrupted_at = True, now
        if self._postponing and not self._postponed:
            self._postponed = True
            return
        self._postponed = False
        raise KeyboardInterrupt
