"""Law error: how far samples are from data, by metrics with intervals and nulls; plugins can add metrics."""

from dtool.metrics.classifier import Classifier
from dtool.metrics.definition import Metric, metric
from dtool.metrics.difference import Difference, measure_difference
from dtool.metrics.evaluation import Figure, Figures, evaluate, evaluate_all, list_metrics, resolve_metric
from dtool.metrics.reference import NullDistribution, Reference
from dtool.metrics.streaming import evaluate_stream

__all__ = [
    "Classifier",
    "Difference",
    "Figure",
    "Figures",
    "Metric",
    "NullDistribution",
    "Reference",
    "evaluate",
    "evaluate_all",
    "evaluate_stream",
    "list_metrics",
    "measure_difference",
    "metric",
    "resolve_metric",
]  # fmt: skip
