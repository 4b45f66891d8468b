"""Apply a network to a volume. Arrays and tensors only; files are read and written elsewhere."""
