"""Where a diffusers scheduler's steps fall, as one of dtool's spacings."""

from __future__ import annotations

from typing import Any

from dtool.models.readers.diffusers_config import SchedulerConfig
from dtool.models.readers.diffusers_task import Task, format_spacing
from dtool.schedulers.levels import compute_v

PLACES = ("linspace", "leading", "trailing")
_BY_NOISE = {
    "use_karras_sigmas": "karras", "use_lu_lambdas": "logsnr", "use_exponential_sigmas": "logsnr",
    "use_beta_sigmas": "beta",
}  # fmt: skip
NOTED_START = 1e-4  # the relative difference of the start's size from which on it is written down


def place_whole(task: Task, end: str | None) -> tuple[str, str]:
    """(kind, spacing) of the classes that step from time to time: DDIM, DDPM, PNDM."""
    values = task.values
    kind = values.word("timestep_spacing", PLACES)
    offset = values.whole("steps_offset", 0, values["num_train_timesteps"] - 1)
    if end and _begins_at_end(kind, offset):
        end = "stay"
    return kind, _place(kind, "diffusers", offset, end=end)


def _place(kind: str, compat: str, offset: int, **options: Any) -> str:
    extra = {"offset": offset} if kind == "leading" and offset else {}
    compat = "diffusers" if kind == "trailing" else compat
    return format_spacing(kind, compat=compat, **extra, **options)


def place_by_sigma(task: Task) -> str:
    """The spacing of k-diffusion's classes: Euler, Heun, KDPM2, LMS, DPMSolverSDE."""
    values = task.values
    kind = values.word("timestep_spacing", PLACES)
    offset = values.whole("steps_offset", 0, values["num_train_timesteps"] - 1)
    formula = choose_formula(values)
    _note_zero_snr(task)
    if kind != "leading":
        _note_start(task)
    end = None
    if values["final_sigmas_type"] is not None and values.word("final_sigmas_type", ("zero", "sigma_min")) != "zero":
        end = "stay" if _begins_at_end(kind, offset) else "alpha_bar_0"
    over = None if kind == "linspace" else _place(kind, "diffusers", offset)
    if formula:
        return _place_formula(task, formula, over, end)
    logarithmic = values["interpolation_type"] not in (None, "linear")
    if logarithmic and values.word("interpolation_type", ("linear", "log_linear")):
        task.differ("diffusers spreads its levels evenly in ln σ, but tells the network other times")
    if kind == "linspace":
        return format_spacing("normal", end=end)
    return _place(kind, "diffusers", offset, end=end)


def _begins_at_end(kind: str, offset: int) -> bool:
    """Whether the last step begins at t = 0, which is also where those classes end that do not go to the image."""
    return kind == "linspace" or (kind == "leading" and not offset)


def _place_formula(task: Task, formula: str, over: str | None, end: str | None) -> str:
    """A spacing by noise, between the ends of the spacing by time `over`, if the config does not name its ends."""
    values = task.values
    bounds = {key: values.positive(key) for key in ("sigma_min", "sigma_max") if values[key] is not None}
    if formula == "beta":
        if over is not None or bounds:
            task.differ("diffusers spreads its levels between the ends of its spacing by time")
        return format_spacing(formula, compat="diffusers", end=end)
    return format_spacing(formula, over=None if len(bounds) == 2 else over, **_within(bounds, task), end=end)


def _within(bounds: dict[str, float], task: Task) -> dict[str, float]:
    """The ends of a spacing by noise, as far as the schedule has them."""
    low, high = (float(v) for v in compute_v(task.schedule.alpha, task.schedule.sigma)[[0, -1]])
    kept = {key: value for key, value in bounds.items() if low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)}
    if kept != bounds:
        task.differ("diffusers goes beyond the levels of the training schedule (sigma_min, sigma_max)")
    return kept


def _note_start(task: Task) -> None:
    """Their start is σ·z, where the forward process makes √(1+σ²)·z: in the schedule's coordinates σ·z, and not z."""
    share = 1 - float(task.schedule.sigma[-1])
    if share > NOTED_START and task.schedule.coordinates == "vp":
        task.differ(f"diffusers starts from noise that is {share:.2%} smaller; from the same x it is the same")


def choose_formula(values: SchedulerConfig) -> str | None:
    """The spacing by noise that is asked for, if one is; raises DtoolError for several."""
    chosen = [key for key in _BY_NOISE if values.flag(key)]
    if len(chosen) > 1:
        raise values.contradiction(f"{' and '.join(chosen)} are both set")
    return _BY_NOISE[chosen[0]] if chosen else None


def place_multistep(task: Task, end: str | None) -> str:
    """The spacing of DPM-Solver, UniPC, DEIS and SA-Solver. end: where the last step ends, None for the image."""
    values = task.values
    formula = choose_formula(values)
    _note_zero_snr(task)
    if values["lambda_min_clipped"] not in (None, float("-inf")):
        _note_clipped(task)
    if formula:
        cosine = values["beta_schedule"] == "squaredcos_cap_v2" and values.kind == "DPMSolverMultistepScheduler"
        if cosine:
            task.differ("diffusers fails where two of its times, cut off to whole ones, are the same")
        rounds = (values.flag("use_karras_sigmas") or values.flag("use_lu_lambdas")) and not cosine
        compat = "diffusers" if formula == "beta" else None
        last = "stay" if end else None
        return format_spacing(formula, compat=compat, end=last, network_time="round" if rounds else "floor")
    if values.flag("use_flow_sigmas"):
        return _place_flow(task, end)
    kind = "linspace" if values["timestep_spacing"] is None else values.word("timestep_spacing", PLACES)
    offset = 0 if values["steps_offset"] is None else values.whole("steps_offset", 0, values["num_train_timesteps"] - 1)
    return _place(kind, "diffusers-multistep", offset, end=end)


def _note_zero_snr(task: Task) -> None:
    if task.values.flag("rescale_betas_zero_snr"):
        task.differ("diffusers' noisiest level keeps a trace of signal, ᾱ = 2^-24; the recipe's has none")


def _note_clipped(task: Task) -> None:
    task.values.number("lambda_min_clipped")
    task.differ("diffusers leaves out the noisiest levels, those below lambda_min_clipped")


def _place_flow(task: Task, end: str | None) -> str:
    values = task.values
    shift = values.positive("flow_shift")
    ends = "open" if values.kind == "UniPCMultistepScheduler" else "below"
    if end and values.kind.startswith("DPMSolver"):
        task.differ("diffusers ends at the level of its betas, not of the flow; the recipe at its last level")
    if values.flag("use_dynamic_shifting"):
        task.assumptions.append(f"the shift, which the pipeline computes, is flow_shift={shift:g}")
    terminal = None if not values["shift_terminal"] else values.number("shift_terminal", 0, 0.999)
    return format_spacing("flow-sigmas", shift=shift, ends=ends, terminal=terminal, end="stay" if end else None,
                          network_time="floor")  # fmt: skip
