"""The sample that comes with the extension, offered in the Sample Data module."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from KneeSegLib.errors import ModelError
from KneeSegLib.io.resources import samples_folder

NAME = "Knee CT (synthetic)"
FILE_NAME = "knee_ct.nrrd"
PICTURE = Path(__file__).resolve().parents[1] / "Resources" / "Icons" / "KneeCT.png"


def registerSampleData() -> None:
    """Offer the sample in the Sample Data module; it is read from this computer, not from a network."""
    import SampleData

    try:
        path = samples_folder() / FILE_NAME
    except ModelError as error:  # segmenting needs no sample
        logging.error("KneeSeg: %s", error)
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="KneeSeg",
        sampleName=NAME,
        thumbnailFileName=str(PICTURE),
        uris=path.as_uri(),
        fileNames=f"KneeSeg_{FILE_NAME}",
        nodeNames=NAME,
        # A copy of an earlier version in Slicer's cache would be taken otherwise.
        checksums=f"SHA256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
    )
