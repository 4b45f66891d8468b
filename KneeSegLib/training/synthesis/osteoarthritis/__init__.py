"""Knees with severe osteoarthritis in CT: bone on bone, deformed, sclerotic, with cysts and osteophytes.

Made of prepared knees while an image is rendered, so that every image has a knee of its own:
:mod:`~KneeSegLib.training.synthesis.osteoarthritis.parts` takes femur, patella and shank apart,
:mod:`~KneeSegLib.training.synthesis.osteoarthritis.deformity` bends and moves them until a compartment is closed,
:mod:`~KneeSegLib.training.synthesis.osteoarthritis.knee` puts them together with osteophytes, and
:mod:`~KneeSegLib.training.synthesis.osteoarthritis.subchondral` changes the bone below the worn joint. The labels
follow the changed bone: osteophytes belong to it, and so do cysts, since the inside of a bone is bone.
"""
