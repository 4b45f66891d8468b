"""The numbers of reading and writing that were chosen."""

from __future__ import annotations

GZIP_LEVEL = 2
"""Of label maps: as quick as level 1 on label images and a third smaller; level 6 takes four times as long."""
