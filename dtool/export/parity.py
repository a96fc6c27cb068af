"""Does the file compute what PyTorch computes? Single calls at several batch sizes and times, and a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from dtool.backends.onnxruntime_backend import OnnxNetwork
from dtool.backends.sampling import sample
from dtool.backends.torch_backend import TorchNetwork
from dtool.errors import DtoolError
from dtool.export.report import TOLERANCE, Comparison
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec

BATCHES = (1, 2, 5, 16)
IMAGES = 4


def compared(path: Path, module: nn.Module, spec: NetworkSpec, steps: int) -> tuple[Comparison, ...]:
    """Compare the file with `module`; raises DtoolError if a difference is above the tolerance, or not a number."""
    original, exported = TorchNetwork(module, spec, "cpu"), OnnxNetwork(path, device="cpu")
    comparisons = [*_calls(original, exported), _run(original, exported, steps)]
    worst = max(comparisons, key=lambda c: np.nan_to_num(c.difference, nan=np.inf))
    if not worst.difference <= TOLERANCE:
        raise DtoolError(
            f"the exported network is {worst.difference:.1e} from PyTorch ({worst.what}); allowed {TOLERANCE:.0e}",
            "look for what depends on the batch size or on the values of t in its forward",
        )
    return tuple(comparisons)


def _calls(original: Network, exported: Network) -> list[Comparison]:
    """Single calls at each batch size: first, fractional, last and random times; the first label is the highest."""
    random = np.random.default_rng(0)
    last = original.schedule.T - 1
    found = []
    for batch in BATCHES:
        times = (0.0, 0.37 * last, last, random.uniform(0, last, batch))
        labels = original.spec.labels
        label = (labels - 1 + np.arange(batch)) % labels if labels else None  # the first has no class, if that can be
        differences = []
        for time in times:
            x = random.standard_normal((batch, *original.shape), dtype=np.float32)
            t = np.full(batch, time, dtype=np.float32)
            differences.append(_largest(*(_call(network, x, t, label) for network in (original, exported))))
        what = f"one call, batch {batch}, t = 0, {0.37 * last:.2f}, {last} and random"
        found.append(Comparison(what, float(np.max(differences))))
    return found


def _run(original: Network, exported: Network, steps: int) -> Comparison:
    """A whole run of DDIM from the same noise, with the network's own guidance and clipping."""
    steps = min(steps, original.schedule.T)
    runs = [sample(network, "ddim", n=IMAGES, steps=steps).x0 for network in (original, exported)]
    return Comparison(f"{IMAGES} images, {steps} steps of DDIM", _largest(*runs))


def _call(network: Network, *arguments: NDArray[Any] | None) -> NDArray[Any]:
    return network.numpy(network.predict(*(None if a is None else network.array(a) for a in arguments)))


def _largest(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference; of numbers above 1, as a share of the largest."""
    return float(np.abs(one - other).max() / max(1.0, np.abs(one).max()))
