"""How good systems are: beside each other on the same cases, over cohorts, and in the documentation's measured tables.

Part of the extra ``training``. The metrics themselves, which ``kneeseg evaluate`` and Slicer show, are in
:mod:`KneeSegLib.measurements`.
"""
