"""The commands of the extra ``training``: there where it is, and where it is not, each says how to get it."""

from __future__ import annotations

import json

import pytest

from KneeSegLib.cli.extras import EXTRA_COMMANDS
from KneeSegLib.errors import ResourceError

NAMES = [f"{command.group} {command.name}".strip() for command in EXTRA_COMMANDS]
WITHOUT = """
import importlib.util, sys
from importlib.util import find_spec
importlib.util.find_spec = lambda name, *rest: None if name == sys.argv[1] else find_spec(name, *rest)
from KneeSegLib.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def without(start):
    """Call the command line in a process where a package cannot be found."""

    def call(package: str, *arguments: str) -> tuple[int, str, str]:
        process = start("-c", WITHOUT, package, *arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return call


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("package", "reason"),
    [("yaml", "of which the package yaml is missing"), ("KneeSegLib.training", "does not contain")],
)
def test_a_command_of_a_missing_extra_says_in_one_sentence_how_to_get_it(without, name, package, reason):
    status, out, err = without(package, *name.split(), "build", "some.nrrd", "--bone", "femur", "-o", "out")
    assert (status, out, len(err.splitlines())) == (ResourceError.exit_status, "", 1)
    assert f"The command {name} belongs to the extra training, " in err and reason in err
    assert 'pip install "kneeseglib[training]"' in err


@pytest.mark.parametrize("package", ["yaml", "KneeSegLib.training"])
def test_help_lists_the_commands_of_the_extra_only_where_it_is(kneeseg, without, package):
    there = kneeseg("--help").out
    assert [name for name in NAMES if f"\n  {name} " not in there and " " not in name] == []
    status, out, err = without(package, "--help")
    assert (status, [name for name in NAMES if f"\n  {name} " in out]) == (0, []), err
    assert "\n  segment " in out


def test_a_calling_program_is_told_as_json(without):
    status, out, _ = without("yaml", "train", "ct-knee", "--progress", "json")
    (event,) = (json.loads(line) for line in out.splitlines())
    assert (event["event"], event["exit_status"]) == ("error", status)


def test_help_of_a_missing_command_is_the_way_to_get_it(without):
    status, _, err = without("yaml", "train", "--help")
    assert status == ResourceError.exit_status and "kneeseglib[training]" in err


FORGET = "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('KneeSegLib')]"


def test_a_module_of_a_command_can_be_the_first_that_is_imported(start):
    imports = "; ".join(f"{FORGET}; import {command.module}" for command in EXTRA_COMMANDS)
    process = start("-c", f"import sys; {imports}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
