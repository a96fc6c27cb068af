"""What is freed goes back to the system, where it is asked for."""

import subprocess
import sys

import pytest

from dtool.util.allocator import keep_large_blocks, return_large_blocks

SCRIPT = """
import numpy as np
from contextlib import nullcontext
from dtool.util import memory
from dtool.util.allocator import return_large_blocks
keep = np.ones(4 << 20)  # 32 MB, after which GNU's library keeps what is as large, unless it is told
del keep
with return_large_blocks() if {inside} else nullcontext():
    blocks = [np.ones(1 << 18) for _ in range(100)]  # 2 MB each
    before, last = memory.get_usage(), blocks.pop()
    del blocks  # all below the last one
    print((before - memory.get_usage()) / 2**20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of a process is looked up in /proc")
def test_what_is_freed_is_given_back():
    returned = {
        inside: float(subprocess.check_output([sys.executable, "-c", SCRIPT.format(inside=inside)], text=True))
        for inside in (False, True)
    }
    assert returned[True] > 180  # MB of 198
    assert returned[False] <= returned[True] + 1  # MB: a page more or less is nothing


def test_an_error_goes_through():
    for context in (return_large_blocks, keep_large_blocks):
        with pytest.raises(ZeroDivisionError), context():
            _ = 1 // 0


AGAIN = """
import resource
import numpy as np
from contextlib import nullcontext
from dtool.util.allocator import keep_large_blocks
with keep_large_blocks() if {inside} else nullcontext():
    for i in range(20):
        if i == 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [np.ones(6 << 20) for _ in range(2)]  # 48 MB each, above what GNU's library keeps by itself
        del blocks
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="page faults are those of Linux")
def test_memory_that_is_taken_again_costs_no_page_faults():
    faults = {
        inside: int(subprocess.check_output([sys.executable, "-c", AGAIN.format(inside=inside)], text=True))
        for inside in (False, True)
    }
    assert faults[False] > 100
    assert faults[True] < 0.1 * faults[False]
