"""Saved cases in the formats of archives, planning systems and other programs.

One file per thing: :mod:`~KneeSegLib.exporting.saved_case` reads what was saved, :mod:`~KneeSegLib.exporting.source`
finds the DICOM series that it was made from, :mod:`~KneeSegLib.exporting.grids` places labels on its slices,
:mod:`~KneeSegLib.exporting.codes` names structures in codes, :mod:`~KneeSegLib.exporting.headers` is what all DICOM
objects begin with. Then a file per format, and :mod:`~KneeSegLib.exporting.export` puts them in place.
"""
