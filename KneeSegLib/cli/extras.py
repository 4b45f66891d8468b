"""The commands of the extra ``training``: where it is not installed, each of them says how to get it.

The house knows nothing of the training world but this table. Slicer's packages leave ``KneeSegLib.training`` out; an
installation without the extra has its modules and lacks packages that they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import typer

from KneeSegLib.cli.options import Progress
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.errors import ResourceError

EXTRA = "training"
EXTRA_PACKAGES = ("yaml",)
"""What modules of the extra import beside what the base needs; TensorBoard is used only where it is there."""


@dataclass(frozen=True)
class ExtraCommand:
    """A command of the extra: a function, or an application of several commands, that a module holds.

    Attributes:
        group: the command of the base that it is a part of; empty for none.
    """

    name: str
    module: str
    attribute: str
    group: str = ""


EXTRA_COMMANDS = (
    ExtraCommand("demo", "KneeSegLib.training.commands.demo", "demo"),
    ExtraCommand("synthesize", "KneeSegLib.training.commands.synthesize", "synthesize"),
    ExtraCommand("train", "KneeSegLib.training.commands.train", "train"),
    ExtraCommand("compare", "KneeSegLib.training.commands.compare", "compare"),
    ExtraCommand("bundle", "KneeSegLib.training.commands.export", "bundle", "export"),
    ExtraCommand("nnunet", "KneeSegLib.training.commands.export", "nnunet", "export"),
    ExtraCommand("shape-model", "KneeSegLib.training.commands.shape_model", "app"),
)


def add_extra_commands(base: typer.Typer, groups: Mapping[str, typer.Typer]) -> None:
    """Add the commands of the extra to ``base``; where it is not installed, hidden ones that say how to get it.

    Args:
        groups: commands of the base that have commands of the extra, by name.
    """
    reason = reason_against_extra()
    for command in EXTRA_COMMANDS:
        app = groups[command.group] if command.group else base
        if reason is None:
            found = getattr(import_module(command.module), command.attribute)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=command.name)
            else:
                app.command(command.name)(found)
        else:
            anything = {"allow_extra_args": True, "ignore_unknown_options": True}
            hidden = app.command(command.name, hidden=True, add_help_option=False, context_settings=anything)
            hidden(_refusal(f"{command.group} {command.name}".strip(), reason))


def reason_against_extra() -> str | None:
    """Return in a clause why the commands of the extra cannot run; None if they can."""
    if find_spec("KneeSegLib.training") is None:
        return "which this installation, such as the one in Slicer, does not contain"
    missing = [package for package in EXTRA_PACKAGES if find_spec(package) is None]
    return f"of which the package {missing[0]} is missing" if missing else None


def _refusal(name: str, reason: str) -> Callable[..., None]:
    def refuse(progress: Progress = ProgressMode.bar) -> None:
        raise ResourceError(
            f"The command {name} belongs to the extra {EXTRA}, {reason}; install it in a Python of your own with: "
            f'python -m pip install "kneeseglib[{EXTRA}]"'
        )

    return refuse
