"""Law error: how far samples are from data, by metrics that are plugins, each with an interval and a null."""

from dtool.metrics.classifier import Classifier
from dtool.metrics.difference import Difference, differs
from dtool.metrics.evaluate import Figure, Figures, available, evaluate, evaluate_all, named
from dtool.metrics.metric import Metric, metric
from dtool.metrics.reference import Null, Reference

__all__ = [
    "Classifier", "Difference", "Figure", "Figures", "Metric", "Null", "Reference", "available", "differs", "evaluate",
    "evaluate_all", "metric", "named",
]  # fmt: skip
