"""Does the file compute what PyTorch computes? Single calls at several batch sizes and times, and a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from dtool.errors import DtoolError
from dtool.export.report import TOLERANCE, ParityCheck
from dtool.models.conditions import LABEL, Conditions, make_trial_conditions
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.onnx.rewrite.comparison import measure_difference
from dtool.run.onnxruntime_backend import OnnxNetwork
from dtool.run.sampling import sample
from dtool.run.torch_backend import TorchNetwork
from dtool.run.trial_options import make_trial_options

BATCHES = (1, 2, 5, 16)
LENGTHS = (8, 5, 11)  # of conditions whose length varies
IMAGES = 4


def check_parity(path: Path, module: nn.Module, spec: NetworkSpec, steps: int) -> tuple[ParityCheck, ...]:
    """Compare the file with `module`; raises DtoolError if a difference is above the tolerance, or not a number."""
    original, exported = TorchNetwork(module, spec, "cpu"), OnnxNetwork(path, runtime=Runtime(device="cpu"))
    comparisons = [*_compare_calls(original, exported), _compare_runs(original, exported, steps)]
    worst = max(comparisons, key=lambda c: np.nan_to_num(c.difference, nan=np.inf))
    if not worst.difference <= TOLERANCE:
        raise DtoolError(
            f"the exported network is {worst.difference:.1e} from PyTorch ({worst.what}); allowed {TOLERANCE:.0e}",
            "look for what depends on the batch size or on the values of t in its forward",
        )
    return tuple(comparisons)


def _compare_calls(original: Network, exported: Network) -> list[ParityCheck]:
    """Single calls at each batch size: first, fractional, last and random times; the first label is the highest."""
    random = np.random.default_rng(0)
    last = original.schedule.T - 1
    checks = []
    for batch in BATCHES:
        times = (0.0, 0.37 * last, last, random.uniform(0, last, batch))
        labels = original.spec.labels
        label = (labels - 1 + np.arange(batch)) % labels if labels else None  # the first has no class, if that can be
        differences = []
        told = make_trial_conditions(original.spec, batch, np.random.default_rng(batch), LENGTHS[batch % len(LENGTHS)])
        told |= {} if label is None else {LABEL: label}
        for time in times:
            x = random.standard_normal((batch, *original.shape), dtype=np.float32)
            t = original.tell(np.full(batch, time)).astype(np.float32)
            differences.append(
                measure_difference(*(_call_network(network, x, t, told) for network in (original, exported)))
            )
        what = f"one call, batch {batch}, t = 0, {0.37 * last:.2f}, {last} and random"
        checks.append(ParityCheck(what, float(np.max(differences))))
    return checks


def _compare_runs(original: Network, exported: Network, steps: int) -> ParityCheck:
    """A whole run of DDIM from the same noise, with the network's own guidance and clipping."""
    steps = min(steps, original.schedule.T)
    options = make_trial_options(original.spec, IMAGES)
    runs = [sample(network, "ddim", n=IMAGES, steps=steps, **options).x0 for network in (original, exported)]
    return ParityCheck(f"{IMAGES} images, {steps} steps of DDIM", measure_difference(*runs))


def _call_network(network: Network, x: NDArray[Any], t: NDArray[Any], told: Conditions) -> NDArray[Any]:
    return network.numpy(network.predict(network.array(x), network.array(t), network.arrays(told)))
