"""k-diffusion's samplers, read from its one file: the package itself imports far more than they need."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from dtool.plan import Point
from tests.parity.pairing import Noise, Run, output, time_at

HIGH, LOW = 14.0, 0.03


@functools.cache
def sampling() -> ModuleType:
    """k_diffusion/sampling.py; skips the test if it, or what it imports, is not installed."""
    for name in ("torchdiffeq", "torchsde", "tqdm", "scipy"):
        pytest.importorskip(name)
    found = importlib.util.find_spec("k_diffusion")
    if found is None or not found.submodule_search_locations:
        pytest.skip("k-diffusion is not installed")
    path = Path(found.submodule_search_locations[0]) / "sampling.py"
    package, name = ModuleType("k_diffusion_alone"), "k_diffusion_alone.sampling"
    package.utils = SimpleNamespace(append_dims=lambda x, n: x[(...,) + (None,) * (n - x.ndim)])  # type: ignore[attr-defined]
    sys.modules["k_diffusion_alone"] = package
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def karras(n: int, dtype: torch.dtype, *, zero: bool = True) -> Any:
    """k-diffusion's own grid of `n` steps, `(n + 1,)`; without `zero` it stops at its lowest level."""
    made = sampling().get_sigmas_karras(n if zero else n + 1, LOW, HIGH).to(dtype)
    return made if zero else made[:-1]


def run(sample: str, sigmas: Any, seed: int = 0, **options: Any) -> Run:
    """What `sample_…` makes of a grid of σ/α, `(n + 1,)`."""
    if "noise_sampler" in sampling().__dict__[sample].__wrapped__.__code__.co_varnames:
        options["noise_sampler"] = None
    noise, network = Noise(sigmas.dtype, seed), Denoiser()
    if "noise_sampler" in options:
        options["noise_sampler"] = noise.draw
    x = sigmas[0] * noise.start()
    result = getattr(sampling(), sample)(network, x, sigmas, disable=True, **options)
    points = [Point(1.0, float(v)) for v in sigmas]
    return Run(points, x, result, network.calls, noise)


def churned(sample: str, n: int, dtype: torch.dtype, gamma: float, s_min: float, s_max: float) -> tuple[Run, list[int]]:
    """Euler's or Heun's method with EDM's churn: `points` are the levels that it goes up to, where it calls.

    With the steps, but the first, before which it adds noise; it draws, and throws away, noise in the others too.
    """
    sigmas, noise, network = karras(n, dtype), Noise(dtype), Denoiser()
    start = sigmas[0] * noise.start()
    module = sampling()
    module.torch = SimpleNamespace(**vars(torch) | {"randn_like": noise.draw})
    try:
        options = {"s_churn": gamma * n, "s_tmin": s_min, "s_tmax": s_max}
        result = getattr(module, sample)(network, start, sigmas, disable=True, **options)
    finally:
        module.torch = torch
    up = [float(v) * (1 + gamma) if s_min <= v <= s_max else float(v) for v in sigmas]
    begun = start + (up[0] ** 2 - float(sigmas[0]) ** 2) ** 0.5 * noise.of(0)
    steps = [i for i in range(1, n) if s_min <= sigmas[i] <= s_max]
    return Run([Point(1.0, v) for v in up], begun, result, network.calls, noise), steps


def fast(n: int) -> Run:
    """DPM-Solver-fast with `n` = 3k + 1 network calls."""
    seen: list[float] = []
    network, noise = Denoiser(seen.append), Noise(torch.float64)
    start = HIGH * noise.start()
    high, low = torch.tensor(HIGH, dtype=torch.float64), torch.tensor(LOW, dtype=torch.float64)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # its grid is made in the default type
    try:
        solver = sampling().DPMSolver(network)
        result = solver.dpm_solver_fast(start, -high.log(), -low.log(), n, noise_sampler=noise.draw)
    finally:
        torch.set_default_dtype(default)
    return Run([Point(1.0, v) for v in (*seen, LOW)], start, result, network.calls, noise)


def single(order: int, n: int, seed: int) -> Run:
    """`n` steps of DPM-Solver-2 or -3 on k-diffusion's grid, which stops at its lowest level."""
    network, noise = Denoiser(), Noise(torch.float64, seed)
    sigmas = karras(n, torch.float64, zero=False)
    x = start = sigmas[0] * noise.start()
    solver = sampling().DPMSolver(network)
    for now, to in pairwise(-sigmas.log()):
        x, _ = getattr(solver, f"dpm_solver_{order}_step")(x, now, to)
    return Run([Point(1.0, float(v)) for v in sigmas], start, x, network.calls, noise)


class Denoiser:
    """The network as k-diffusion wants it, `(x, σ) -> x0` with x = x0 + σ·ε; its input is scaled to unit variance."""

    def __init__(self, seen: Callable[[float], None] | None = None) -> None:
        self.calls = 0
        self.seen = seen

    def __call__(self, x: Any, sigma: Any) -> Any:
        self.calls += 1
        v = float(sigma[0])
        if self.seen is not None:
            self.seen(v)
        return x - v * output(x / (1 + v * v) ** 0.5, time_at(v))
