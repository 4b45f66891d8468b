"""How good the networks are: figures over cohorts, and the measured tables of the documentation.

Part of the extra ``training``. The metrics themselves, which ``kneeseg evaluate`` and Slicer show, are in
:mod:`KneeSegLib.measurements`.
"""
