"""Plans that were saved, as words of a recipe: five.json, or five.json:force=true for another network than its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from dtool.errors import DtoolError, UsageError
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.foreign import AdoptionRequest, ForeignRule, refuse_interval
from dtool.samplers.rule import Prediction
from dtool.util.file_references import OWN_FILES_HINT, get_containing_file
from dtool.util.options import build_options_model, parse_token

_FILE = re.compile(r"[^:]*?\.json(?=$|[:~])", re.IGNORECASE)
MAX_BYTES = 1 << 28
Force = Annotated[bool, Field(description="run a fitted plan for another network, guidance or clipping than its own")]


@dataclass(frozen=True, kw_only=True)
class SavedPlan(ForeignRule):
    """A plan as it is: it has its own steps, levels and guidance."""

    plan: Plan = field(repr=False)

    def give(self, steps: int | None, prediction: Prediction | None = None) -> Plan:
        """The plan; raises UsageError for another number of steps."""
        del prediction
        if steps is not None and steps != self.plan.steps:
            raise UsageError(
                f"{self.name} is a plan of {self.plan.steps} steps",
                f"leave --steps out, or use --steps {self.plan.steps}",
            )
        return replace(self.plan, fit=None) if dict(self.options)["force"] else self.plan


@dataclass(frozen=True)
class _Given:
    """As an adoption: nothing of it had to be found out."""

    plan: Plan
    error: float
    noises: Column


def find_plan_file(token: str) -> str | None:
    """The file that a recipe's sampler is, as it is typed; None if it is a sampler by its name.

    >>> from dtool.plan.plan_file import find_plan_file
    >>> find_plan_file("fits/five.json:force=true"), find_plan_file("ddim/file:path=times.json")
    ('fits/five.json', None)
    """
    found = _FILE.match(token)
    return found[0] if found else None


def read_plan_file(token: str) -> SavedPlan:
    """The plan in a file as a rule, with its options; raises DtoolError for a file that holds none."""
    name = find_plan_file(token)
    assert name is not None, "who asks has looked"
    _, options = parse_token("plan" + token[len(name) :])
    if get_containing_file():
        raise UsageError(f"{get_containing_file()} names the file {name}", OWN_FILES_HINT)
    path = Path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DtoolError(f"{path} is too large for a plan", "give a file that dtool plan --json or dtool fit wrote")
        plan = Plan.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        cause = (
            f"there is no file {path}" if isinstance(error, FileNotFoundError) else f"{path} cannot be read ({error})"
        )
        raise DtoolError(cause, "give a file that dtool plan --json or dtool fit wrote") from error
    model = build_options_model(_take_options)
    rule = SavedPlan(
        name=name, step=refuse_interval, order=1, startup_order=1, calls=1, basis=plan.basis, cite=plan.cite,
        stochastic=False, model=model, family="saved", options=(("force", False),), inverse=plan.inverse,
        own_grid=True, adopt=_adopt, plan=plan,
    )  # fmt: skip
    return rule.bind(**options)  # type: ignore[return-value]


def _take_options(*, force: Force = False) -> None:
    """What can be said of a saved plan."""


def _adopt(rule: ForeignRule, request: AdoptionRequest) -> _Given:
    del request
    assert isinstance(rule, SavedPlan), "made for those alone"
    return _Given(rule.plan, 0.0, np.eye(rule.plan.draws))


def require_no_grid(name: str, given: Sequence[object]) -> None:
    """Raise UsageError where a grid or a schedule is named for a saved plan."""
    if any(one is not None for one in given):
        raise UsageError(f"{name} is a plan with levels of its own", "leave out points, end, scheduler and spacing")
