"""diffusers' own sampling loop from a scheduler's config, and ours by the recipe that is read from it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import dtool
from dtool.models.readers.diffusers_scheduler import SchedulerReading, read_scheduler_config
from dtool.run.torch_backend import TorchNetwork
from tests.parity.diffusers_side import precision
from tests.parity.pairing import SHAPE, Noise, output
from tests.support.parity_record import record_parity

VE = {
    f"{name}Scheduler" for name in (
        "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete",
        "LMSDiscrete", "DPMSolverSDE",
    )
}  # fmt: skip


def make_network(kind: str, config: dict[str, Any]) -> Any:
    """F(x, what the network is told): nonlinear in both, `(B, *)`; with the variance of its noise if it says that."""
    learned = config.get("variance_type") in ("learned", "learned_range")

    def answer(x: Any, told: Any) -> Any:
        if "EDM" in kind or config.get("timestep_type") == "continuous":
            told = 100 + 20 * told  # ¼ ln σ may be negative
        elif kind.startswith("CM"):
            told = 100 + told / 40
        said = output(x, told)
        return torch.cat([said, torch.tanh(0.5 * said - 0.1)], dim=1) if learned else said

    return answer


def run_theirs(kind: str, n: int, config: dict[str, Any], extra: dict[str, Any]) -> tuple[Any, Any, Noise, Any]:
    """(x at the start, the result, the noise drawn, the scheduler) of diffusers' loop, in its own coordinates."""
    import diffusers

    name = getattr(diffusers, kind).__module__.rpartition("scheduling_")[2]
    noise, network = Noise(torch.float32), make_network(kind, config)
    with precision(name, torch.float32, noise) as module, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(module, kind)(**config)
        scheduler.set_timesteps(**({} if "sigmas" in extra else {"num_inference_steps": n}), **extra)
        x = start = noise.start() * float(getattr(scheduler, "init_noise_sigma", 1.0))
        for t in scheduler.timesteps:
            shown = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            x = scheduler.step(network(shown, t * 1.0), t, x, return_dict=False)[0]
    return start, x, noise, scheduler


def make_ours(reading: SchedulerReading, config: dict[str, Any]) -> TorchNetwork:
    """The same network, with what was read of it."""
    call = make_network(reading.kind, config)
    call = call if reading.adapter is None else reading.adapter.wrap(call)
    return TorchNetwork(call, dtool.NetworkSpec(shape=SHAPE, **reading.to_fields()))


def measure(
    kind: str, n: int, config: dict[str, Any], *, tokens: int | None = None, pipeline: str | None = None, **extra: Any
) -> tuple[float, SchedulerReading]:
    """The largest difference of the two results from one start, as a part of the largest number; and what was read.

    extra: what `set_timesteps` is told besides n, e.g. mu.
    """
    reading = read_scheduler_config(config, class_name=kind, tokens=tokens, pipeline=pipeline)
    start, theirs, noise, scheduler = run_theirs(kind, n, config, extra)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = make_ours(reading, config)
        plan = dtool.plan(reading.recipe, steps=n, network=network)
        if kind in VE and network.schedule.coordinates == "vp":  # into the coordinates of the training schedule
            first, last = float(scheduler.sigmas[0]), float(scheduler.sigmas[-1])
            start, theirs = start / np.hypot(1, first), theirs / np.hypot(1, last)
        places = np.flatnonzero(plan.c) if len(noise.drawn) == plan.rows else range(plan.draws)  # some draw every step
        drawn = torch.stack([noise.of(int(k)) for k in places]) if plan.draws else None
        made = dtool.sample(network, plan, x=start, noise=drawn).x0
    error, largest = (float(each.abs().max()) for each in (made - theirs, theirs))
    record_parity(error, largest)
    return error / largest, reading
