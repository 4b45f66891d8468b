"""Numbers of DICOM headers that are written otherwise than the standard has them."""

from __future__ import annotations

import re

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_ONE = r"[-+]?[0-9]{1,4}[.,x]?[0-9]{0,4}"
_NEARLY_NUMBERS = re.compile(rf"{_ONE}(?:\\{_ONE}){{0,5}}")


def repair_decimal_commas(dataset: Dataset) -> bool:
    """Replace decimal commas by points, here and in sequences, and return whether there were any.

    Software under a German, French or Polish locale writes them; the standard has no other use for a comma in a number.
    """
    repaired = False
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        vr = element.VR or _usual_vr(tag)
        if vr == "SQ":
            repaired |= any([repair_decimal_commas(item) for item in dataset[tag].value or []])
        elif vr == "DS" and "," in _text(element):
            dataset[tag] = DataElement(tag, "DS", _text(element).replace(",", "."))
            repaired = True
    return repaired


def describe_unreadable_number(dataset: Dataset) -> str | None:
    """Return "PixelSpacing is '2x0'" for the first tag that holds no number where one belongs; None where all do.

    A value that holds more than digits and what stands between them is not shown: anything may have been typed there.
    """
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if (element.VR or _usual_vr(tag)) not in ("DS", "IS"):
            continue
        text = _text(element)
        try:
            [float(number) for number in text.split("\\") if number.strip()]
        except ValueError:
            shown = f"'{text}'" if _NEARLY_NUMBERS.fullmatch(text) else "a text"
            return f"{keyword_for_tag(tag)} is {shown}"
    return None


def _text(element: DataElement | RawDataElement) -> str:
    """Return the value as it stands in the file."""
    value = element.value
    if isinstance(value, bytes):
        return value.decode("latin-1").strip("\0 ")
    if isinstance(value, (list, MultiValue)):
        return "\\".join(map(str, value))
    return "" if value is None else str(value)


def _usual_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""
