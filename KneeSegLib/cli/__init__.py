"""The command line: one file for each command, each a thin layer over functions of the library.

Nothing heavy is imported before a command needs it: ``kneeseg --help`` loads no torch, no SimpleITK and no VTK.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; every failure has been told in one sentence."""
    # Commands import modules of this package, which must not import the commands in turn.
    from KneeSegLib.cli.application import run

    return run(arguments)
