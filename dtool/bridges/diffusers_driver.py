"""diffusers' scheduler classes, each in the calling loop that its pipelines run it in."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from dtool.bridges.diffusers_levels import find_level, has_index, read_prediction
from dtool.bridges.diffusers_loops import LOOPS
from dtool.bridges.probe import BrownianPath, Probe, replace_names, widen_constants
from dtool.bridges.unrolled import Ask, ForeignSampler, Level
from dtool.errors import DtoolError, UsageError
from dtool.plugins.refused_names import NOT_GAUSSIAN, UNADOPTED, explain_refused_name
from dtool.schedulers.schedule import Schedule
from dtool.util.text import format_exception

MODULES = ("diffusers.schedulers.scheduling_", "diffusers.schedulers.deprecated.scheduling_")


@dataclass(frozen=True, kw_only=True)
class Scheduling:
    """A scheduler and how it is called: `make()` a new one, `steps`, arguments of its set_timesteps and of its step.

    wide: its constants are made in float64. spread: what the network says of its noise's variance, -1 … 1, in as many
    channels more.
    """

    make: Callable[[], Any]
    steps: int
    grid: Mapping[str, Any] = field(default_factory=dict)
    step: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = False
    spread: float | None = None

    @cached_property
    def _new(self) -> Any:
        """One as it was made: some take long for it."""
        return self.make()

    @contextlib.contextmanager
    def open(self) -> Iterator[Any]:
        """A scheduler with its grid made, in the precision that is asked for while it is entered."""
        modules = [module for name, module in list(sys.modules.items()) if name.startswith(MODULES)]
        with widen_constants(*modules) if self.wide else contextlib.nullcontext():
            scheduler = copy.deepcopy(self._new)
            scheduler.set_timesteps(self.steps, **self.grid)
            yield scheduler


def make_sampler(scheduling: Scheduling, token: str, schedule: Schedule | None) -> ForeignSampler:
    """The scheduler as a sampler that can be unrolled; raises UsageError for a class that cannot be."""
    import diffusers

    with explain_refusal(token), scheduling.open() as scheduler:
        kind = type(scheduler).__name__
        require_known(kind, token)
        scale = getattr(scheduler, "init_noise_sigma", 1.0)
        init = float(scheduler.config.sigma_data) if kind == "SCMScheduler" else float(scale)
        prediction = read_prediction(scheduler)
    inverse = "Inverse" in kind
    return ForeignSampler(
        token=token, source=f"diffusers {diffusers.__version__}", prediction=prediction,
        run=lambda x, ask, probe: _run(scheduling, x, ask, probe), init=1.0 if inverse else init, schedule=schedule,
        inverse=inverse, exact=scheduling.wide,
    )  # fmt: skip


def require_known(kind: str, token: str) -> None:
    """Raise UsageError for a class that is no Gaussian sampler, or whose network gives more than a plan's does."""
    if kind in (*NOT_GAUSSIAN, *UNADOPTED) and (refusal := explain_refused_name("sampler", kind)) is not None:
        raise UsageError(f"{token.removesuffix(kind)}{refusal[0]}", refusal[1])


def require_one_stage(scheduler: Any, token: str) -> None:
    """Raise UsageError for Helios in several stages."""
    stages = scheduler.config.get("stages", 1)
    if stages != 1:
        raise UsageError(
            f"{token}: after the last network call of each of {stages} stages its pipeline enlarges x",
            "one stage is a table: stages=1",
        )


@contextlib.contextmanager
def explain_refusal(token: str) -> Iterator[None]:
    """What the library raises when a scheduler is made, as a UsageError."""
    try:
        yield
    except DtoolError:
        raise
    except Exception as error:
        raise UsageError(f"{token} is refused by diffusers: {format_exception(error)}", "use other options") from error


def _run(scheduling: Scheduling, x: Any, ask: Ask, probe: Probe) -> Any:
    """x at the end, from x at the start, in the loop of the scheduler's class."""
    with torch.no_grad(), contextlib.ExitStack() as stack:
        scheduler = stack.enter_context(scheduling.open())
        module = sys.modules[type(scheduler).__module__]
        path = BrownianPath(probe)
        stack.enter_context(replace_names(vars(module), BrownianTreeNoiseSampler=lambda *_, **__: path))
        loop = LOOPS.get(type(scheduler).__name__, _run_plainly)
        stack.enter_context(probe)
        said = ask if scheduling.spread is None else _say_spread(ask, scheduling.spread)
        return loop(scheduler, x, said, dict(scheduling.step))


def _say_spread(ask: Ask, spread: float) -> Ask:
    """A network that says something of the noise's variance, too: everywhere the same."""

    def say(x: Any, given: Any, level: Level) -> Any:
        output = ask(x, given, level)
        return torch.cat([output, torch.full_like(output, spread)], dim=1)

    return say


def _run_plainly(scheduler: Any, x: Any, ask: Ask, step: dict[str, Any]) -> Any:
    """The loop of nearly all: scale the input, call the network, step."""
    answer = _choose_answer(scheduler)
    for i, t in enumerate(scheduler.timesteps):
        starts = _starts_step(scheduler, i)
        given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        level = find_level(scheduler, t, i)._replace(starts=starts)
        x = scheduler.step(answer(ask, x, given, level), t, x, return_dict=False, **step)[0]
    return x


def _choose_answer(scheduler: Any) -> Callable[[Ask, Any, Any, Level], Any]:
    """How the network's output, as a plan means it, is said in the scheduler's own words."""
    kind, config = type(scheduler).__name__, scheduler.config
    if kind == "CMStochasticIterativeScheduler":
        return lambda ask, x, _, level: _say_boundary(scheduler, x, ask(x, x, level))
    negated = kind == "MiniMaxH3Scheduler" or (
        "sigma_data" in config and config.get("prediction_type") == "v_prediction"
    )
    return lambda ask, x, given, level: -ask(x, given, level) if negated else ask(x, given, level)


def _say_boundary(scheduler: Any, x: Any, image: Any) -> Any:
    """What a consistency model would have to say for its image to be this one."""
    sigma = scheduler.sigmas[scheduler.step_index]
    skip, out = scheduler.get_scalings_for_boundary_condition(sigma)
    return (image - skip * x) / out


def _starts_step(scheduler: Any, i: int) -> bool:
    """Whether a step of the grid begins with the i-th network call."""
    if hasattr(scheduler, "state_in_first_order"):
        return bool(scheduler.state_in_first_order)
    if hasattr(scheduler, "prk_timesteps") and scheduler.prk_timesteps is not None and i < len(scheduler.prk_timesteps):
        return i % 4 == 0
    times = scheduler.timesteps
    return not (0 < i < len(times) - 1 and times[i] == times[i + 1] and has_index(scheduler))
