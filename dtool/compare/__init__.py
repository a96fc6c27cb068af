"""Comparing recipes: time, distance and quality from the same noise.

The package itself can be called: `dtool.compare(net, ["ddim", "ddpm"], steps=[10, 20])`.
"""

from dtool._callable import make_callable
from dtool.compare.frechet import distance, frechet, statistics
from dtool.compare.result import Comparison, Entry, Quality
from dtool.compare.run import compare

__all__ = ["Comparison", "Entry", "Quality", "compare", "distance", "frechet", "statistics"]

make_callable(__name__, compare)
