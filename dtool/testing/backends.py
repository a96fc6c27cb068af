"""Certificates 5 and 7, backends: one picture on each of them, and the same bits in any batch."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from dtool.backends.load import load, network
from dtool.backends.sampling import sample
from dtool.networks.network import Network
from dtool.plan import Plan, Recipe, plan
from dtool.testing.grids import step_counts

BAR = 1e-4  # float32 arithmetic in another order, over all steps
SHAPE = (4, 16, 16)  # large enough that eleven images do not fit into one micro-batch
_COUNT = 11


def closed_form(x: Any, t: Any) -> Any:
    """A network that depends on x and t, in arithmetic that numpy arrays and tensors share; toy.onnx is the same."""
    t = t.reshape(-1, 1, 1, 1)
    return x * (t / (t + 200)) + 0.3 * x / ((1 + x * x) * (1 + t / 300))


def networks(recipe: Recipe) -> Iterator[tuple[str, Network | None]]:
    """(backend, `closed_form` on it as a v network under the recipe's schedule), or None if it is not installed."""
    token = recipe.scheduler.token if recipe.scheduler and recipe.scheduler.token else "linear"
    on_numpy = network(closed_form, shape=SHAPE, schedule=token, prediction="v")
    yield "numpy", on_numpy
    if importlib.util.find_spec("torch") is None:
        yield "torch", None
    else:
        yield "torch", network(closed_form, shape=SHAPE, schedule=token, prediction="v", backend="torch")
    if importlib.util.find_spec("onnxruntime") is None:
        yield "onnxruntime", None
    else:
        with as_file(files("dtool.testing") / "toy.onnx") as path:
            yield "onnxruntime", load(path, device="cpu", spec=on_numpy.spec)


def made_for(recipe: Recipe, net: Network) -> Plan:
    """A short plan of the recipe for this network."""
    counts = step_counts(recipe.spacing) if recipe.spacing else (8,)
    return plan(recipe, steps=min(counts[:2][-1], 10), network=net)


def differences(recipe: Recipe) -> dict[str, float | None]:
    """By backend, the largest difference from numpy's x, over every step of two images; None if not installed."""
    found: dict[str, float | None] = {}
    reference: Any = None
    for name, net in networks(recipe):
        if net is None:
            found[name] = None
            continue
        out = sample(net, made_for(recipe, net), n=2, seed=3, trace=True)
        assert out.trace is not None, "a trace was asked for"
        path = np.asarray(out.trace.x, dtype=np.float64)
        reference = path if reference is None else reference
        found[name] = float(np.abs(path - reference).max())
    return found


def batch_differences(recipe: Recipe) -> dict[str, int | None]:
    """By backend, how many numbers of an image change with the batch that it is in; None if not installed."""
    found: dict[str, int | None] = {}
    for name, net in networks(recipe):
        if net is None:
            found[name] = None
            continue
        made = made_for(recipe, net)
        together = sample(net, made, n=_COUNT, seed=5).x0
        order = [7, 0, _COUNT - 1, 3]
        mixed = sample(net, made, ids=order, seed=5).x0
        alone = sample(net, made, ids=[order[0]], seed=5).x0
        found[name] = int((mixed != together[order]).sum() + (alone[0] != together[order[0]]).sum())
    return found
