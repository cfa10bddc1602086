"""Freed memory stays with the process, where malloc is glibc's."""

import platform
import subprocess
import sys

import pytest

from reference.arithmetic import memory

SCRIPT = """
import resource, runpy, sys
import numpy as np

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for array in [np.empty(3 * 2**17) for _ in range(8)]:  # 3 MB each
        array.fill(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if len(sys.argv) > 1:
    runpy.run_path(sys.argv[1])["keep_freed_memory"]()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc has other rules")
def test_memory_that_was_freed_is_there_for_the_next_arrays():
    """24 MB are 6,144 pages; without the call they are asked for again."""
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", SCRIPT, *path], capture_output=True, text=True, check=True).stdout)
        for path in ([memory.__file__], [])
    )
    assert kept < 600
    assert given_back > 5 * kept
