"""Text of DICOM headers, where anyone may have typed anything: of it only words of closed tables are ever shown.

A series description may repeat the patient's name, in any spelling, a date or a number. Nothing can find out whether it
does, so it is compared and never written, unless the user wants it kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from KneeSegLib.io.settings import LARGEST_SERIES_NUMBER

NOT_SHOWN = "(not shown)"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KERNELS = _words(
    "STANDARD SOFT SMOOTH SHARP DETAIL BONE BONE+ BONEPLUS EDGE LUNG CHEST ULTRA "  # GE
    "A B C D E F L YA YB YC YD EA EB EC UA UB UC IMR1 IMR2 "  # Philips
    "B_SOFT_A B_SOFT_B B_SOFT_C B_SHARP_A B_SHARP_B B_SHARP_C B_VSHARP_A B_VSHARP_B B_VSHARP_C"  # others
)
_NUMBERED_KERNELS = re.compile(r"(?:[BDHIJQTU][cflnrv]?[1-9][0-9][dfhms]?|FC[0-9]{2})(?:\\[1-5])?")
"""Those of Siemens, B30f, Br44d, I70f\\3, and of Toshiba and Canon, FC30."""

_IMAGE_TYPES = _words(
    "ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER OTHER NONE VOLUME MIXED MPR REFORMATTED AVERAGE MIP MINIP "
    "RESAMPLED RECON M P R I M_SE M_FFE M_IR P_FFE R_FFE I_FFE FFE SE IR MAGNITUDE PHASE REAL IMAGINARY "
    "PHASE_MAP ND NORM DIS2D DIS3D MFSPLIT SUB ADD DIXON WATER FAT IN_PHASE OUT_PHASE OPP_PHASE "
    "WATER_FAT T1 T2 T2_STAR PD PROTON_DENSITY T1_MAP T2_MAP FLUID_ATTENUATED DIFFUSION STIR TIR "
    "DENSITY_MAP CT_SOM5 CT_SOM7 SPI SEQ SPIRAL DUAL_ENERGY MONO MONO_ENERGY VMI ENERGY_PROP_WEIGHT HELIX_CT"
)

_MODALITIES = _words(
    "AR BI BMD CR CT DG DMS DX ECG EPS ES FID GM HD IO IVUS KO LS MG MR NM OAM OCT OP OPT OSS OT PLAN PR PT PX REG "
    "RESP RF RG RTDOSE RTIMAGE RTPLAN RTRECORD RTSTRUCT RWV SEG SM SMR SR SRF TG US XA XC M3D DOC POS"
)
"""The defined terms of the standard, those for objects that lie beside images of legs and knees in an archive."""


_UNITS = _words("OD HU US MGML Z_EFF ED EDW HU_MOD PCT")


@dataclass(frozen=True, order=True)
class GuardedText:
    """A text that is compared as it is, and shown only as far as it is technical.

    Attributes:
        shown: what may be shown of it; empty for free text.
    """

    _text: str = field(default="", repr=False)
    shown: str = field(default="", compare=False)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __str__(self) -> str:
        return self.shown or NOT_SHOWN

    def reveal(self) -> str:
        """Return the whole text, which may name the patient: to compare it, or for a user who asked for it."""
        return self._text


def guard_free_text(value: object) -> GuardedText:
    """Return a text of which nothing is shown."""
    return GuardedText(re.sub(r"\s+", " ", str(value or "")).strip())


def guard_kernel(value: object) -> GuardedText:
    """Return the name of a reconstruction kernel, shown where it is a known one."""
    text = "\\".join(map(str, value)) if isinstance(value, Collection) and not isinstance(value, str) else str(value)
    text = text.strip()
    known = text.upper() in _KERNELS or _NUMBERED_KERNELS.fullmatch(text)
    return GuardedText(text, text if known else "")


def guard_image_type(values: Collection[object]) -> GuardedText:
    """Return values of ImageType or FrameType, of which the known ones are shown."""
    texts = [str(value).strip().upper() for value in values]
    return GuardedText("\\".join(texts), "\\".join(text for text in texts if text in _IMAGE_TYPES))


def guard_stack(value: object) -> GuardedText:
    """Return the name of a stack of frames, shown where it is a small number, as scanners give it."""
    text = str(value).strip()
    return GuardedText(text, text if re.fullmatch("[0-9]{1,3}", text) else "")


def name_unit(value: object) -> str:
    """Return the unit of values (RescaleType) as the standard names it, ``"other"``, or nothing where there is none."""
    text = str(value or "").strip().upper()
    return (text if text in _UNITS else "other") if text else ""


def name_modality(value: object) -> str:
    """Return a modality as the standard names it, or ``"other"``."""
    text = str(value or "").strip()
    return (text if text in _MODALITIES else "other") if text else "unnamed"


def is_series_number(text: str) -> bool:
    """Return whether a user's choice of a series is a number, and not a UID or a part of a description."""
    return text.isascii() and text.isdigit() and int(text) <= LARGEST_SERIES_NUMBER
