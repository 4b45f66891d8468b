"""Apply a network to a volume. Arrays and tensors only; files are read and written elsewhere."""

import os

# Threads of one convolution wait for each other at every layer. By default they wait busily, which makes a run up to
# five times slower as soon as another program wants a core; asleep they cost little. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
