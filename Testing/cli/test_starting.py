"""The command line starts at once: what is not needed is not loaded."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from KneeSegLib.cli.application import app
from KneeSegLib.errors import InputError

HEAVY = ("torch", "monai", "SimpleITK", "vtkmodules", "scipy", "numpy", "pydicom", "jinja2")
LIST_WHAT_IS_LOADED = """
import json, sys
from KneeSegLib.cli import main
status = main(sys.argv[2:])
loaded = [name for name in sys.argv[1].split(",") if name in sys.modules]
print("\\n" + json.dumps({"status": status, "loaded": loaded}))
"""


@pytest.mark.parametrize(
    "arguments, unneeded, status",
    [
        (["--help"], HEAVY, 0),
        (["--version"], HEAVY, 0),
        (["segment", "--help"], HEAVY, 0),
        (["segment", "nowhere", "-o", "out"], HEAVY, 2),
        (["segment", "nowhere"], HEAVY, 2),
        (["segment", "here", "--pipeline", "ct-elbow"], HEAVY, 2),
        (["pipelines"], ("torch", "monai", "SimpleITK", "vtkmodules"), 0),
        (["evaluate", "nowhere", "nowhere"], ("torch", "monai"), 2),
        (["compare", "nowhere", "-o", "out", "--system", "ct-knee"], ("torch", "monai", "vtkmodules"), 2),
    ],
)
def test_heavy_packages_stay_unloaded(start, arguments, unneeded, status):
    process = start("-c", LIST_WHAT_IS_LOADED, ",".join(unneeded), *arguments)
    out, err = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1]) == {"status": status, "loaded": []}, err


def test_no_arguments_show_the_commands(kneeseg):
    outcome = kneeseg()
    assert outcome.status == 0
    commands = [
        "segment",
        "demo",
        "evaluate",
        "compare",
        "surfaces",
        "synthesize",
        "train",
        "pipelines",
        "doctor",
        "shape-model",
    ]
    for command in commands:
        assert f"\n  {command} " in outcome.out


def test_each_command_is_told_in_one_unbroken_line(kneeseg):
    commands = kneeseg("--help").out.split("Commands:")[1].strip().splitlines()
    assert [line for line in commands if not line.endswith(".") or line.endswith("...")] == []


def test_application_also_runs_without_our_main(tmp_path):
    runner = CliRunner()
    assert "segment" in runner.invoke(app, ["--help"]).output
    outcome = runner.invoke(app, ["segment", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out")])
    assert isinstance(outcome.exception, InputError)


def test_reader_that_goes_away_is_no_error_of_ours(start):
    process = start("-m", "KneeSegLib", "pipelines", bufsize=0)
    process.stdout.close()
    process.wait(timeout=60)
    assert "Traceback" not in process.stderr.read()


def test_terminal_with_a_small_character_set_is_served(start):
    process = start("-c", "import sys; sys.stdout.reconfigure(encoding='ascii'); "
                    "from KneeSegLib.cli import main; sys.exit(main(['pipelines']))")  # fmt: skip
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "ct-knee" in out
