"""The recipe that is a diffusers scheduler: its rule, its spacing, and in what they are not exactly its own."""

from __future__ import annotations

from collections.abc import Callable

from dtool.models.readers.diffusers_config import SchedulerConfig
from dtool.models.readers.diffusers_flow import choose_flow_recipe
from dtool.models.readers.diffusers_multistep import (
    choose_deis,
    choose_dpm_solver,
    choose_sa_solver,
    choose_singlestep,
    choose_unipc,
    place_edm,
)
from dtool.models.readers.diffusers_spacing import place_by_sigma, place_whole
from dtool.models.readers.diffusers_task import Task, format_sampler, format_spacing


def choose_recipe(task: Task, *, tokens: int | None, pipeline: str | None) -> str:
    """SAMPLER[@SCHEDULER]/SPACING; raises DtoolError for values that have no recipe."""
    if task.values.kind.startswith("FlowMatch"):
        return choose_flow_recipe(task, tokens, pipeline)
    return _FAMILIES[task.values.kind](task)


def _clips(values: SchedulerConfig) -> bool:
    return values.flag("clip_sample") or values.flag("thresholding")


def _ddim(task: Task) -> str:
    values = task.values
    sampler = format_sampler("ddim", use_clipped=False if _clips(values) else None)
    end = None if values.flag("set_alpha_to_one") else "alpha_bar_0"
    kind, spacing = place_whole(task, end)
    if kind == "linspace":
        task.differ("diffusers steps ⌊T/n⌋ back from each time, which with linspace is not the next one")
    elif kind == "trailing":
        task.differ(_unequal(values, "diffusers steps ⌊T/n⌋ back from each time, which is then not the next one"))
    return f"{sampler}/{spacing}"


def _ddim_inverse(task: Task) -> str:
    values = task.values
    clips = values.flag("clip_sample")
    sampler = format_sampler("ddim-inversion", told="next", use_clipped=False if clips else None)
    kind, spacing = place_whole(task, None)
    if clips:
        task.differ("diffusers clips; an inversion of dtool's does if it is asked to, by clip=True")
    if not values.flag("set_alpha_to_one"):
        task.differ("diffusers begins at the level of t = 0, the recipe at the image")
    if kind == "trailing":
        task.differ(_unequal(values, "diffusers steps ⌊T/n⌋ from each time, which is then not the next one"))
    return f"{sampler}/{spacing}"


def _unequal(values: SchedulerConfig, what: str) -> str:
    return f"where the number of steps n does not divide T = {values['num_train_timesteps']}, {what}"


def _ddpm(task: Task) -> str:
    values = task.values
    kinds = {"fixed_small": None, "fixed_small_log": None, "fixed_large": "beta", "learned_range": "learned"}
    others = {"learned": None, "fixed_large_log": "beta"}
    word = values.word("variance_type", [*kinds, *others])
    kind, spacing = place_whole(task, None)
    if word == "learned":
        task.differ("diffusers adds noise of the variance that the network names; the recipe adds that of β̃")
    if word == "fixed_large_log":
        task.differ("diffusers takes the root of a logarithm, so that its images are no numbers; the recipe adds β")
    above_zero = kind == "trailing" or (kind == "leading" and values["steps_offset"])
    if above_zero and word in ("fixed_large", "learned_range"):
        task.differ("diffusers adds noise in the last step too, which begins above t = 0")
    return f"{format_sampler('ddpm', sigma=(kinds | others)[word])}/{spacing}"


def _pndm(task: Task) -> str:
    values = task.values
    kind, spacing = place_whole(task, None if values.flag("set_alpha_to_one") else "alpha_bar_0")
    sampler = "plms" if values.flag("skip_prk_steps") else "pndm"
    if sampler == "pndm":
        task.differ("where ⌊T/n⌋ is odd, diffusers tells the network half-way levels by the time next to theirs")
    if kind == "linspace":
        task.differ("diffusers steps ⌊T/n⌋ back from each time, which with linspace is not the next one")
    elif kind == "trailing":
        task.differ(_unequal(values, "diffusers steps ⌊T/n⌋ back from each time, which is then not the next one"))
    return f"{sampler}/{spacing}"


def _by_sigma(sampler: str) -> Callable[[Task], str]:
    def choose(task: Task) -> str:
        return f"{sampler}/{place_by_sigma(task)}"

    return choose


def _dpm_sde(task: Task) -> str:
    task.differ("diffusers draws both noises of a step from one Brownian path, the recipe independent ones")
    return f"dpmpp-sde/{place_by_sigma(task)}"


def _distilled(task: Task) -> str:
    values = task.values
    origin = values.whole("original_inference_steps", 1, values["num_train_timesteps"])
    if values.kind == "TCDScheduler":
        task.assumptions.append("the part of fresh noise (gamma, eta in diffusers) is 0.3, as in step()")
        return f"tcd/{format_spacing('lcm', origin=origin, end='alpha_bar_0')}"
    scaling = values.number("timestep_scaling", 0, 1e6)
    return f"{format_sampler('lcm', scaling=scaling)}/{format_spacing('lcm', origin=origin)}"


def _consistency(task: Task) -> str:
    values = task.values
    if values.number("s_noise", 0) != 1:
        task.differ("diffusers scales its fresh noise by s_noise")
    task.differ(_unequal(values, "diffusers leaves out the cleanest levels of its table, the recipe spreads over all"))
    least = values.positive("sigma_min")
    return f"{format_sampler('consistency', sigma_min=least)}/simple"


_FAMILIES: dict[str, Callable[[Task], str]] = {
    "DDIMScheduler": _ddim,
    "DDIMParallelScheduler": _ddim,
    "DDIMInverseScheduler": _ddim_inverse,
    "DDPMScheduler": _ddpm,
    "DDPMParallelScheduler": _ddpm,
    "PNDMScheduler": _pndm,
    "EulerDiscreteScheduler": _by_sigma("euler"),
    "EulerAncestralDiscreteScheduler": _by_sigma("euler-ancestral"),
    "HeunDiscreteScheduler": _by_sigma("heun"),
    "KDPM2DiscreteScheduler": _by_sigma("dpm2"),
    "KDPM2AncestralDiscreteScheduler": _by_sigma("dpm2-ancestral"),
    "DPMSolverSDEScheduler": _dpm_sde,
    "LMSDiscreteScheduler": _by_sigma("lms"),
    "DPMSolverMultistepScheduler": choose_dpm_solver,
    "DPMSolverSinglestepScheduler": choose_singlestep,
    "UniPCMultistepScheduler": choose_unipc,
    "DEISMultistepScheduler": choose_deis,
    "SASolverScheduler": choose_sa_solver,
    "LCMScheduler": _distilled,
    "TCDScheduler": _distilled,
    "EDMEulerScheduler": lambda task: f"euler/{place_edm(task)}",
    "EDMDPMSolverMultistepScheduler": choose_dpm_solver,
    "CMStochasticIterativeScheduler": _consistency,
}
