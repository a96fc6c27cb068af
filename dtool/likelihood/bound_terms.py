"""The terms of the variational bound, and the variances that its steps may have."""

from __future__ import annotations

from math import exp
from pathlib import Path

import numpy as np

from dtool.likelihood.chain import Chain, Variance, divergence, prior
from dtool.likelihood.chain_run import ChainRun, Noise
from dtool.likelihood.decoder import code_length
from dtool.models.network import Network
from dtool.samplers.engines.variance_statistics import VarianceStatistics
from dtool.util.arrays import Array


def compute_terms(
    run: ChainRun, noise: Noise, repeats: int, kind: Variance, unknown: Array | None, levels: int | None
) -> tuple[Array, Array]:
    """Every term of every image in nats `(1 + K, n)`, and the mean over images of ‖x0 - D‖², `(K,)`."""
    chain, count = run.chain, len(run.data)
    terms, square = np.zeros((chain.steps + 1, count)), np.zeros(chain.steps)
    terms[0] = prior(float(chain.alpha[0]), run.data)
    for i, places, x0, image, v in run.predictions(noise, repeats):
        miss = np.square(x0 - image)
        if i < chain.steps - 1:
            nats = divergence(float(chain.gain[i]), _excess(chain, i, kind, unknown, v), miss)
        else:
            nats = code_length(x0, image, _decoder_std(chain, kind, unknown, v), levels, run.network.spec.data_range)
        terms[i + 1, places] += _sum_per_image(nats) / repeats
        square[i] += miss.sum() / (repeats * count)
    return terms, square


def make_statistics(network: Network, chain: Chain, mse: Array, images: int) -> VarianceStatistics:
    """Mean squares E(x0 - D)² at the levels of a chain as a file of measure_variance holds them."""
    low, high = network.spec.data_range
    finite = np.isfinite(chain.lam)  # where nothing is left of the image, its variance is the nearest level's
    lam = chain.lam[finite]
    return VarianceStatistics(lam, np.exp(2 * lam) * mse[finite], ((high - low) / 2) ** 2, images)


def posterior_variance(chain: Chain, statistics: VarianceStatistics | str | Path | None) -> Array:
    """Var[x0 | x] at the levels of the chain, as `analytic-ddpm` has it from these statistics, `(K,)`."""
    if not isinstance(statistics, VarianceStatistics):
        statistics = VarianceStatistics.read(Path(str(statistics)))
    measured = np.interp(chain.lam, statistics.lam, statistics.variance)
    return np.asarray(np.minimum(measured, np.exp(-2 * np.maximum(chain.lam, -300))))


def _sum_per_image(values: Array) -> Array:
    """The sum over each image's numbers, `(B,)`."""
    return np.asarray(values.reshape(len(values), -1).sum(axis=1))


def _share(v: Array | None) -> Array:
    """The second half of an output in [-1, 1] as a share of ln β, 0 … 1 (arXiv:2102.09672, eq. 15)."""
    assert v is not None, "choose_variance refuses a network that predicts no variance"
    return np.asarray((v + 1) / 2)


def _excess(chain: Chain, i: int, kind: Variance, unknown: Array | None, v: Array | None) -> Array | float:
    """σ²/β̃ - 1 of the step from level i to the next."""
    if kind == "tilde":
        return 0.0
    if kind == "beta":
        return float(np.expm1(chain.log_variance_ratio[i]))
    if unknown is not None:
        return float(chain.gain[i] * unknown[i])
    return np.asarray(np.expm1(_share(v) * chain.log_variance_ratio[i]))


def _decoder_std(chain: Chain, kind: Variance, unknown: Array | None, v: Array | None) -> Array:
    """σ of the last step, to the image."""
    low, high = chain.final_log_variances
    if unknown is not None:
        return np.asarray(np.sqrt(unknown[-1]))
    if kind == "learned":
        return np.asarray(np.exp((low + _share(v) * (high - low)) / 2))
    return np.asarray(exp((high if kind == "beta" else low) / 2))
