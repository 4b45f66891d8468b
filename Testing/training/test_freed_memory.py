"""Freed memory stays with a process that renders."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from KneeSegLib.training.freed_memory import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = count_faults()
assert keep_freed_memory()
print(usual, min(count_faults() for _ in range(4)))  # the first ones find holes that are a little too small
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")
def test_arrays_are_taken_again_without_new_pages():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, encoding="utf-8", check=True)
    usual, kept = map(int, done.stdout.split())
    assert usual > 1000  # 10 arrays of 64 MB
    assert kept < usual / 10
