"""The prepared people that a benchmark measures on."""

from __future__ import annotations

from pathlib import Path


def list_prepared_subjects(folder: Path, joint: str, group: str) -> list[Path]:
    """Return the files of a joint's people in a group, sorted; ends the run with a sentence where there is none."""
    people = sorted(folder.glob(f"{joint}_{group}_*.npz"))
    if not people:
        raise SystemExit(
            f"{folder} holds no prepared {group} people for {joint}; "
            f"prepare them with `kneeseg synthesize DATA_PACK -o {folder} --prepare --joint {joint}`."
        )
    return people
