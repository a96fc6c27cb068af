"""Words such as diffusers:DDIMScheduler:eta=0.5, and diffusers:FOLDER/scheduler for a config on disk."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dtool.bridges.adoption import Adoption, adopt_sampler
from dtool.bridges.diffusers_driver import Scheduling, explain_refusal, make_sampler, require_known, require_one_stage
from dtool.bridges.diffusers_levels import leaves_variance
from dtool.bridges.foreign_options import build_model
from dtool.bridges.installed import get_version, import_library, silence
from dtool.bridges.learned_noise import adopt_learned_noise
from dtool.errors import DtoolError, UsageError, did_you_mean, format_value
from dtool.models.readers.diffusers_scheduler import read_scheduler_config
from dtool.plan.foreign import AdoptionRequest, ForeignRule, refuse_interval
from dtool.plugins.refused_names import NOT_GAUSSIAN, UNADOPTED
from dtool.schedulers import get_scheduler
from dtool.schedulers.level_tables import MAX_STEPS
from dtool.schedulers.schedule import Schedule, from_betas
from dtool.util.bounded_reading import UnreadableError, read_json
from dtool.util.file_references import OWN_FILES_HINT, get_containing_file
from dtool.util.options import parse_token

CONFIG = "scheduler_config.json"
GIVEN = (
    "model_output", "timestep", "sample", "generator", "return_dict", "num_inference_steps", "device", "timesteps",
    "sigmas", "trained_betas", "prev_timestep", "kwargs", "timestep_back", "r_timestep",
    "sigma_hat", "sigma_prev", "sample_hat", "cur_sampling_step",
)  # fmt: skip
_BETAS = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "rescale_betas_zero_snr")
_SAID = {"eps": "epsilon", "v": "v_prediction"}


def read_rule(word: str) -> ForeignRule:
    """The rule of "CLASS:key=value,…", or of the folder that a config lies in; see `dtool.plan.foreign`."""
    path = Path(word)
    if "/" in word:
        return _make_rule(*_read_folder(path), f"diffusers:{word}")
    name, options = parse_token(word)
    return _make_rule(find_class(name), {}, f"diffusers:{name}").bind(**options)  # type: ignore[return-value]


def find_class(name: str) -> Any:
    """One of diffusers' own scheduler classes; raises UsageError for another name."""
    schedulers = import_library("diffusers", "diffusers.schedulers")
    silence("diffusers")
    names = [one for one in dir(schedulers) if _is_scheduler(one, getattr(schedulers, one))]
    if name not in names:
        known = [one for one in names if one not in (*NOT_GAUSSIAN, *UNADOPTED)]
        raise UsageError(f"diffusers has no scheduler {format_value(name)}", did_you_mean(name, known))
    require_known(name, f"diffusers:{name}")
    return getattr(schedulers, name)


def _is_scheduler(name: str, value: Any) -> bool:
    """Whether it is a class that is no stand-in for one of another framework."""
    return (
        isinstance(value, type) and name.endswith("Scheduler") and value.__module__.startswith("diffusers.schedulers.")
    )


def _read_folder(path: Path) -> tuple[Any, dict[str, Any]]:
    """(class, config) of a folder's scheduler_config.json, or of the folder `scheduler` in it; no code of it runs."""
    if source := get_containing_file():
        raise UsageError(f"{source} names another file, {format_value(str(path))}", OWN_FILES_HINT)
    files = [path / CONFIG, path / "scheduler" / CONFIG]
    file = next((each for each in files if each.is_file()), None)
    if file is None:
        raise UsageError(f"there is no {CONFIG} in {path}", "name the folder that a pipeline's scheduler was saved in")
    try:
        config = read_json(file)
    except (OSError, ValueError, UnreadableError) as error:
        raise UsageError(f"{file} cannot be read ({error})", "give one that save_pretrained wrote") from error
    if not isinstance(config, dict) or not isinstance(config.get("_class_name"), str):
        raise UsageError(f"{file} does not say what scheduler it is", 'it needs a "_class_name"')
    steps = config.get("num_train_timesteps", 1000)
    if not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
        raise UsageError(f"{file}: num_train_timesteps is {format_value(steps)}", f"a number in 1 … {MAX_STEPS}")
    found = find_class(config["_class_name"])
    known = inspect.signature(found.__init__).parameters
    return found, {key: value for key, value in config.items() if key in known}


def _make_rule(found: Any, config: Mapping[str, Any], name: str) -> ForeignRule:
    """The rule of a class; `config`: arguments of its own that are not options of the word."""
    init, grid, step = found.__init__, found.set_timesteps, get_step(found)
    model = build_model(found.__name__, [grid, step] if config else [init, grid, step], GIVEN)
    defaults = tuple((key, field.default) for key, field in model.model_fields.items() if not field.is_required())
    cite, inverse = f"diffusers {get_version('diffusers')}", "Inverse" in found.__name__
    return ForeignRule(
        name=name, step=refuse_interval, order=1, startup_order=1, calls=1, basis="x0", cite=cite, stochastic=False,
        model=model, family="adopted", inverse=inverse, options=defaults,
        adopt=lambda rule, request: _adopt(found, config, rule, request),
    )  # fmt: skip


def _adopt(found: Any, config: Mapping[str, Any], rule: ForeignRule, request: AdoptionRequest) -> Adoption:
    """The plan of a class with the rule's options, on the schedule that is asked for where it takes one."""
    options = {name: value for name, value in rule.options if value != rule.model.model_fields[name].default}
    known = inspect.signature(found.__init__).parameters
    own = dict(config) | {name: value for name, value in options.items() if name in known}
    schedule = None
    if request.schedule is not None and "trained_betas" in known:
        if said := [name for name in (*_BETAS, "trained_betas") if name in own and not config]:
            raise UsageError(f"{rule.token} is told a schedule, and {said[0]} too", "leave out one of them")
        schedule = request.schedule
        own = {name: value for name, value in own.items() if name not in _BETAS}
        own |= {"trained_betas": np.asarray(schedule.betas), "num_train_timesteps": schedule.T}
    if request.prediction in _SAID and "prediction_type" in known and "sigma_data" not in known:
        own.setdefault("prediction_type", _SAID[request.prediction])
    calls = {
        name: {key: value for key, value in options.items() if key in inspect.signature(function).parameters}
        for name, function in (("grid", found.set_timesteps), ("step", get_step(found)))
    }
    scheduling = Scheduling(
        make=lambda: found(**own), steps=request.steps, wide=request.exact, grid=calls["grid"], step=calls["step"]
    )
    with explain_refusal(rule.token):
        scheduler = found(**own)
    return _adopt_scheduling(scheduling, scheduler, rule.token, schedule or read_schedule(scheduler))


def get_step(found: Any) -> Any:
    """What a scheduler, or its class, steps by."""
    return found.step if hasattr(found, "step") else found.step_pred


def _adopt_scheduling(scheduling: Scheduling, scheduler: Any, token: str, schedule: Schedule | None) -> Adoption:
    """The plan of a scheduler that is called like this."""
    require_one_stage(scheduler, token)
    if not leaves_variance(scheduler, token):
        return adopt_sampler(make_sampler(scheduling, token, schedule))
    return adopt_learned_noise(
        lambda spread: adopt_sampler(make_sampler(replace(scheduling, spread=spread), token, schedule)), token
    )


def adopt_scheduler(scheduler: Any, steps: int, exact: bool, options: Mapping[str, Any]) -> Adoption:
    """The plan of a scheduler as it is; `options` are arguments of its set_timesteps and of its step."""
    kind = type(scheduler)
    token = f"diffusers:{kind.__name__}"
    signatures = {"grid": kind.set_timesteps, "step": get_step(kind)}
    calls: dict[str, dict[str, Any]] = {
        name: {key: value for key, value in options.items() if key in inspect.signature(function).parameters}
        for name, function in signatures.items()
    }
    for key in options:
        if not any(key in given for given in calls.values()):
            names = [one for function in signatures.values() for one in inspect.signature(function).parameters]
            raise UsageError(f"{token} has no option {key!r}", did_you_mean(key, set(names) - {"self", *GIVEN}))
    given = dict(scheduler.config)
    known = inspect.signature(kind.__init__).parameters
    own = {key: value for key, value in given.items() if key in known}
    make = (lambda: kind(**own)) if exact else (lambda: copy.deepcopy(scheduler))
    scheduling = Scheduling(make=make, steps=steps, wide=exact, grid=calls["grid"], step=calls["step"])
    word = _format(token, kind, own, options)
    return _adopt_scheduling(scheduling, scheduler, word, read_schedule(scheduler))


def _format(token: str, kind: Any, own: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The scheduler as a word, with what differs from its class's defaults and can be typed."""
    model = build_model(kind.__name__, [kind.__init__, kind.set_timesteps, get_step(kind)], GIVEN)
    from dtool.util.options import format_token

    said = {key: value for key, value in {**own, **options}.items() if key in model.model_fields}
    return format_token(token, model, said)


def read_schedule(scheduler: Any) -> Schedule | None:
    """The schedule on which a scheduler's times count, where dtool knows it or its betas say it; else None."""
    config = dict(scheduler.config)
    betas = getattr(scheduler, "betas", None)
    has_betas = betas is not None and hasattr(scheduler, "alphas_cumprod") and "snr_shift_scale" not in config
    alone = {key: config[key] for key in (*_BETAS, "trained_betas") if key in config}
    for values, kind in ((config, type(scheduler).__name__), *([(alone, "DDIMScheduler")] if has_betas else [])):
        try:
            found = read_scheduler_config(values, class_name=kind).schedule
            return get_scheduler(found) if isinstance(found, str) else found
        except DtoolError:
            continue
    if not has_betas:
        return None
    try:
        return from_betas(np.asarray(betas, dtype=np.float64))
    except DtoolError:
        return None
