"""What a sampler declares of itself under a condition: that it is another method, that it leaves the marginals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from dtool.errors import UsageError, did_you_mean, format_value
from dtool.util.options import describe_mistake, parse_option, parse_token

Values = Mapping[str, Any]  # option ↦ the value that it has
Claim = TypeVar("Claim", "Same", "Breaks")


class Steps(Enum):
    """The grids to which a claim may be limited."""

    EQUAL_IN_LAM = "steps equal in λ"
    EQUAL_IN_V = "steps equal in σ/α"
    ONE = "one step"


@dataclass(frozen=True)
class Same:
    """The sampler is the same method as `recipe` where its options have the values `when`; `dtool check` proves it.

    recipe: with the other sampler's own options, e.g. "ddim:eta=1". when: None is always. on: None is any grid.
    """

    recipe: str
    when: Values | None = field(default=None, hash=False)
    on: Steps | None = None

    @property
    def condition(self) -> str:
        """The condition in words, "" for always: "order = 4, steps equal in σ/α"."""
        return ", ".join([*_describe(self.when, "="), *([self.on.value] if self.on else [])])


@dataclass(frozen=True)
class Breaks:
    """The sampler leaves the forward process's marginals on purpose, and `why`.

    when: only where the options have all of these values. unless: only where they have none of those. Without either,
    always.
    """

    why: str
    when: Values | None = field(default=None, hash=False)
    unless: Values | None = field(default=None, hash=False)

    @property
    def condition(self) -> str:
        """The condition in words, "" for always: "s_noise ≠ 1"."""
        return ", ".join([*_describe(self.when, "="), *_describe(self.unless, "≠")])

    def holds(self, options: Values) -> bool:
        """Whether the sampler leaves the marginals with these options."""
        equal, different = (_compare(values, options) for values in (self.when, self.unless))
        return all(equal) and not any(different)


def validate_same(name: str, model: type[BaseModel], same: Same | Iterable[Same]) -> tuple[Same, ...]:
    """The claims of the sampler `name`, with values as its options take them; raises UsageError for a wrong one."""
    claims = _as_tuple(name, "same", Same, same)
    for claim in claims:
        if claim.on not in (None, *Steps):
            known = ", ".join(f"Steps.{steps.name}" for steps in Steps)
            raise UsageError(f"sampler {name}: same has on={format_value(claim.on)}", f"write one of {known}")
        if parse_token(claim.recipe.partition("@")[0].partition("/")[0])[0] == name:
            raise UsageError(f"sampler {name}: same names the sampler itself", "name another sampler")
    if len({claim.recipe for claim in claims}) < len(claims):
        raise UsageError(f"sampler {name}: same names one recipe twice", "write it with other options, or once")
    return tuple(replace(claim, when=_parse_values(name, "same", model, claim.when)) for claim in claims)


def validate_breaks(name: str, model: type[BaseModel], breaks: Breaks | Iterable[Breaks]) -> tuple[Breaks, ...]:
    """The claims of the sampler `name`, with values as its options take them; raises UsageError for a wrong one."""
    accepted: list[Breaks] = []
    for claim in _as_tuple(name, "breaks", Breaks, breaks):
        when, unless = (_parse_values(name, "breaks", model, values) for values in (claim.when, claim.unless))
        if both := sorted({*(when or {})} & {*(unless or {})}):
            raise UsageError(f"sampler {name}: breaks names {both[0]} in when and in unless", "name it in one of them")
        one = replace(claim, when=when, unless=unless)
        if any(not earlier.condition or earlier.condition == one.condition for earlier in accepted):
            cause = f"sampler {name}: breaks gives {claim.why!r:.40} after a reason that covers it already"
            raise UsageError(cause, "leave it out, or give the earlier one a narrower condition")
        accepted.append(one)
    return tuple(accepted)


def _as_tuple(name: str, what: str, kind: type[Claim], claims: Claim | Iterable[Claim]) -> tuple[Claim, ...]:
    """One claim or several as a tuple; refuses anything else, and an empty text."""
    given_claims: Any = (claims,) if isinstance(claims, kind) else claims
    first = "recipe" if what == "same" else "why"
    hint = f'write {what}={kind.__name__}("…", when={{"option": value}}), or a tuple of them'
    if isinstance(given_claims, (str, Mapping)) or not isinstance(given_claims, Iterable):
        raise UsageError(f"sampler {name}: {what} is {format_value(claims)}, not a {kind.__name__}", hint)
    listed: tuple[Any, ...] = tuple(given_claims)
    for claim in listed:
        if not isinstance(claim, kind):
            raise UsageError(f"sampler {name}: {what} holds {format_value(claim)}, not a {kind.__name__}", hint)
        if not isinstance(text := getattr(claim, first), str) or not text:
            raise UsageError(f"sampler {name}: {what} has {first}={format_value(text)}", hint)
    return listed


def _parse_values(name: str, what: str, model: type[BaseModel], values: Values | None) -> Values | None:
    """The values as the options take them; refuses unknown options, values out of range, and empty conditions."""
    if values is None:
        return None
    if not isinstance(values, Mapping) or not values:
        raise UsageError(
            f"sampler {name}: {what} has the condition {format_value(values)}",
            'write {"option": value}; leave it out for always',
        )
    parsed = {}
    for option, value in values.items():
        if option not in model.model_fields:
            known = did_you_mean(str(option), model.model_fields) if model.model_fields else "it has none"
            raise UsageError(f"sampler {name}: {what} names {option!r}, and there is no such option", known)
        choices = _list_choices(model.model_fields[option].annotation)
        if choices is not None and len(choices) < 2:
            cause = f"sampler {name}: {what} has a condition on {option}, which "
            if choices:
                raise UsageError(f"{cause}can have one value only", "leave it out")
            raise UsageError(f"{cause}has no type: it cannot be checked", f"annotate {option}")
        try:
            parsed[option] = parse_option(model, option, value)
        except ValidationError as error:
            raise UsageError(
                f"sampler {name}: {what} names {option}={format_value(value)}, which {option} does not take",
                describe_mistake(error.errors()[0]),
            ) from error
    return parsed


def _list_choices(annotation: Any) -> tuple[Any, ...] | None:
    """The values of an option that has a list of them; () of one without a type, None of any other."""
    if annotation is Any:
        return ()
    return get_args(annotation) if get_origin(annotation) is Literal else None


def _compare(values: Values | None, options: Values) -> list[bool]:
    """Which of the options have these values; one that has no value yet has none of them."""
    return [name in options and options[name] == value for name, value in (values or {}).items()]


def _describe(values: Values | None, sign: str) -> list[str]:
    """Each value in words."""
    return [f"{name} {sign} {_format_value(value)}" for name, value in (values or {}).items()]


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
