"""Samplers of elsewhere as words of a recipe: diffusers:DDIMScheduler, k-diffusion:sample_heun, a plan that was saved.

The libraries are imported when such a word is used, by the room `bridges`, which runs their code once and makes a plan.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dtool.errors import CompileError, UsageError
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.point import Point
from dtool.samplers.rule import Prediction, Rule
from dtool.schedulers.schedule import Schedule

# Where the words of each library are read; the modules are above this one, and are imported by need alone.
LIBRARIES = {
    "diffusers": "dtool.bridges.diffusers_words:read_rule",
    "k-diffusion": "dtool.bridges.k_diffusion_words:read_rule",
    "azula": "dtool.bridges.azula_words:read_rule",
    "function": "dtool.bridges.function_words:read_rule",
    "plan": "dtool.plan.saved:read_rule",
}
_NEEDS = {
    "diffusers": ("torch", "diffusers"),
    "k-diffusion": ("torch", "k_diffusion", "torchdiffeq", "torchsde", "scipy", "tqdm"),
    "azula": ("torch", "azula"),
    "function": ("torch",),
    "plan": (),
}
EXAMPLES = {
    "diffusers": "DPMSolverMultistepScheduler", "k-diffusion": "sample_dpmpp_2m", "azula": "DDIMSampler",
    "function": "PACKAGE.MODULE:NAME", "plan": "FILE.json",
}  # fmt: skip
_SAVED = re.compile(r'[^:@,=~"]+\.json(:.*)?')


class Adopted(Protocol):
    """A plan with what is known of its making; see `dtool.bridges.adoption.Adoption`."""

    @property
    def plan(self) -> Plan:
        """The plan."""

    @property
    def error(self) -> float:
        """By how much its coefficients differ from what the foreign code does."""

    @property
    def schedule(self) -> Schedule | None:
        """The schedule that its times count on."""

    @property
    def noises(self) -> Column:
        """Its noises in terms of those that the foreign code draws."""


@dataclass(frozen=True, kw_only=True)
class AdoptionRequest:
    """What a foreign sampler is adopted for: `steps` of its own grid, or `points`.

    schedule: the levels that it is to run on, None for those that it has by itself. prediction: what the network says,
    where it makes a difference. exact: its constants are made in float64, not in float32 as it has them.
    """

    steps: int
    points: Sequence[Point] | None = None
    schedule: Schedule | None = None
    prediction: Prediction | None = None
    exact: bool = False


@dataclass(frozen=True, kw_only=True)
class ForeignRule(Rule):
    """A sampler of another library: a whole run of it becomes a plan, and no interval by itself.

    adopt: how. own_grid: it makes its own levels, and takes no spacing. saved: the plan, if it is one of a file.
    """

    adopt: Callable[[ForeignRule, AdoptionRequest], Adopted] = field(repr=False)
    own_grid: bool = True
    saved: Plan | None = field(default=None, repr=False)


def refuse_interval(now: Any, to: Any, **_: Any) -> Any:  # noqa: ARG001 - as a rule is called
    """In the place of a rule's function: raises CompileError."""
    raise CompileError(
        "a sampler of another library is a whole plan, and no rule for one interval",
        "make a plan of it: dtool.plan(…), dtool plan RECIPE",
    )


def find_library(token: str) -> str | None:
    """The library that a recipe's sampler is of, None if it is one of dtool's or of its plugins; "plan" of a file.

    >>> from dtool.plan.foreign import find_library
    >>> find_library("diffusers:DDIMScheduler"), find_library("ddim:eta=0.5"), find_library("mine.json:force=true")
    ('diffusers', None, 'plan')
    """
    if _SAVED.fullmatch(token.partition("~")[0]):
        return "plan"
    name, colon, _ = token.partition(":")
    return name if colon and name in LIBRARIES else None


def read_foreign_rule(library: str, word: str) -> ForeignRule:
    """The sampler that `word` names in a library, e.g. "DDIMScheduler:eta=0.5".

    Raises UsageError for a name that it does not have, and if the library is not installed.
    """
    if not word:
        raise UsageError(f"{library}: names no sampler", f"write {library}:{EXAMPLES[library]}")
    require_installed(library)
    module, _, function = LIBRARIES[library].partition(":")
    rule: ForeignRule = getattr(importlib.import_module(module), function)(word)
    return rule


def require_installed(library: str) -> None:
    """Raise UsageError if a library, or one that its samplers need, is not installed; nothing is imported."""
    for package in _NEEDS[library]:
        if not _is_installed(package):
            raise UsageError(
                f"{package} is not installed, which samplers of {library} need",
                f"pip install 'dtool-diffusion[{library}]'; a plan that was saved or exported runs without it",
            )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False
