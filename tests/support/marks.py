"""Marks of tests that need something of the machine."""

import os

import pytest

from dtool.util import memory

needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")

needs_figures = pytest.mark.skipif(memory.get_usage() == 0, reason="nothing is known of this process's memory")
