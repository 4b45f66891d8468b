"""Plain label maps, NIfTI or NRRD, on the grid of the scan, with a table of what their values are."""

from __future__ import annotations

from pathlib import Path

from KneeSegLib.exporting.saved_case import SavedScan
from KneeSegLib.io.image_files import write_image
from KneeSegLib.io.tables import write_table

TABLE_NAME = "labels.csv"
TABLE_COLUMNS = ("value", "key", "name", "side", "code", "code_scheme", "code_meaning", "red", "green", "blue")


def write_label_image(scan: SavedScan, folder: Path, ending: str) -> list[Path]:
    """Write the label map of a scan and the table of its values; return both.

    Args:
        ending: ``.nii.gz`` or ``.nrrd``.

    Raises:
        OutputError: they cannot be written.
    """
    path, table = folder / f"segmentation{ending}", folder / TABLE_NAME
    write_image(scan.labels, path)
    rows = [
        (
            found.structure.label_value,
            found.structure.key,
            found.structure.name,
            found.structure.side,
            found.structure.code.value,
            found.structure.code.scheme,
            found.structure.code.meaning,
            *found.structure.color,
        )
        for found in scan.found
    ]
    write_table(table, TABLE_COLUMNS, rows)
    return [path, table]
