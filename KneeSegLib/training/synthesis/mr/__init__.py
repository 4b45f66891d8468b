"""Synthetic MR of the knee: anatomy from two label maps in many people's shapes, and its look in many sequences."""
