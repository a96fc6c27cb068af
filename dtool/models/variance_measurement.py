"""dtool.measure_variance(...): what Analytic-DPM must know of a network and its data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.batch_invariance import check_batch_invariance
from dtool.models.conditions import LABEL, assume_null_conditions
from dtool.models.labels import resolve_labels
from dtool.models.network import Network
from dtool.plan.prediction import history_map, scale_input
from dtool.samplers.engines.variance_statistics import VarianceStatistics
from dtool.util.arguments import as_numbers, check_arguments
from dtool.util.files import require_writable


@check_arguments
def measure_variance(
    network: Network,
    images: Any,
    path: str | Path | None = None,
    *,
    labels: Any = None,
    levels: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> VarianceStatistics:
    """E‖z - ε‖²/d of a network's predicted noise on noised images, for `analytic-ddpm`: see `VarianceStatistics`.

    images `(N, *shape)` in the network's range, each noised once at each of `levels` training times, evenly spread from
    the first to the last: levels·N network calls in all. labels `(N,)` for a conditional network, -1 for none (the
    default). path: where to write it, a .json. progress(done, total): after every level. The noise is a function of the
    seed and of the image's place. Raises UsageError for images that do not fit.

    >>> law = dtool.targets.target("gmm:d=2")
    >>> statistics = dtool.measure_variance(law.network(), law.sample(8), levels=4)
    >>> statistics.lam.shape, statistics.missed.shape
    ((4,), (4,))
    """
    data = as_numbers("images", images, "(N, *shape)", whole=True).astype(np.float64)
    if data.shape[1:] != network.shape or len(data) == 0:
        raise UsageError(f"images have shape {data.shape}; the network's are {network.shape}", "give (N, *shape)")
    if levels < 1:
        raise UsageError(f"{levels} levels cannot be measured", "ask for 1 or more")
    assume_null_conditions(network.spec, 1)
    check_batch_invariance(network)
    target = None if path is None else Path(path)
    if target is not None:
        require_writable(target)
    table = network.schedule
    usable = np.flatnonzero(table.alpha > 0)
    times = np.unique(np.linspace(usable[0], usable[-1], min(levels, usable.size)).round().astype(int))
    missed = np.empty(times.size)
    classes = resolve_labels(network, labels, len(data))
    for i, t in enumerate(times):
        missed[i] = _mean_square(network, data, classes, int(t), seed)
        if progress is not None:
            progress(i + 1, times.size)
    low, high = network.spec.data_range
    statistics = VarianceStatistics(
        table.lam[times][::-1].copy(), missed[::-1].copy(), ((high - low) / 2) ** 2, len(data)
    )
    if target is not None:
        statistics.write(target)
    return statistics


def _mean_square(
    network: Network, data: NDArray[np.float64], classes: NDArray[np.int64] | None, t: int, seed: int
) -> float:
    """E‖z - ε‖²/d at the time t."""
    alpha, sigma = network.schedule.alpha[[t]], network.schedule.sigma[[t]]
    c_in = scale_input(network.prediction, alpha, sigma, np.ones(1))
    m_x, m_f = (float(v[0]) for v in history_map("eps", network.prediction, alpha, sigma, c_in))
    total, chunk = 0.0, network.micro_batch
    for first in range(0, len(data), chunk):
        part = data[first : first + chunk]
        ids = np.arange(first, first + len(part), dtype=np.uint64)
        z = network.numpy(network.noise(seed, ids, 1)(t)[0])
        noisy = alpha[0] * part + sigma[0] * z
        x = network.array((c_in[0] * noisy).astype(np.float32))
        told = assume_null_conditions(network.spec, len(part))
        if classes is not None:
            told[LABEL] = classes[first : first + chunk]
        time = network.array(network.tell(np.full(len(part), t)).astype(np.float32))
        output = network.predict(x, time, network.arrays(told))[:, : network.shape[0]]
        eps = m_x * noisy.astype(np.float32).astype(np.float64) + m_f * network.numpy(output).astype(np.float64)
        total += float(np.square(z - eps).sum())
    return total / data.size
