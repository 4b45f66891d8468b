"""Grids, boxes, orientation, resampling and meshes: what every other room stands on."""
