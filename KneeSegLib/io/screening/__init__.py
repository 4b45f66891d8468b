"""Image files are screened here by our own code before a library of C++ reads them.

Libraries trust headers: they take memory for whatever size is claimed, open whatever file is named, put 1 mm where a
spacing is no number, and hand out voxels of a stream whose checksum is wrong.

    header = screen_image_file(path)                # before: nothing but the header was read
    image = reader.Execute()
    require_as_screened(header, image)              # after: geometry and checksum
"""

from __future__ import annotations

from KneeSegLib.io.screening.image_file import list_image_files, screen_image_file
from KneeSegLib.io.screening.image_header import ImageHeader
from KneeSegLib.io.screening.regular_files import require_regular_file
from KneeSegLib.io.screening.result import require_as_screened, require_sound_geometry

__all__ = [
    "ImageHeader",
    "list_image_files",
    "require_as_screened",
    "require_regular_file",
    "require_sound_geometry",
    "screen_image_file",
]
