"""A table of scans: a CSV file with a row for each."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from KneeSegLib.batch.scans import BatchScan
from KneeSegLib.errors import InputError

INPUT_COLUMN = "input"
NAME_COLUMN = "name"
SERIES_COLUMN = "series"
OPTION_COLUMNS = ("pipeline", "side", "modality")
COLUMNS = (INPUT_COLUMN, NAME_COLUMN, SERIES_COLUMN, *OPTION_COLUMNS)


def read_scan_table(path: Path) -> list[BatchScan]:
    """Return the scans that a table lists.

    The column ``input`` names a file or a folder, from the table's own folder on; each is one scan. Columns ``name``
    (of the case), ``series`` (of a DICOM folder), ``pipeline``, ``side`` and ``modality`` may stand beside it, where an
    empty field leaves the choice to the batch. Other columns are left alone. Commas, semicolons or tabs separate.

    Raises:
        InputError: no such column, no row, a row without an input, or a name that stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8; save the table as CSV in UTF-8.") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=separator)
    columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if INPUT_COLUMN not in columns:
        found = ", ".join(filter(None, columns)) or "none"
        raise InputError(
            f"{path} has no column {INPUT_COLUMN} (found: {found}), which names the file or folder of each scan; add "
            "it."
        )
    scans: list[BatchScan] = []
    lines: dict[str, int] = {}
    for row in reader:
        fields = {column: (value or "").strip() for column, value in zip(columns, row.values()) if column in COLUMNS}
        if not any(fields.values()):
            continue
        scans.append(_parse_row(fields, path, reader.line_num))
        name = fields.get(NAME_COLUMN, "")
        if name and name.casefold() in lines:
            raise InputError(
                f"{path} gives the name {name} in the lines {lines[name.casefold()]} and {reader.line_num}; give each "
                "scan a name of its own."
            )
        lines[name.casefold()] = reader.line_num
    if not scans:
        raise InputError(f"{path} lists no scan; add a row for each.")
    return scans


def _parse_row(fields: dict[str, str], path: Path, line: int) -> BatchScan:
    if not fields[INPUT_COLUMN]:
        raise InputError(f"Line {line} of {path} names no {INPUT_COLUMN}; name the file or folder of the scan.")
    source = Path(os.path.abspath(path.parent / Path(fields[INPUT_COLUMN]).expanduser()))
    options = {column: fields[column] for column in OPTION_COLUMNS if fields.get(column)}
    name = fields.get(NAME_COLUMN) or source.name
    return BatchScan(str(source), fields.get(SERIES_COLUMN) or None, name, options)
