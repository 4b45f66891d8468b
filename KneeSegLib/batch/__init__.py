"""Many scans in one run, on the processes of this machine or on a cluster (dask).

One file per thing: :mod:`~KneeSegLib.batch.inputs` finds the scans, :mod:`~KneeSegLib.batch.plan` keeps what was asked
for, :mod:`~KneeSegLib.batch.cluster` brings the workers, :mod:`~KneeSegLib.batch.working` is what one of them does,
:mod:`~KneeSegLib.batch.running` hands out the scans and waits, :mod:`~KneeSegLib.batch.summary` and
:mod:`~KneeSegLib.batch.gallery` tell what came of them. The networks are loaded once per worker. What a folder holds::

    batch.json                    what was asked for, and which scan is called what
    cases/NAME/                   one case for each scan, as `kneeseg segment` writes it
    thumbnails/NAME.svg           slices of it, for the gallery
    summary.csv, structures.csv   one row per scan, one per structure
    index.html                    the gallery, what is to be checked first
"""
