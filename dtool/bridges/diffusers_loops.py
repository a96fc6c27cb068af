"""Schedulers of diffusers that are called in a way of their own, each in the loop of its own pipeline."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, sin, sqrt
from typing import Any

import torch

from dtool.bridges.diffusers_levels import find_level
from dtool.bridges.unrolled import Ask, Level

Loop = Callable[[Any, Any, Ask, dict[str, Any]], Any]  # (scheduler, x at the start, ask, arguments of step) ↦ the end


def _run_with_previous(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """UnCLIP is told the time that comes next."""
    times = [*scheduler.timesteps, None]
    for i, t in enumerate(scheduler.timesteps):
        output = ask(x, x, find_level(scheduler, t, i))
        x = scheduler.step(output, t, x, prev_timestep=times[i + 1], return_dict=False, **step)[0]
    return x


def _run_cogvideo(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """CogVideoX's DPM-Solver: the caller keeps the image of the call before, and its time."""
    before, earlier = None, None
    for i, t in enumerate(scheduler.timesteps):
        output = ask(x, x, find_level(scheduler, t, i))
        x, before = scheduler.step(output, before, t, earlier, x, return_dict=False, **step)
        earlier = t
    return x


def _run_wuerstchen(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """Times in 0 … 1, one an image, the last of which is the end."""
    for t in scheduler.timesteps[:-1]:
        share = float(scheduler._alpha_cumprod(t.reshape(1), x.device))
        output = ask(x, x, Level(sqrt(share), sqrt(1 - share)))
        x = scheduler.step(output, t.reshape(1), x, return_dict=False, **step)[0]
    return x


def _run_trigflow(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """sCM: α = cos t, σ = σ_data·sin t; the network is asked for the image, whatever it says it by."""
    spread = float(scheduler.config.sigma_data)
    for t in scheduler.timesteps[:-1]:
        alpha, sigma = cos(float(t)), sin(float(t))
        image = ask(x, x, Level(alpha, spread * sigma))
        x = scheduler.step((torch.cos(t) * x - image) / torch.sin(t), t, x, return_dict=False, **step)[0]
    return x


def _run_repaint(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """RePaint where nothing of the image is known: down its times, and up again by adding noise."""
    last = None
    for i, t in enumerate(scheduler.timesteps):
        if last is not None and t >= last:
            x = scheduler.undo_step(x, last)
        else:
            output = ask(x, x, find_level(scheduler, t, i))
            x = scheduler.step(output, t, x, original_image=0.0, mask=0.0, return_dict=False, **step)[0]
        last = t
    return x


def _run_karras_ve(scheduler: Any, x: Any, ask: Ask, _: dict[str, Any]) -> Any:
    """Algorithm 2 of arXiv:2206.00364: noise, a step, and its corrector; the network says -ε."""
    for t in scheduler.timesteps:
        sigma, to = scheduler.schedule[t], scheduler.schedule[t - 1] if t > 0 else 0.0
        noisy, level = scheduler.add_noise_to_input(x, sigma)
        output = -ask(noisy, noisy, Level(1.0, float(level)))
        x, slope = scheduler.step(output, level, to, noisy, return_dict=False)
        if to != 0:
            output = -ask(x, x, Level(1.0, float(to), starts=False))
            x, _slope = scheduler.step_correct(output, level, to, noisy, x, slope, return_dict=False)
    return x


def _run_sde_ve(scheduler: Any, x: Any, ask: Ask, _: dict[str, Any]) -> Any:
    """Correctors, then a predictor, on a network that says the score -ε/σ; the last noise is left out."""
    scheduler.set_sigmas(len(scheduler.timesteps))
    mean = x
    for i, t in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[i])
        for k in range(scheduler.config.correct_steps):
            score = -ask(x, x, Level(1.0, sigma, starts=k == 0)) / sigma
            x = scheduler.step_correct(score, x, return_dict=False)[0]
        score = -ask(x, x, Level(1.0, sigma, starts=scheduler.config.correct_steps == 0)) / sigma
        x, mean = scheduler.step_pred(score, t, x, return_dict=False)
    return mean


def _run_sde_vp(scheduler: Any, x: Any, ask: Ask, _: dict[str, Any]) -> Any:
    """Euler and Maruyama's steps of the reverse SDE in its own time; the last noise is left out."""
    low, high = float(scheduler.config.beta_min), float(scheduler.config.beta_max)
    mean = x
    for t in scheduler.timesteps:
        alpha = exp(-0.25 * float(t) ** 2 * (high - low) - 0.5 * float(t) * low)
        x, mean = scheduler.step_pred(ask(x, x, Level(alpha, sqrt(1 - alpha**2))), x, t)
    return mean


def _run_helios_dmd(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """The images of each call, with the noise of the start again; its arrays are videos, with one axis more."""
    times, start = scheduler.timesteps, x[None]
    levels = {"dmd_noisy_tensor": start, "dmd_sigmas": scheduler.sigmas, "dmd_timesteps": times, "all_timesteps": times}
    for i, t in enumerate(times):
        output = ask(x, x, find_level(scheduler, t, i))[None]
        x = scheduler.step(output, t, x[None], return_dict=False, cur_sampling_step=i, **levels, **step)[0][0]
    return x


def _run_proteina(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """Times from noise, 0, to data, 1, where every token is drawn; the network says x0 - ε."""
    drawn = torch.ones(1, 1, dtype=torch.bool)
    for t in scheduler.timesteps:
        output = -ask(x, x, Level(float(t), 1 - float(t)))
        x = scheduler.step(output, t, x, drawn, return_dict=False, **step)[0]
    return x


def _run_decoder(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """The consistency decoder's two steps, without the latents that its network is told."""
    for t in scheduler.timesteps:
        level = Level(float(scheduler.sqrt_alphas_cumprod[t]), float(scheduler.sqrt_one_minus_alphas_cumprod[t]))
        output = ask(x, scheduler.scale_model_input(x, t), level)
        x = scheduler.step(output, t, x, return_dict=False, **step)[0]
    return x


LOOPS: dict[str, Loop] = {
    "UnCLIPScheduler": _run_with_previous,
    "CogVideoXDPMScheduler": _run_cogvideo,
    "DDPMWuerstchenScheduler": _run_wuerstchen,
    "SCMScheduler": _run_trigflow,
    "RePaintScheduler": _run_repaint,
    "KarrasVeScheduler": _run_karras_ve,
    "ScoreSdeVeScheduler": _run_sde_ve,
    "ScoreSdeVpScheduler": _run_sde_vp,
    "HeliosDMDScheduler": _run_helios_dmd,
    "RFD4ProteinaScheduler": _run_proteina,
    "ConsistencyDecoderScheduler": _run_decoder,
}
