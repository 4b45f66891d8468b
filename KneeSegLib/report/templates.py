"""Templates of pages: each becomes one HTML file with everything in it, no script, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def load_template(name: str, *folders: Path, **filters: Callable[..., Any]) -> jinja2.Template:
    """Return a template of this room, or of one of ``folders``; what is put into it is escaped.

    Args:
        filters: beside those that every template has.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    environment.filters["date"] = _format_date
    environment.filters["data_uri"] = _format_data_uri
    environment.filters["css_color"] = _format_css_color
    environment.filters["cm3"] = _format_cm3
    environment.filters["mm"] = lambda length: f"{length:.2f}"
    environment.filters["duration"] = _format_duration
    environment.filters.update(filters)
    return environment.get_template(name)


def _format_date(text: str | None) -> str:
    if not text:
        return "date not recorded"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return f"{moment.day} {moment:%B %Y, %H:%M}"
    moment = moment.astimezone(timezone.utc)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _format_data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _format_css_color(color: tuple[int, int, int]) -> str:
    return "rgb({}, {}, {})".format(*color)


def _format_cm3(volume_mm3: float) -> str:
    volume = volume_mm3 / 1000
    return f"{volume:.1f}" if volume >= 10 else f"{volume:.2f}"


def _format_duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
