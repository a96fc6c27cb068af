"""Certificates 5 and 7, backends: one picture on each of them, and the same bits in any batch."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dtool.certify.closed_form_network import SHAPE, closed_form, closed_form_with_variance, make_onnx, tell_class
from dtool.certify.grids import by_lam, step_counts
from dtool.models.network import Network
from dtool.plan import Plan, Recipe, plan
from dtool.plan import compile as compile_plan
from dtool.plan.foreign import ForeignRule
from dtool.run.load import load
from dtool.run.own_function import network
from dtool.run.sampling import sample

BAR = 1e-4  # float32 arithmetic in another order, over all steps
_COUNT = 11
_CLASSES, _SCALE = 3, 1.5  # of a network that is guided


def make_networks(recipe: Recipe) -> Iterator[tuple[str, Network | None]]:
    """(backend, `closed_form` on it as a v network under the recipe's schedule), or None if it is not installed.

    It takes classes where the recipe has a use for them, and is then guided.
    """
    token = recipe.scheduler.token if recipe.scheduler and recipe.scheduler.token else "linear"
    learned, told = _find_needs(recipe)
    fn: Any = closed_form_with_variance if learned else closed_form
    fn = tell_class(fn) if told else fn
    classes: dict[str, Any] = {"classes": _CLASSES, "guidance": _SCALE} if told else {}
    on_numpy = network(fn, shape=SHAPE, schedule=token, prediction="v", learned_variance=learned, **classes)
    yield "numpy", on_numpy
    if importlib.util.find_spec("torch") is None:
        yield "torch", None
    else:
        kind = on_numpy.spec.model_dump(include={"shape", "schedule", "prediction", "learned_variance", *classes})
        yield "torch", network(fn, **kind, backend="torch")
    if importlib.util.find_spec("onnxruntime") is None:
        yield "onnxruntime", None
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "toy.onnx"
            path.write_bytes(make_onnx(twice=learned, told=told))
            yield "onnxruntime", load(path, device="cpu", spec=on_numpy.spec)


def _find_needs(recipe: Recipe) -> tuple[bool, bool]:
    """Whether the network must say a variance, and whether it must be told something, to be guided."""
    told = recipe.guidance is not None
    if isinstance(recipe.rule, ForeignRule):
        saved = recipe.rule.saved
        return False, told or (saved is not None and bool(saved.guidance or saved.compares.any()))
    short_plan = compile_plan(recipe.rule, by_lam(4), prediction="v")
    return short_plan.learned, told or bool(short_plan.compares.any())


def make_plan(recipe: Recipe, net: Network) -> Plan:
    """A short plan of the recipe for this network."""
    counts = step_counts(recipe.spacing) if recipe.spacing else (8,)
    return plan(recipe, steps=recipe.own_steps or min(counts[:2][-1], 10), network=net)


def differences(recipe: Recipe) -> dict[str, float | None]:
    """By backend, the largest difference from numpy's x, over every step of two images; None if not installed."""
    by_backend: dict[str, float | None] = {}
    reference: Any = None
    for name, net in make_networks(recipe):
        if net is None:
            by_backend[name] = None
            continue
        short_plan = make_plan(recipe, net)
        image = np.random.default_rng(3).uniform(-1, 1, (2, *SHAPE)).astype(np.float32) if short_plan.inverse else None
        out = sample(net, short_plan, n=2, seed=3, x=image, trace=True)
        assert out.trace is not None, "a trace was asked for"
        path = np.asarray(out.trace.x, dtype=np.float64)
        reference = path if reference is None else reference
        by_backend[name] = float(np.abs(path - reference).max())
    return by_backend


def batch_differences(recipe: Recipe) -> dict[str, int | None]:
    """By backend, how many numbers of an image change with the batch that it is in; None if not installed."""
    by_backend: dict[str, int | None] = {}
    for name, net in make_networks(recipe):
        if net is None:
            by_backend[name] = None
            continue
        short_plan = make_plan(recipe, net)
        together = sample(net, short_plan, n=_COUNT, seed=5).x0
        order = [7, 0, _COUNT - 1, 3]
        mixed = sample(net, short_plan, ids=order, seed=5).x0
        alone = sample(net, short_plan, ids=[order[0]], seed=5).x0
        by_backend[name] = int((mixed != together[order]).sum() + (alone[0] != together[order[0]]).sum())
    return by_backend
