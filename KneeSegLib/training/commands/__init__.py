"""The commands of the training world, one file each."""
