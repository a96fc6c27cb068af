"""How much each noise level counts: the weights (T,) of the squared error of what a network predicts.

A weight of the error of x0 is one of the error of anything else times the square of their ratio. SNR = alpha²/sigma².
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.samplers.rule import Prediction
from dtool.schedulers.levels import compute_betas
from dtool.schedulers.schedule import Schedule

Weighting = Literal["simple", "vlb", "min-snr", "p2"]
GAMMA = {"min-snr": 5.0, "p2": 1.0}  # what the papers recommend


def compute_weights(
    weighting: Weighting, schedule: Schedule, prediction: Prediction, gamma: float | None = None
) -> NDArray[np.float64]:
    """The weights (T,) of a weighting, of which the mean is not 1; `gamma`: see the function of that name.

    Raises `UsageError` for the variational bound of a schedule that is not variance preserving.
    """
    if weighting == "simple":
        return np.ones_like(schedule.alpha)
    if weighting == "vlb":
        if schedule.coordinates != "vp":
            raise UsageError(
                f"the variational weights are of a variance-preserving schedule, not {schedule.coordinates}",
                "train with --loss simple",
            )
        return vlb_weights(schedule, prediction)
    gamma = GAMMA[weighting] if gamma is None else gamma
    compute = min_snr_weights if weighting == "min-snr" else p2_weights
    return compute(schedule, prediction, gamma)


def vlb_weights(schedule: Schedule, prediction: Prediction) -> NDArray[np.float64]:
    """The weight (T,) of the squared error of the predicted quantity in L_{t-1}, nats (DDPM eq. 12 with σ_t² = β_t).

    In the paper's terms, where ᾱ = alpha²: β²/(2σ²α(1-ᾱ)) for eps, which is β/(2α(1-ᾱ)).
    """
    signal, noise = schedule.alpha**2, schedule.sigma**2
    x0 = compute_betas(signal) * np.concatenate([[1.0], signal[:-1]]) / (2 * noise**2)
    weights: NDArray[np.float64] = x0 * compare_errors(schedule, prediction)
    return weights


def min_snr_weights(schedule: Schedule, prediction: Prediction, gamma: float = 5.0) -> NDArray[np.float64]:
    """min(SNR, γ) for x0 (arXiv:2303.09556, section 3.4): min(SNR, γ)/SNR for eps, min(SNR, γ)/(SNR + 1) for v."""
    signal, noise = schedule.alpha**2, schedule.sigma**2
    return np.minimum(signal / noise, gamma) * compare_errors(schedule, prediction)


def p2_weights(schedule: Schedule, prediction: Prediction, gamma: float = 1.0, k: float = 1.0) -> NDArray[np.float64]:
    """1/(k + SNR)^γ for eps (arXiv:2204.00227, eq. 8), which is SNR/(k + SNR)^γ for x0."""
    snr = schedule.alpha**2 / schedule.sigma**2
    if prediction == "eps":
        return (k + snr) ** -gamma
    return snr / (k + snr) ** gamma * compare_errors(schedule, prediction)


def compare_errors(schedule: Schedule, prediction: Prediction) -> NDArray[np.float64]:
    """The square (T,) of an error of x0 over the error of the predicted quantity that it comes from.

    At a given x an error of eps is alpha/sigma times one of x0, and one of flow = eps - x0 is (alpha + sigma)/sigma
    times; one of v = alpha eps - sigma x0 is (alpha² + sigma²)/sigma times. NaN for eps where alpha is 0.
    """
    alpha, sigma = schedule.alpha, schedule.sigma
    if prediction == "x0":
        return np.ones_like(alpha)
    ratio = {"eps": np.where(alpha > 0, alpha, np.nan), "v": alpha**2 + sigma**2, "flow": alpha + sigma}[prediction]
    squares: NDArray[np.float64] = (sigma / ratio) ** 2
    return squares
