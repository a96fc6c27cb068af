"""What a rule claims of itself under a condition: the same as another, off the marginals. Read as its options read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from dtool.errors import UsageError, did_you_mean
from dtool.options import complaint, parse

CONDITIONS = ("steps equal in λ", "steps equal in σ/α", "one step")  # grids under which a claim of `same` may hold


def condition_of(text: str) -> tuple[str, bool, str]:
    """`option=value` or `option!=value` as (option, whether it is to differ, value)."""
    option, differs, value = text.partition("!=") if "!=" in text else text.partition("=")
    return option, differs == "!=", value


def holds(model: type[BaseModel], option: str, text: str, value: Any) -> bool:
    """Whether an option's value is the one that is written as `text`, read as the option reads it: eta=0 is eta=0.0."""
    try:
        wanted = parse(model, option, text)
    except ValidationError:
        wanted = text
    if wanted == value or str(value) == text:
        return True
    try:
        return float(text) == float(value)  # an option without a type takes text as text
    except (TypeError, ValueError):
        return False


def require_claims(name: str, model: type[BaseModel], same: Mapping[str, str], breaks: Mapping[str, str]) -> None:
    """Raise UsageError for conditions that can never hold: an option that is none, or a value that it refuses."""
    for what, claims in (("same", same), ("breaks", breaks)):
        if not isinstance(claims, Mapping) or any(not isinstance(text, str) for kv in claims.items() for text in kv):
            raise UsageError(f"sampler {name}: {what} is not a mapping of text to text", f'write {what}={{"…": "…"}}')
    for text in filter(None, breaks):
        option, _, value = condition_of(text)
        if option not in model.model_fields:
            known = did_you_mean(option, model.model_fields) if model.model_fields else "it has none"
            raise UsageError(f"sampler {name}: breaks names {text!r}, and there is no option {option!r}", known)
        _require_value(name, model, option, value)
    for recipe, condition in same.items():
        if recipe.partition("@")[0].partition("/")[0] == name:
            raise UsageError(f"sampler {name}: same names the sampler itself", "name another sampler")
        for part in filter(None, condition.split(",")):
            option, equals, _ = part.partition("=")
            if part not in CONDITIONS and not (equals and option.isidentifier()):
                known = ", ".join(map(repr, CONDITIONS))
                raise UsageError(
                    f"sampler {name}: same names the condition {part!r}", f"write option=value, or one of {known}"
                )


def _require_value(name: str, model: type[BaseModel], option: str, value: str) -> None:
    try:
        parse(model, option, value)
    except ValidationError as error:
        choices = get_args(model.model_fields[option].annotation)
        if value not in map(str, choices):
            raise UsageError(
                f"sampler {name}: breaks names {option}={value}, which {option} does not take",
                complaint(error.errors()[0]),
            ) from error
