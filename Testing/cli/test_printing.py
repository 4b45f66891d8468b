"""What comes from outside is shown and never obeyed by a terminal."""

from __future__ import annotations

import json

import pytest

from KneeSegLib.cli.console import open_console
from KneeSegLib.errors import InputError
from KneeSegLib.failures import as_known_error
from KneeSegLib.plain_text import make_one_line, make_printable

HOSTILE = "knee\x1b[2J\x1b]0;gone\x07\x9b31m\u202egpj\r\x08.nrrd"
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e", "\r", "\x08")


def obeyed_in(text: str) -> list[str]:
    return [character for character in OBEYED if character in text]


@pytest.mark.parametrize("mode", ["bar", "none", "json"])
def test_a_file_name_is_shown_without_what_a_terminal_obeys(kneeseg, tmp_path, mode):
    name = HOSTILE.replace("/", "")
    (tmp_path / name).write_bytes(b"no image")
    outcome = kneeseg("segment", tmp_path / name, "-o", tmp_path / "out", "--progress", mode)
    assert outcome.status == 2 and not obeyed_in(outcome.out + outcome.err)
    told = json.loads(outcome.out.splitlines()[-1])["message"] if mode == "json" else outcome.err
    assert "knee\N{REPLACEMENT CHARACTER}[2J" in told and not obeyed_in(told)


def test_a_header_is_quoted_without_what_a_terminal_obeys(kneeseg, tmp_path):
    header = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: \x1b[2Jother.raw\n\n"
    (tmp_path / "knee.nhdr").write_bytes(header)
    assert not obeyed_in(kneeseg("segment", tmp_path / "knee.nhdr", "-o", tmp_path / "out").err)


def test_tables_and_styled_text_are_made_printable(capfd):
    from rich.table import Table
    from rich.text import Text

    table = Table("Structure")
    table.add_row(HOSTILE)
    console = open_console()
    console.print(table)
    console.print(Text(HOSTILE, style="red"))
    shown = capfd.readouterr().out
    assert not obeyed_in(shown) and shown.count("gpj") == 2


def test_an_error_is_one_printable_line():
    assert str(InputError(f"The file\nError: {HOSTILE}")) == make_one_line(f"The file Error: {HOSTILE}")
    assert str(InputError(f"The field {'x' * 5000} is unknown.")) == f"The field {'x' * 60}... is unknown."
    assert make_printable("Größe 山田\tfemur\n") == "Größe 山田\tfemur\n"


def test_a_file_that_goes_away_is_no_surprise():
    error = FileNotFoundError(2, "No such file or directory", "/scan/Zyxwell^Quentin.dcm")
    known = as_known_error(error)
    assert isinstance(known, InputError)
    assert "not there any more" in str(known) and "Zyxwell" not in str(known)
