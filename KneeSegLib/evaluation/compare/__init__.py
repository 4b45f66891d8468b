"""``kneeseg compare``: systems beside each other on the same cases.

==================  =================================================================================
``cases.py``        images and their references
``systems.py``      what is compared: pipelines that are run, and folders of label maps
``joint_parts.py``  which part of a bone lies at which joint
``agreement.py``    one prediction against its reference, whole and per joint
``process.py``      a run in a process of its own, with its time and memory (``measured_run.py``)
``records.py``      what is kept of a run, so that it need not be done again
``running.py``      every case with every system
``statistics.py``   spreads over the cases, paired tests
``charts.py``       box plots and Bland-Altman plots
``error_cases.py``  which cases are shown, and where each system is wrong in them
``page.py``         the page
``files.py``        the same as CSV and JSON
==================  =================================================================================
"""
