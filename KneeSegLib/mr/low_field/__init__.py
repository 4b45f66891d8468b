"""Stages of the 3D U-Net for low-field MR of the knee: bone or not in three views, the names of bones, closing."""
