"""Certificates 5 and 7, backends: one picture on each of them, and the same bits in any batch."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dtool.backends.load import load, network
from dtool.backends.sampling import sample
from dtool.networks.network import Network
from dtool.plan import Plan, Recipe, plan
from dtool.plan import compile as compile_plan
from dtool.testing.grids import by_lam, step_counts
from dtool.testing.toy import SHAPE, closed_form, doubled, onnx_bytes

BAR = 1e-4  # float32 arithmetic in another order, over all steps
_COUNT = 11


def networks(recipe: Recipe) -> Iterator[tuple[str, Network | None]]:
    """(backend, `closed_form` on it as a v network under the recipe's schedule), or None if it is not installed."""
    token = recipe.scheduler.token if recipe.scheduler and recipe.scheduler.token else "linear"
    learned = compile_plan(recipe.rule, by_lam(4), prediction="v").learned
    fn = doubled if learned else closed_form
    on_numpy = network(fn, shape=SHAPE, schedule=token, prediction="v", learned_variance=learned)
    yield "numpy", on_numpy
    if importlib.util.find_spec("torch") is None:
        yield "torch", None
    else:
        kind = on_numpy.spec.model_dump(include={"shape", "schedule", "prediction", "learned_variance"})
        yield "torch", network(fn, **kind, backend="torch")
    if importlib.util.find_spec("onnxruntime") is None:
        yield "onnxruntime", None
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "toy.onnx"
            path.write_bytes(onnx_bytes(twice=learned))
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
        made = made_for(recipe, net)
        image = np.random.default_rng(3).uniform(-1, 1, (2, *SHAPE)).astype(np.float32) if made.inverse else None
        out = sample(net, made, n=2, seed=3, x=image, trace=True)
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
