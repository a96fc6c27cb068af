"""A plan that was saved as JSON, in the place of a recipe: FILE.json. It runs as it is, without what it was made by.

One that was fitted is of one network, guidance and clipping; FILE.json:force=true runs it for others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from dtool.errors import DtoolError, UsageError
from dtool.plan.compiled_plan import Plan
from dtool.plan.foreign import ForeignRule, refuse_interval
from dtool.plan.late_start import take_late_part
from dtool.util.bounded_reading import MAX_JSON_BYTES, explain_read_error, open_file
from dtool.util.file_references import OWN_FILES_HINT, get_containing_file
from dtool.util.options import build_options_model, parse_token

SUFFIX = ".json"
Force = Annotated[bool, Field(description="run a fitted plan for another network, guidance or clipping than its own")]


def read_rule(word: str) -> ForeignRule:
    """The plan in a file, as a rule that gives it: "five.json", "five.json:force=true".

    Raises UsageError for a file that holds none.
    """
    name, options = _split_options(word)
    if source := get_containing_file():
        raise UsageError(f"{source} names another file, {name}", OWN_FILES_HINT)
    plan = read_plan_file(Path(name))
    rule = ForeignRule(
        name=name, step=refuse_interval, order=1, startup_order=1, calls=1, basis=plan.basis, cite=plan.cite,
        stochastic=plan.stochastic, model=build_options_model(_take_options), family="saved",
        options=(("force", False),), inverse=plan.inverse, saved=plan, adopt=refuse_interval,
    )  # fmt: skip
    bound = rule.bind(**options)
    assert isinstance(bound, ForeignRule), "it is still one"
    return bound


def _split_options(word: str) -> tuple[str, dict[str, Any]]:
    """A file's name, and what is said of it."""
    name, suffix, options = word.partition(SUFFIX + ":")
    return (name + SUFFIX, parse_token(f"plan:{options}")[1]) if suffix else (word, {})


def _take_options(*, force: Force = False) -> None:
    """What can be said of a saved plan."""


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
    if said := [name for name, value in others.items() if value is not None]:
        raise UsageError(f"{rule.name} holds a plan, whose levels are its own", f"leave out {' and '.join(said)}")
    return take_late_part(_give(rule, steps), strength)


def _give(rule: ForeignRule, steps: int | None) -> Plan:
    """The plan; raises UsageError for another number of steps."""
    assert rule.saved is not None, "who asks has looked"
    if steps is not None and steps != rule.saved.steps:
        hint = f"leave the steps out, or ask for {rule.saved.steps}"
        raise UsageError(f"{rule.name} holds a plan of {rule.saved.steps} steps, not of {steps}", hint)
    return replace(rule.saved, fit=None) if dict(rule.options)["force"] else rule.saved
