"""Benchmarks: how fast the ways of running a plan are, side by side, and what a figure must be told with."""

from dtool.bench.result import Benchmark, Timing
from dtool.bench.run import bench

__all__ = ["Benchmark", "Timing", "bench"]
