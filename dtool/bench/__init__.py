"""Benchmarks: how fast the ways of running a plan are, side by side, and what a figure must be told with.

The package itself can be called: `dtool.bench(network, "ddim", steps=50)`.
"""

from dtool.bench.quality_result import TimeToQuality
from dtool.bench.result import Benchmark, Timing
from dtool.bench.run import bench
from dtool.bench.to_quality import time_to_quality
from dtool.util.callable_package import make_callable

__all__ = ["Benchmark", "TimeToQuality", "Timing", "bench", "time_to_quality"]

make_callable(__name__, bench)
