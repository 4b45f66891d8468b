"""When a signal interrupts, and what it must not break off."""

from __future__ import annotations

import json
import os
import signal

import pytest

from KneeSegLib.cli import stopping
from KneeSegLib.cli.stopping import Stop
from KneeSegLib.cli.stream import JsonStream
from KneeSegLib.errors import Cancelled


def test_signal_interrupts_and_is_remembered():
    stop = Stop()
    with stop.listening(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(Cancelled):
        stop.check()


def test_interrupt_where_nothing_can_be_raised_is_remembered_and_not_printed(capsys):
    class Closing:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    stop = Stop()
    with stop.listening(), pytest.raises(Cancelled):
        Closing()
        stop.check()
    assert capsys.readouterr().err == ""


def test_postponed_block_ends_before_the_interrupt():
    stop, ended = Stop(), []
    with stop.listening(), pytest.raises(KeyboardInterrupt), stop.postponed():
        signal.raise_signal(signal.SIGINT)
        ended.append(True)
    assert ended
    with stop.postponed():
        pass  # the interrupt came once


def test_second_signal_gets_through_to_a_block_that_hangs(monkeypatch):
    monkeypatch.setattr(stopping, "SAME_PRESS_SECONDS", 0.0)
    stop = Stop()
    with stop.listening(), pytest.raises(KeyboardInterrupt), stop.postponed():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("still hanging")


def test_event_is_whole_when_a_signal_comes_while_it_is_written(monkeypatch, capfd):
    class Interrupted:
        """A file that is written to just when somebody presses Ctrl-C, after the text and before the newline."""

        def __init__(self, file):
            self.file = file

        def write(self, text):
            if text == "\n":
                signal.raise_signal(signal.SIGINT)
            self.file.write(text)

        def __getattr__(self, name):
            return getattr(self.file, name)

    open_file = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *arguments, **options: Interrupted(open_file(*arguments, **options)))
    stop = Stop()
    stream = JsonStream(stop)
    with stop.listening():
        with pytest.raises(KeyboardInterrupt):
            stream.progress(0.5, "Slices")
        stream.error("Cancelled; nothing was written.", 130)
    stream.close()
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["progress", "error"]
