"""Comparing recipes: time, distance and quality from the same noise.

The package itself can be called: `dtool.compare(net, ["ddim", "ddpm"], steps=[10, 20])`.
"""

from dtool.compare.guidance_interval import GuidanceInterval, find_guidance_interval
from dtool.compare.result import Comparison, ComparisonEntry
from dtool.compare.run import compare
from dtool.compare.solver import ReferenceSolutions, reference_solution, solver_error
from dtool.compare.work_sharing import UnfinishedError, WorkSharing
from dtool.measure.pooled_pixels import distance, statistics
from dtool.util.callable_package import make_callable

__all__ = [
    "Comparison", "ComparisonEntry", "GuidanceInterval", "ReferenceSolutions", "UnfinishedError",
    "WorkSharing", "compare", "distance",
    "find_guidance_interval", "reference_solution", "solver_error", "statistics",
]  # fmt: skip

make_callable(__name__, compare)
