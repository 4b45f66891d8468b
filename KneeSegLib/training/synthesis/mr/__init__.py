"""Synthetic MR of the knee: anatomy of two label maps in the shapes of many subjects, as many sequences show it."""
