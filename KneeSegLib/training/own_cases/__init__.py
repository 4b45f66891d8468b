"""A user's own scans with label maps: found, read, checked, cut into the joints' sets, augmented and sampled.

>>> from KneeSegLib.training.own_cases import OwnCases, Wanted
>>> data = OwnCases.prepare(recipe, "my_knees/", "work/ct-knee/cases", Wanted())   # doctest: +SKIP
>>> Training(recipe, data, "work/ct-knee", start=find_bundle("ct-knee").path)      # doctest: +SKIP
"""

from __future__ import annotations

from KneeSegLib.training.own_cases.data import OwnCases, Wanted

__all__ = ["OwnCases", "Wanted"]
