"""The prepared subjects that a benchmark measures on."""

from __future__ import annotations

from pathlib import Path


def list_prepared_subjects(folder: Path, joint: str, group: str) -> list[Path]:
    """Return the files of a joint's subjects in a group, sorted; ends the run with a sentence where there is none."""
    subjects = sorted(folder.glob(f"{joint}_{group}_*.npz"))
    if not subjects:
        raise SystemExit(
            f"{folder} holds no prepared {group} subjects for {joint}; "
            f"prepare them with `kneeseg synthesize DATA_PACK -o {folder} --prepare --joint {joint}`."
        )
    return subjects
