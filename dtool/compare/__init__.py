"""Comparing recipes: time, distance and quality from the same noise.

The package itself can be called: `dtool.compare(net, ["ddim", "ddpm"], steps=[10, 20])`.
"""

from dtool._callable import make_callable
from dtool.compare.frechet import distance
from dtool.compare.result import Comparison, Entry
from dtool.compare.run import compare
from dtool.compare.solver import References, reference_solution, solver_error
from dtool.data.pooled import statistics

__all__ = [
    "Comparison", "Entry", "References", "compare", "distance", "reference_solution", "solver_error", "statistics",
]  # fmt: skip

make_callable(__name__, compare)
