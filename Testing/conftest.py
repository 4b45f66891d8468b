"""Things that tests in several rooms need."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from KneeSegLib.training.synthesis.anatomy_file import BAND_MM, CLASSES, COARSE, CORTEX_UNIT_MM, SDF_UNIT_MM, Anatomy


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard() -> None:
    """A shell that runs tests in the background makes them, and all they start, ignore Ctrl-C: undo that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real anatomy and images; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("KNEESEG_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real anatomy and images are not here (set KNEESEG_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def geometric_knee() -> Anatomy:
    """A right knee of cylinders and an ellipsoid whose surfaces are known exactly; 1 mm voxels, 128 x 96 x 96."""
    size = (128, 96, 96)
    z, y, x = np.meshgrid(*(np.arange(n) - n / 2 for n in size), indexing="ij")

    def cylinder(cx: float, cy: float, radius: float, bottom: float, top: float) -> np.ndarray:
        return np.maximum(np.hypot(x - cx, y - cy) - radius, np.maximum(bottom - z, z - top))

    bones = {
        "femur_right": cylinder(0, 0, 24, 3, 400),
        "tibia_right": cylinder(0, 2, 22, -400, -2),
        "fibula_right": cylinder(-34, 14, 6, -400, -14),
        "patella_right": (np.sqrt((x / 14) ** 2 + ((y + 36) / 7) ** 2 + ((z - 8) / 16) ** 2) - 1) * 7,
    }
    distances = np.stack(list(bones.values()))
    distance = distances.min(0)
    classes = np.array([CLASSES.index(name) for name in bones], np.uint8)[distances.argmin(0)]
    quarter = tuple(slice(1, None, COARSE) for _ in size)
    return Anatomy(
        nearest=np.where(np.abs(distance) < BAND_MM, classes, 0).astype(np.uint8) * (distance < BAND_MM)
        + classes * (distance <= -BAND_MM),
        sdf=np.clip(np.round(distance / SDF_UNIT_MM), -127, 127).astype(np.int8),
        cortex=np.full(tuple(n // COARSE for n in size), round(2.0 / CORTEX_UNIT_MM), np.uint8),
        far=np.clip(distance, 0, 255)[quarter].astype(np.uint8),
        spacing_mm=(1.0, 1.0, 1.0),
        origin_mm=(0.0, 0.0, 0.0),
        joint="knee",
        group="train",
        name="geometric",
        sources=("geometry",),
    )
