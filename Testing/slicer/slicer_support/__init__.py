"""What the tests of the Slicer module share: a scene with logics, results of runs, fake and stand-in parts."""
