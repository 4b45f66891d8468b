"""Everything behind the KneeSeg module that knows Slicer: scene, child process, packages, panel."""
