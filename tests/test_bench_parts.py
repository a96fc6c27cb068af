"""What `dtool bench` is made of: measuring in turns, the machine, the bare network, a recipe in diffusers' words."""

from __future__ import annotations

import importlib.util
import os
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commandline import network

import dtool
from dtool.bench.bare import bare, bound
from dtool.bench.contest import BARE, Work, difference
from dtool.bench.diffusers_loop import NoEquivalentError, equivalent
from dtool.bench.measure import in_turns, quartiles, ratios, spread
from dtool.bench.result import Benchmark, Timing
from dtool.machine import Machine, header, machine
from dtool.plan import Recipe

INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("torch", "onnxruntime")}
needs_torch = pytest.mark.skipif(not INSTALLED["torch"], reason="needs torch")


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_the_order_is_reversed_every_round_and_preparing_is_not_timed(rounds):
    seen = []
    functions = [lambda k=k: seen.append(k) for k in range(3)]
    times = in_turns(functions, rounds, before=lambda k: seen.append(-1 - k))
    turns = [[0, 1, 2] if i % 2 == 0 else [2, 1, 0] for i in range(rounds)]
    assert seen == [0, 1, 2, *(word for turn in turns for k in turn for word in (-1 - k, k))]
    assert [len(t) for t in times] == [rounds] * 3
    assert min(min(t) for t in times) >= 0


def test_a_turn_may_be_of_several_calls(monkeypatch):
    seen, now = [], [0.0]

    def take(word, seconds):
        seen.append(word)
        now[0] += seconds

    monkeypatch.setattr("dtool.bench.measure.time", SimpleNamespace(perf_counter=lambda: now[0], sleep=lambda _: None))
    functions = [partial(take, "a", 2), partial(take, "b", 3)]
    times = in_turns(functions, 2, warm=False, before=lambda k: take(k, 100), repeats=3)
    assert seen == [*[0, "a"] * 3, *[1, "b"] * 3, *[1, "b"] * 3, *[0, "a"] * 3]
    assert times == [[2, 2], [3, 3]]


def test_without_a_warm_up_every_call_is_timed():
    seen = []
    assert len(in_turns([lambda: seen.append(0)], 4, warm=False)[0]) == len(seen) == 4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quartiles_are_numpy_s(seed):
    values = np.random.default_rng(seed).uniform(1, 9, size=3 + 4 * seed).tolist()
    assert np.allclose(quartiles(values), np.percentile(values, [25, 50, 75]))
    assert quartiles(values[:1]) == (values[0],) * 3
    assert ratios([v * 3 for v in values], values) == pytest.approx([3] * len(values))
    assert spread([0.001, 0.002, 0.003]) == "2 ms (1.5 … 2.5)"


def _machine(load: float | None) -> Machine:
    return Machine("2000-01-01", "a processor", 2, "Linux", "3.11", (), {"numpy": "2.0"}, load)


def test_a_busy_machine_is_named():
    assert ("load", "0.2") in _machine(0.2).lines()
    assert not _machine(0.2).busy
    assert not _machine(None).busy
    [busy] = [text for what, text in _machine(3.0).lines() if what == "load"]
    assert busy.startswith("3.0 - BUSY")
    assert _machine(3.0).to_dict()["busy"] is True


def test_the_header_says_date_versions_and_what_is_absent():
    text = header(["numpy", "no-such-package"])
    assert f"numpy {np.__version__}, no-such-package absent" in text
    assert re.search(r"date +\d{4}-\d\d-\d\d", text)
    assert "no-such-package" not in machine().versions


def test_a_gpu_is_named_only_when_it_was_measured(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X, 100 MiB, 555.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert machine().gpus == ()
    assert machine(gpu=True).gpus == ("NVIDIA X, 100 MiB, driver 555.1",)
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert machine(gpu=True).gpus == ()


@pytest.mark.parametrize(("calls", "batch"), [(1, 1), (3, 2), (7, 5)])
def test_the_bare_network_is_called_as_often_as_it_should(calls, batch):
    seen = []

    def fn(x, t, label):
        seen.append((x.shape, t.shape, label.shape))
        return 0 * x

    net = dtool.network(fn, shape=(2, 3), classes=4)
    for made in (bare(net, calls, batch), bound(net, calls, batch)):
        seen.clear()
        made()
        assert seen == [((batch, 2, 3), (batch,), (batch,))] * calls


@pytest.mark.skipif(not INSTALLED["onnxruntime"], reason="needs onnxruntime")
def test_on_onnxruntime_it_is_the_session_and_nothing_is_left_changed():
    net = dtool.default_network("cpu")
    session = net.session
    runs = []

    class Counting:
        def run(self, names, feed, *options):
            runs.append({name: value.shape for name, value in feed.items()})
            return session.run(names, feed, *options)

    net.session = Counting()
    try:
        made = bare(net, 3, 2)
        runs.clear()
        made()
    finally:
        net.session = session
    assert len(runs) == 3
    assert (2, 1, 28, 28) in runs[0].values()
    before = net.predict(*(np.zeros(s, d) for s, d in (((1, 1, 28, 28), "f4"), (1, "f4"), (1, "i8"))))
    bare(net, 1, 1)()
    bound(net, 1, 1)()
    assert net.session is session
    after = net.predict(*(np.zeros(s, d) for s, d in (((1, 1, 28, 28), "f4"), (1, "f4"), (1, "i8"))))
    assert np.array_equal(before, after)


@needs_torch
def test_on_pytorch_it_is_the_module():
    import torch

    shapes = []

    class Module(torch.nn.Module):
        def forward(self, x, t):
            shapes.append((tuple(x.shape), tuple(t.shape), torch.is_grad_enabled()))
            return x

    net = dtool.load(Module(), spec=dtool.NetworkSpec(shape=(4,), schedule="linear"), device="cpu")
    bare(net, 5, 3)()
    assert shapes == [((3, 4), (3,), False)] * 5


@pytest.mark.parametrize(("guidance", "rows"), [(None, 3), (1.0, 3), (0.0, 3), (2.5, 6)])
def test_guidance_doubles_what_the_bare_network_is_given(guidance, rows):
    plan = dtool.plan("ddim", steps=2)
    assert Work(plan, guidance, False, 3).doubled(3) == rows


SCHEDULERS = {
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing", "clip_sample": False}),
    "ddpm": ("DDPMScheduler", {"variance_type": "fixed_small"}),
    "ddpm:sigma=beta": ("DDPMScheduler", {"variance_type": "fixed_large"}),
    "dpmpp-2m/karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "algorithm_type": "dpmsolver++"}),
    "dpmpp-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_type": "midpoint"}),
}


@pytest.mark.parametrize("recipe", SCHEDULERS)
def test_the_equivalent_recipe(recipe):
    kind, part = SCHEDULERS[recipe]
    found = equivalent(Recipe.parse(recipe), network(), 20, clip=False)
    assert found.kind == kind
    assert part.items() <= {k: v for k, v in found.config.items() if k != "trained_betas"}.items()
    assert np.allclose(found.config["trained_betas"], network().schedule.betas)


@pytest.mark.parametrize(
    ("recipe", "more", "clip", "reason"),
    [
        ("heun", {}, False, "has no heun"),
        ("ddpm:sigma=none", {}, False, "has no ddpm:sigma=none"),
        ("dpmpp-2m-sde:eta=0.5", {}, False, "has no dpmpp-2m-sde"),
        ("ddim@cosine", {}, False, "the schedule that the network was trained on"),
        ("ddim/karras", {}, False, "no spacing karras"),
        ("ddim/quadratic", {}, False, "no spacing quadratic"),
        ("dpmpp-2m/leading", {}, False, "no spacing leading"),
        ("ddim", {"prediction": "flow"}, False, "eps, x0 or v"),
        ("ddim", {"learned_variance": True}, False, "variance not learned"),
        ("ddim", {"data_range": (0.0, 1.0)}, True, "clip to -1"),
    ],
)
def test_what_diffusers_does_not_have_is_said(recipe, more, clip, reason):
    net = dtool.network(lambda x, t: x, shape=(4,), **more)
    with pytest.raises(NoEquivalentError, match=reason):
        equivalent(Recipe.parse(recipe), net, 20, clip=clip)


def test_a_difference_is_the_largest_and_nan_is_not_hidden():
    one = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    other = one.copy()
    other[1, 2] += 0.25
    assert difference(one, other) == pytest.approx(0.25)
    other[0, 0] = np.nan
    assert np.isnan(difference(one, other))
    assert difference(None, one) is None


def test_unsteady_figures_are_not_final():
    def found(seconds):
        timings = (Timing(BARE, 1, seconds, (1.0,) * len(seconds)),)
        return Benchmark(_machine(0.0), "m", "numpy", "cpu", "ddim", "", 1, 1, 3, None, 1, BARE, timings)

    assert found((1.0, 1.01, 1.02)).warnings == []
    assert "quartiles of the reference's own times are 50% apart" in found((1.0, 1.0, 2.0)).warnings[0]


def test_slow_calls_are_timed_too(monkeypatch, tmp_path):
    """After a slow call the network is called in another way, which the script must not miss."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from small_networks import write

    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    import overhead

    from dtool.backends import onnxruntime_backend

    write(tmp_path / "net.onnx", shape=(2, 3))
    network = dtool.load(tmp_path / "net.onnx", device="cpu")
    for slow in (60.0, -1.0):
        monkeypatch.setattr(onnxruntime_backend, "SLOW", slow)
        assert overhead._within(network, lambda: dtool.sample(network, "ddim", steps=5, n=1)) > 1
