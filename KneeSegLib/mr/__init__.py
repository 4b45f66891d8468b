"""Knee MR: what the networks see of it, and the stages from a volume to labels. Grids and devices are those of CT."""
