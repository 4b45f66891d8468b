"""Bone in view that no label explains: found, looked at once more, and said.

:mod:`~KneeSegLib.ct.unlabelled.bone_map` brings image, labels and the localiser's prediction to one coarse grid,
:mod:`~KneeSegLib.ct.unlabelled.explanations` says which bone needs no label, :mod:`~KneeSegLib.ct.unlabelled.search`
finds what is left, :mod:`~KneeSegLib.ct.unlabelled.second_look` chooses the joint model that looks there again, and
:mod:`~KneeSegLib.ct.unlabelled.sentences` puts into words what remains.
"""
