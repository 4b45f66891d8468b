"""Which MONAI and which NumPy go with which torch. Standard library only; nothing is imported to find out.

A plain ``pip install monai`` may replace torch (on Windows by a build without CUDA) or lower NumPy. So the torch that
is there decides: the MONAI that fits it is installed with ``--no-deps``, which changes nothing else.

    >>> [misfit.requirement for misfit in find_misfits("2.2.2", None, "2.0.1")]
    ['monai==1.4.*', 'numpy<2']
    >>> find_misfits("2.13.0+cpu", "1.6.1", "2.4.6")
    []
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PIP_INSTALL = "python -m pip install"


@dataclass(frozen=True)
class Series:
    """A series of MONAI, the lowest torch that it runs on, and the NumPy below which both have to stay."""

    monai: str
    lowest_torch: str
    numpy_below: str


SERIES = (
    Series("1.4", lowest_torch="2.2", numpy_below="2"),
    Series("1.5", lowest_torch="2.4.1", numpy_below="3"),
    Series("1.6", lowest_torch="2.8", numpy_below="3"),
)
"""From the oldest that KneeSeg runs with to the newest, as MONAI's packages declare it.

The first row contains that torch before 2.3 was built against NumPy 1 and cannot exchange arrays with NumPy 2.
"""


@dataclass(frozen=True)
class Misfit:
    """A package that does not go with the torch that is there.

    Attributes:
        sentence: what was found, what was expected and what to do.
        requirement: what is needed instead, as pip reads it.
        no_deps: whether pip has to be told ``--no-deps``, so that it leaves torch and NumPy as they are.
    """

    sentence: str
    requirement: str
    no_deps: bool = False


def find_misfits(torch: str, monai: str | None, numpy: str | None) -> list[Misfit]:
    """Return what does not go with this version of torch, or is missing; empty where everything fits.

    A MONAI older than the newest that fits stays. Versions are as installed packages give them; None: not installed.
    """
    fitting = [series for series in SERIES if _numbers(series.lowest_torch) <= _numbers(torch)]
    if not fitting:
        lowest = SERIES[0].lowest_torch
        sentence = f"torch {torch} is too old, expected {lowest} or later; update PyTorch."
        return [Misfit(sentence, f"torch>={lowest}")]
    newest = fitting[-1]
    found = []
    fault = _find_fault(torch, monai, numpy, newest)
    if fault:
        requirement = f"monai=={newest.monai}.*"
        sentence = f'{fault}; install MONAI {newest.monai}: {PIP_INSTALL} --no-deps "{requirement}"'
        found.append(Misfit(sentence, requirement, no_deps=True))
    if numpy is not None and _numbers(numpy) >= _numbers(newest.numpy_below):
        requirement = f"numpy<{newest.numpy_below}"
        sentence = (
            f"torch {torch} with MONAI {newest.monai} needs NumPy below {newest.numpy_below}, found {numpy}; "
            f'install an older one: {PIP_INSTALL} "{requirement}"'
        )
        found.append(Misfit(sentence, requirement))
    return found


def limit_numpy(torch: str) -> str | None:
    """Return the requirement by which pip leaves NumPy where this torch needs it; None where any NumPy will do."""
    fitting = [series for series in SERIES if _numbers(series.lowest_torch) <= _numbers(torch)]
    if not fitting or fitting[-1].numpy_below == SERIES[-1].numpy_below:
        return None
    return f"numpy<{fitting[-1].numpy_below}"


def _find_fault(torch: str, monai: str | None, numpy: str | None, newest: Series) -> str:
    """Return what the newest MONAI that fits would mend, as the beginning of a sentence; empty if there is nothing."""
    if monai is None:
        return "MONAI is missing"
    known = [series for series in SERIES if _numbers(series.monai) <= _numbers(monai)]
    if not known:
        return f"MONAI {monai} is too old, expected {SERIES[0].monai} or later"
    there = known[-1]
    if _numbers(there.lowest_torch) > _numbers(torch):
        return f"MONAI {monai} needs torch {there.lowest_torch} or later, found {torch}"
    if numpy is not None and _numbers(there.numpy_below) <= _numbers(numpy) < _numbers(newest.numpy_below):
        return f"MONAI {monai} needs NumPy below {there.numpy_below}, found {numpy}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a release: (2, 13, 0) for ``"2.13.0+cpu"`` and for ``"2.13.0.dev20260101"``."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in numbers.group().split(".")) if numbers else ()
