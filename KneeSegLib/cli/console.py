"""The one place through which commands print: what comes from files is made printable here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from KneeSegLib.plain_text import make_printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment


def open_console(stderr: bool = False) -> Console:
    """Return a console that shows what a terminal would obey as a sign, in sentences, tables and bars alike."""
    from rich.console import Console
    from rich.segment import Segment

    class PrintableConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(make_printable(segment.text), segment.style)

    return PrintableConsole(stderr=stderr, highlight=False)
