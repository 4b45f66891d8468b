"""Where a bone ends: the conventions of the edge, and how labels are brought from one to the other.

Networks estimate where the cortex ends (``cortex``). Readers and threshold tools draw a bone out to where grey values
fall half-way to what lies outside (``half-maximum``), some tenths of a millimetre further out where the cortex is thin
beside the blur of the scanner. No constant shift turns one into the other: at each point of a bone's surface the image
is read along the normal (:mod:`~KneeSegLib.edges.profiles`), the edge is located on that profile
(:mod:`~KneeSegLib.edges.half_maximum`), outliers take their neighbours' value, and the bone's margin, of which labels
and surfaces are made, is moved by that much (:mod:`~KneeSegLib.edges.moving`). What is special to a modality is the
function that locates an edge on profiles, :data:`~KneeSegLib.edges.drawing.LocateEdge`: the edge of marrow in MR needs
another one and nothing else.
"""
