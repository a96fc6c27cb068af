"""dtool.measure_variance(...): what Analytic-DPM must know of a network and its data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.arguments import checks_arguments, numbers
from dtool.errors import UsageError
from dtool.files import require_writable
from dtool.networks.batch_invariance import require_examined
from dtool.networks.labels import resolve_labels
from dtool.networks.network import Network
from dtool.plan.prediction import history_map
from dtool.samplers.statistics import VarianceStatistics


@checks_arguments
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
    """
    data = numbers("images", images, "(N, *shape)", whole=True).astype(np.float64)
    if data.shape[1:] != network.shape or len(data) == 0:
        raise UsageError(f"images have shape {data.shape}; the network's are {network.shape}", "give (N, *shape)")
    if levels < 1:
        raise UsageError(f"{levels} levels cannot be measured", "ask for 1 or more")
    require_examined(network)
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
    found = VarianceStatistics(table.lam[times][::-1].copy(), missed[::-1].copy(), ((high - low) / 2) ** 2, len(data))
    if target is not None:
        found.write(target)
    return found


def _mean_square(
    network: Network, data: NDArray[np.float64], classes: NDArray[np.int64] | None, t: int, seed: int
) -> float:
    """E‖z - ε‖²/d at the time t."""
    alpha, sigma = network.schedule.alpha[[t]], network.schedule.sigma[[t]]
    m_x, m_f = (float(v[0]) for v in history_map("eps", network.prediction, alpha, sigma, np.ones(1)))
    total, chunk = 0.0, network.micro_batch
    for first in range(0, len(data), chunk):
        part = data[first : first + chunk]
        ids = np.arange(first, first + len(part), dtype=np.uint64)
        z = network.numpy(network.noise(seed, ids, 1)(t)[0])
        x = network.array((alpha[0] * part + sigma[0] * z).astype(np.float32))
        label = () if classes is None else (network.array(classes[first : first + chunk]),)
        time = network.array(np.full(len(part), t, dtype=np.float32))
        output = network.predict(x, time, *label)[:, : network.shape[0]]
        eps = m_x * network.numpy(x).astype(np.float64) + m_f * network.numpy(output).astype(np.float64)
        total += float(np.square(z - eps).sum())
    return total / data.size
