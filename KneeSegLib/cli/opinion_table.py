"""The second opinion as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from KneeSegLib.second_opinion import SecondOpinion


def show_second_opinion(console: Console, opinion: SecondOpinion) -> None:
    """Print how far another pipeline agrees."""
    from rich import box
    from rich.table import Table

    from KneeSegLib.second_opinion import describe_presence

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"Second opinion: {opinion.pipeline}", title_justify="left"
    )
    table.add_column("Structure", no_wrap=True)
    table.add_column("Dice", justify="right")
    table.add_column("Largest distance")
    table.add_column("Agreement")
    for entry in opinion.agreements:
        dice = "" if entry.dice is None else f"{entry.dice:.3f}"
        largest = "" if entry.largest_mm is None else f"{entry.largest_mm:.1f} mm {entry.largest_at}".strip()
        table.add_row(entry.name, dice, largest, describe_presence(entry))
    console.print(table)
