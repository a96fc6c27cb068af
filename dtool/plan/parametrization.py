"""The words for what a network's output means: eps, x0, v, flow, and EDM's preconditioning with its σ_data."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import get_args

from dtool.errors import UsageError, did_you_mean, format_value
from dtool.samplers.rule import BasicPrediction, Prediction

BASIC_PREDICTIONS: tuple[Prediction, ...] = get_args(BasicPrediction)
EDM = "edm"
SIGMA_DATA = 0.5  # where it is not said: arXiv:2206.00364, table 1
_EDM = re.compile(rf"{EDM}(?::sigma_data=([0-9.eE+-]{{1,40}}))?")


@lru_cache(maxsize=256)
def parse_sigma_data(prediction: Prediction) -> float | None:
    """σ_data of a prediction that is EDM's preconditioning, None of a basic one; raises UsageError for another word.

    >>> from dtool.plan.parametrization import parse_sigma_data
    >>> parse_sigma_data("edm:sigma_data=0.25"), parse_sigma_data("v")
    (0.25, None)
    """
    if prediction in BASIC_PREDICTIONS:
        return None
    match = _EDM.fullmatch(prediction) if isinstance(prediction, str) else None
    if match is None:
        words = [*BASIC_PREDICTIONS, EDM]
        raise UsageError(f"there is no prediction {format_value(prediction)}", did_you_mean(str(prediction), words))
    try:
        value = float(match[1] or SIGMA_DATA)
    except ValueError:
        value = 0.0
    if not (isfinite(value) and value > 0):
        raise UsageError(f"sigma_data={match[1]} is no standard deviation", "give a number above 0")
    return value


def normalize_prediction(prediction: Prediction) -> Prediction:
    """The word as it is written everywhere: edm:sigma_data=0.5, whatever was left out or spelt otherwise.

    No digit is lost. Raises UsageError for a word that names no prediction.
    """
    sigma_data = parse_sigma_data(prediction)
    return prediction if sigma_data is None else f"{EDM}:sigma_data={repr(sigma_data).removesuffix('.0')}"
