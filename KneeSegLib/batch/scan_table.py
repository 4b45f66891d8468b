"""A table of scans: a CSV file with a row for each."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from KneeSegLib.batch.scans import BatchScan
from KneeSegLib.errors import InputError
from KneeSegLib.io.documents import UnreadableDocument, read_document

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
        InputError: it is no table, has no such column or one twice, no row, a row without an input, or a name twice.
    """
    scans: list[BatchScan] = []
    lines: dict[str, int] = {}
    for line, fields in _read_rows(path):
        scans.append(_parse_row(fields, path, line))
        name = fields.get(NAME_COLUMN, "")
        if name and name.casefold() in lines:
            raise InputError(
                f"{path} gives the name {name} in the lines {lines[name.casefold()]} and {line}; give each "
                "scan a name of its own."
            )
        lines[name.casefold()] = line
    if not scans:
        raise InputError(f"{path} lists no scan; add a row for each.")
    return scans


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield of each row that is not empty its line and its fields by the columns that are known."""
    try:
        text = read_document(path)
        separator = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        columns = [name.strip().lower() for name in next(reader, [])]
        _require_columns(columns, path)
        for row in reader:
            values = [*row, *[""] * len(columns)]  # a row may end early
            fields = {column: value.strip() for column, value in zip(columns, values) if column in COLUMNS}
            if any(fields.values()):
                yield reader.line_num, fields
    except UnreadableDocument as error:
        raise InputError(f"{path} {error}; save the table as CSV in UTF-8.") from error
    except csv.Error as error:
        raise InputError(f"{path} is no CSV ({error}); save the table once more.") from error


def _require_columns(columns: Sequence[str], path: Path) -> None:
    if INPUT_COLUMN not in columns:
        found = ", ".join(filter(None, columns)) or "none"
        raise InputError(
            f"{path} has no column {INPUT_COLUMN} (found: {found}), which names the file or folder of each scan; add "
            "it."
        )
    for column in COLUMNS:
        if columns.count(column) > 1:
            raise InputError(f"{path} has {columns.count(column)} columns called {column}; keep one of them.")


def _parse_row(fields: dict[str, str], path: Path, line: int) -> BatchScan:
    if not fields[INPUT_COLUMN]:
        raise InputError(f"Line {line} of {path} names no {INPUT_COLUMN}; name the file or folder of the scan.")
    source = Path(os.path.abspath(path.parent / Path(fields[INPUT_COLUMN]).expanduser()))
    options = {column: fields[column] for column in OPTION_COLUMNS if fields.get(column)}
    name = fields.get(NAME_COLUMN) or source.name
    return BatchScan(str(source), fields.get(SERIES_COLUMN) or None, name, options)
