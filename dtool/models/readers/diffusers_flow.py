"""The recipe that is one of diffusers' flow-matching schedulers."""

from __future__ import annotations

from math import exp

from dtool.errors import DtoolError
from dtool.models.readers.diffusers_spacing import choose_formula
from dtool.models.readers.diffusers_task import Task, format_spacing
from dtool.schedulers import get_scheduler

# The beginnings of the names of pipelines that give levels of their own, 1, 1 - 1/n, … 1/n, which the scheduler shifts.
EVEN_LEVELS = (
    "AuraFlow", "Bria", "Chroma", "DreamLite", "Flux", "Krea2", "LTX", "Lumina2", "MotifVideo", "NucleusMoE",
    "OvisImage", "QwenImage", "VisualCloze", "ZImage",
)  # fmt: skip
MAX_TOKENS = 10**8


def choose_flow_recipe(task: Task, tokens: int | None, pipeline: str | None) -> str:
    """SAMPLER/SPACING of FlowMatchEuler and FlowMatchHeun; raises DtoolError for what has no recipe."""
    values = task.values
    if values.flag("invert_sigmas"):
        raise DtoolError(
            f"{values.source}: invert_sigmas counts the noise from the other end", "name a recipe, and wrap the network"
        )
    dynamic = values.flag("use_dynamic_shifting")
    shift = _find_dynamic_shift(task, tokens) if dynamic else values.positive("shift")
    ends = "closed" if dynamic or shift == 1 else "twice"
    if pipeline is not None and pipeline.startswith(EVEN_LEVELS):
        ends = "even"
    if choose_formula(values):
        task.differ("diffusers spreads its levels of σ by a formula; the recipe's are those before it")
    sampler = "flow-heun" if values.kind == "FlowMatchHeunDiscreteScheduler" else "euler"
    if values.flag("stochastic_sampling"):
        sampler = "lcm"
    if shift < 1 and ends != "even":  # to below the levels of the network's own schedule: they are clamped
        task.differ("diffusers goes below the levels that the network was trained on, and shifts its last one twice")
        return f"{sampler}@{get_scheduler('flow', T=values['num_train_timesteps'], shift=shift).token}/normal"
    return f"{sampler}/{format_spacing('flow-sigmas', shift=shift, ends=ends, terminal=_find_terminal(task))}"


def _find_dynamic_shift(task: Task, tokens: int | None) -> float:
    """k of the shift kσ/(1+(k-1)σ), for so many tokens an image."""
    values = task.values
    low, high = (values.number(key, -100, 100) for key in ("base_shift", "max_shift"))
    few, many = (values.whole(key, 1, MAX_TOKENS) for key in ("base_image_seq_len", "max_image_seq_len"))
    if few >= many:
        raise values.contradiction(f"base_image_seq_len={few} is not below max_image_seq_len={many}")
    if tokens is None:
        task.assumptions.append(f"an image has {many} tokens, by which the levels are shifted")
    mu = low + (high - low) / (many - few) * ((many if tokens is None else tokens) - few)
    if values.word("time_shift_type", ("exponential", "linear")) == "exponential":
        return exp(min(max(mu, -100), 100))
    if mu <= 0:
        raise values.contradiction(f"a linear shift by {mu:g}")
    return mu


def _find_terminal(task: Task) -> float:
    values = task.values
    if not values["shift_terminal"]:
        return 0.0
    if (terminal := values.number("shift_terminal", 0, 1)) < 1:
        return terminal
    raise values.wrong("shift_terminal", "a number below 1")
