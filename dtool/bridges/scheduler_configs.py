"""From the config of a scheduler of diffusers to a recipe, and back; without importing diffusers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from dtool.bridges.trained_network import SILENT, TrainedNetwork, read_trained_network
from dtool.errors import DtoolError, UsageError
from dtool.models.readers.diffusers_config import DEFAULTS
from dtool.models.readers.diffusers_scheduler import read_scheduler_config
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import COLUMNS, Plan
from dtool.plan.recipe import Recipe
from dtool.plugins.known_recipes import CLASSES, DIFFERENCES, METHODS_OF_DIFFUSERS

COMPARED_STEPS = (10, 17)  # the second does not divide T
TOLERANCE = 1e-6  # of coefficients: a config holds the same numbers in another way
TRAINED = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type",
    "rescale_betas_zero_snr", "sigma_data", "sigma_min", "sigma_max", "rho", "shift", "use_flow_sigmas", "flow_shift",
)  # fmt: skip
_PLACING: dict[str, tuple[Any, ...]] = {
    "timestep_spacing": ("leading", "trailing", "linspace"), "steps_offset": (0, 1), "set_alpha_to_one": (True, False),
    "final_sigmas_type": ("zero", "sigma_min"), "sigma_schedule": ("karras", "exponential"),
    "invert_sigmas": (False, True),
}  # fmt: skip
_FLAGS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas")
_STEPPING: dict[str, tuple[Any, ...]] = {
    "variance_type": ("fixed_small", "fixed_large", "learned_range"), "solver_order": (2, 1, 3),
    "algorithm_type": ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "noise_prediction"),
    "skip_prk_steps": (True, False), "solver_type": ("midpoint", "heun", "bh2", "bh1", "logrho"),
    "clip_sample": (False, True), "lower_order_final": (True, False), "euler_at_final": (False, True),
    "predict_x0": (True, False), "predictor_order": (2, 1, 3), "corrector_order": (2, 0, 1, 3),
    "stochastic_sampling": (False, True),
}  # fmt: skip
_UNLIKE = ("CMStochasticIterativeScheduler", "DDIMParallelScheduler", "DDPMParallelScheduler")  # a network's, or twins


@dataclass(frozen=True)
class RecipeReading:
    """The recipe of a config, and in what it is not exactly diffusers' own."""

    recipe: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class ConfigReading:
    """The config of a recipe, with its "_class_name", and in what diffusers' own run is not exactly the recipe's."""

    config: dict[str, Any]
    differences: tuple[str, ...]


def recipe(config: Mapping[str, Any]) -> RecipeReading:
    """The recipe that runs as diffusers does with this config: `dict(scheduler.config)`, or its parsed JSON.

    Raises DtoolError for a class that is not known, and for values that contradict each other.

    >>> from dtool.bridges.scheduler_configs import recipe
    >>> recipe({"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}).recipe
    'dpmpp-2m/karras:network_time=round'
    """
    said = read_scheduler_config(config, class_name=config.get("_class_name", SILENT))
    return RecipeReading(said.recipe, said.differences)


def config(recipe: str | Recipe, trained: Mapping[str, Any] | None = None) -> ConfigReading:
    """The config of the class of diffusers that runs as this recipe.

    trained: a scheduler's config of the network, for its betas and prediction; by default those of DDPM. Classes and
    their options are tried out: the table of the config's own recipe must be this one's, or at least its steps from
    level to level; where they fall may differ, and is said. Raises UsageError where diffusers has no such sampler.
    """
    wanted = recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)
    own = {key: value for key, value in (trained or {}).items() if key in TRAINED}
    network = read_trained_network({**own, "_class_name": (trained or {}).get("_class_name", SILENT)}, clip=False,
                                   threshold=None)  # fmt: skip
    found = [placed for each in _list_steppers(own, wanted, network) for placed in _place(each, wanted, network)]
    if not found:
        raise UsageError(
            f"no scheduler of diffusers steps as {wanted}", f'lend it: dtool.bridges.diffusers.Scheduler("{wanted}", …)'
        )
    _, best = min(found, key=lambda one: (one[0], len(one[1].differences), len(one[1].config)))
    return best


def describe_differences(name: str) -> tuple[str, ...]:
    """In what a class of diffusers with its defaults, or a function of ComfyUI, differs from the recipe of its name."""
    if name.lower() in DIFFERENCES:
        return DIFFERENCES[name.lower()]
    kind = CLASSES.get(name.lower())
    if kind in METHODS_OF_DIFFUSERS:
        return (f"where its steps fall is its own: diffusers:{kind} has that too, where diffusers is installed",)
    return () if kind is None else recipe({"_class_name": kind}).differences


recipe_of = recipe  # where `recipe` is an argument


def _list_steppers(own: Mapping[str, Any], wanted: Recipe, network: TrainedNetwork) -> list[dict[str, Any]]:
    """The configs whose class steps from level to level as this recipe does, wherever it places them.

    Those whose sampler has the recipe's name, if there are any: ddim is Euler's method too.
    """
    times = np.linspace(network.schedule.T - 1, 0, COMPARED_STEPS[0] + 1)[:-1].tolist()
    plan = make_plan(Recipe(wanted.rule), points=times, network=network)
    is_flow, is_edm = network.prediction == "flow", network.prediction.startswith("edm")
    found: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for token, configs in _group_by_sampler(is_flow, is_edm).items():
        sampler = Recipe.parse(token)
        if _is_same(plan, make_plan(sampler, points=times, network=network)):
            found[sampler.rule.name == wanted.rule.name] += [_add_training(config, own) for config in configs]
    return found[True] or found[False]


def _add_training(config: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The config with what is said of the network's training; a shift has another name where flow is an option."""
    defaults, shift = DEFAULTS[config["_class_name"]], own.get("shift", own.get("flow_shift"))
    told = {key: value for key, value in own.items() if key in defaults}
    told |= {key: shift for key in ("shift", "flow_shift") if key in defaults and shift is not None}
    return config | told


@cache
def _group_by_sampler(is_flow: bool, is_edm: bool) -> dict[str, list[dict[str, Any]]]:
    """The shortest config of each class for each sampler that it has, by the sampler's token; of such networks."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, defaults in DEFAULTS.items():
        takes_flow = kind.startswith("FlowMatch") or "use_flow_sigmas" in defaults
        if kind in _UNLIKE or (is_flow and not takes_flow) or kind.startswith("EDM") != is_edm:
            continue
        if not is_flow and kind.startswith("FlowMatch"):
            continue
        flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"} if is_flow else {}
        for options in _combine(_STEPPING, defaults):
            config = {"_class_name": kind, **{key: value for key, value in flow.items() if key in defaults}, **options}
            sampler = _read_sampler(config)
            if sampler is not None:
                known = found.setdefault(str(sampler), {}).get(kind)
                found[str(sampler)][kind] = config if known is None or len(config) < len(known) else known
    return {token: [*configs.values()] for token, configs in found.items()}


def _read_sampler(config: Mapping[str, Any]) -> Recipe | None:
    """The sampler of a config without its spacing; None for values that contradict each other."""
    try:
        return Recipe(Recipe.parse(recipe_of(config).recipe).rule)
    except DtoolError:
        return None


def _combine(choices: Mapping[str, tuple[Any, ...]], defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every way to set the options that a class has, without those that are its defaults."""
    names = [name for name in choices if defaults.get(name) is not None]
    for values in product(*(choices[name] for name in names)):
        yield {name: value for name, value in zip(names, values, strict=True) if value != defaults[name]}


def _place(config: Mapping[str, Any], wanted: Recipe, network: TrainedNetwork) -> Iterator[tuple[float, ConfigReading]]:
    """The config with every option that places its steps, and how far its table is from the recipe's."""
    plans = [make_plan(wanted, steps=steps, network=network) for steps in COMPARED_STEPS]
    defaults = DEFAULTS[config["_class_name"]]
    measured: dict[str, tuple[float, tuple[str, ...]]] = {}  # by recipe: many options place no step of a class
    for flag in (None, *(flag for flag in _FLAGS if flag in defaults)):
        for options in _combine(_PLACING, defaults):
            candidate = {**config, **options, **({flag: True} if flag else {})}
            try:
                said = recipe_of(candidate)
                if said.recipe not in measured:
                    measured[said.recipe] = _measure_distance(said.recipe, plans, network)
            except DtoolError:
                continue
            far, own = measured[said.recipe]
            yield far, ConfigReading(candidate, (*said.differences, *own))


def _measure_distance(recipe: str, plans: Sequence[Plan], network: TrainedNetwork) -> tuple[float, tuple[str, ...]]:
    """(how far a recipe's steps are from these plans', 0 for the same tables; in what they differ)."""
    others = (make_plan(recipe, steps=plan.steps, network=network) for plan in plans)
    first = next(others)
    if _is_same(plans[0], first) and all(_is_same(plan, other) for plan, other in zip(plans[1:], others, strict=True)):
        return 0.0, ()
    return 1 + _measure_times(first, plans[0]), (_describe_times(first, plans[0]),)


def _measure_times(theirs: Plan, ours: Plan) -> float:
    """How far apart the times are at which their steps begin, on average."""
    return float(np.abs(theirs.time[theirs.step_starts] - ours.time[ours.step_starts]).mean())


def _describe_times(theirs: Plan, ours: Plan) -> str:
    if _measure_times(theirs, ours) < 1e-3:
        return "its steps end at other levels than the recipe's"
    first, own = ([f"{time:.4g}" for time in plan.time[plan.step_starts][:3].tolist()] for plan in (theirs, ours))
    return f"its {theirs.steps} steps fall at {', '.join(first)}, …, the recipe's at {', '.join(own)}, …"


def _is_same(plan: Plan, other: Plan) -> bool:
    """Whether both are the same table."""
    return plan.rows == other.rows and all(
        getattr(plan, name).shape == getattr(other, name).shape
        and np.allclose(getattr(plan, name), getattr(other, name), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        for name in COLUMNS
    )
