"""A plan that was saved as JSON, in the place of a recipe: FILE.json. It runs as it is, without what it was made by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from dtool.errors import DtoolError, UsageError
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.foreign import AdoptionRequest, ForeignRule, refuse_interval
from dtool.plan.late_start import cut_plan
from dtool.schedulers.schedule import Schedule
from dtool.util.bounded_reading import MAX_JSON_BYTES, explain_read_error, open_file
from dtool.util.file_references import OWN_FILES_HINT, get_containing_file

_NO_OPTIONS: type[BaseModel] = create_model("saved", __config__=ConfigDict(extra="forbid", frozen=True))


@dataclass(frozen=True)
class SavedPlan:
    """A plan as it was saved, as other samplers of elsewhere are adopted: it is what it is, with noises of its own."""

    plan: Plan
    noises: Column
    error: float = 0.0
    schedule: Schedule | None = None


def read_rule(word: str) -> ForeignRule:
    """The plan in a file, as a rule that gives it; raises UsageError for a file that holds none."""
    if source := get_containing_file():
        raise UsageError(f"{source} names another file, {word}", OWN_FILES_HINT)
    plan = read_plan_file(Path(word))
    return ForeignRule(
        name=word, step=refuse_interval, order=1, startup_order=1, calls=1, basis=plan.basis, cite=plan.cite,
        stochastic=plan.stochastic, model=_NO_OPTIONS, family="saved", inverse=plan.inverse, saved=plan,
        adopt=lambda _, request: _give(word, plan, request),
    )  # fmt: skip


def read_plan_file(path: Path) -> Plan:
    """The plan that `dtool plan … --json` wrote; raises UsageError for what is not there or is no plan."""
    try:
        with open_file(path) as file:
            text = file.read(MAX_JSON_BYTES + 1)
        if len(text) > MAX_JSON_BYTES:
            raise ValueError(f"it is larger than {MAX_JSON_BYTES >> 20} MiB")
        return Plan.from_json(text.decode("utf-8"))
    except DtoolError as error:
        raise UsageError(f"{path}: {error}", error.hint) from error
    except (OSError, ValueError) as error:
        hint = f"write one with: dtool plan RECIPE -o {path.name}"
        raise UsageError(f"{path} cannot be read ({explain_read_error(error)})", hint) from error


def take_saved(rule: ForeignRule, *, steps: int | None, strength: float, **others: Any) -> Plan:
    """The saved plan, its last part if the run begins late; raises UsageError for what it cannot follow.

    others: what would change its levels; each None where nothing is said.
    """
    assert rule.saved is not None, "who asks has looked"
    if said := [name for name, value in others.items() if value is not None]:
        raise UsageError(f"{rule.name} holds a plan, whose levels are its own", f"leave out {' and '.join(said)}")
    plan = _give(rule.name, rule.saved, AdoptionRequest(steps=steps or rule.saved.steps)).plan
    late = plan if strength == 1 else cut_plan(plan, strength)
    if late is None:
        raise UsageError(
            f"the rows of {rule.name} use those before them: it cannot begin late", "use a sampler of one step"
        )
    return late


def _give(name: str, plan: Plan, request: AdoptionRequest) -> SavedPlan:
    if request.steps != plan.steps:
        hint = f"leave the steps out, or ask for {plan.steps}"
        raise UsageError(f"{name} holds a plan of {plan.steps} steps, not of {request.steps}", hint)
    import numpy as np

    return SavedPlan(plan, np.eye(plan.draws))
