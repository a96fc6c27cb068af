"""The chosen sampler's options as flags of the command, with its types, its help and its limits."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

import annotated_types
import typer

from dtool.plain import line
from dtool.plugins.registry import registry
from dtool.samplers import sampler
from dtool.samplers.rule import Rule

if TYPE_CHECKING:
    from dtool.plan import Plan

DEFAULT_SAMPLER = "ddpm"


def flag(name: str) -> str:
    """The flag of an option: `last_step` is --last-step."""
    return "--" + name.replace("_", "-")


def chosen_sampler(args: Sequence[str]) -> Rule:
    """The rule that --sampler or --recipe names in `args`, before they are parsed; if neither does, the one in the
    sampler's file that is named, or ddpm.
    """
    from dtool.plan.recipe import Recipe, recipe_of_file

    for option in ("--sampler", "--recipe"):
        token = _value_of(option, args)
        if token:
            return Recipe.parse(token).rule
    files = (word for word in args if word.endswith(".onnx"))
    held = next(((name, plan) for name in files if (plan := _held(name)) is not None), None)
    return sampler(DEFAULT_SAMPLER) if held is None else recipe_of_file(held[1].recipe, held[0]).rule


def _held(name: str) -> Plan | None:
    """The plan in a sampler's file; None for any other."""
    from dtool.backends.fused import plan_in
    from dtool.errors import DtoolError

    try:
        return plan_in(Path(name)) if Path(name).is_file() else None
    except DtoolError:
        return None


def _value_of(option: str, args: Sequence[str]) -> str | None:
    found = None
    for word, following in zip_longest(args, args[1:]):
        if word == "--":
            break
        if word == option:
            found = following
        elif word.startswith(option + "="):
            found = word.partition("=")[2]
    return found


class Options(dict[str, Any]):
    """The values of the chosen sampler's options: a command with a parameter of this type gets a flag for each."""


def with_options(function: Callable[..., Any], rule: Rule) -> Callable[..., Any]:
    """`function(…, options: Options)` with one parameter for each option of `rule` in place of `options`.

    An option whose flag the command has already is spelt --SAMPLER-NAME.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    own = [p for p in inspect.signature(function).parameters.values() if p.name != "options"]
    taken = {flag(p.name) for p in own}
    spelt = {name: flag(name) for name in rule.model.model_fields}
    short = rule.name.rpartition("/")[2]  # without its package
    extra = [_parameter(rule, n, f if f not in taken else flag(f"{short}_{n}")) for n, f in spelt.items()]

    def wrapper(**given: Any) -> Any:
        values = {name: given.pop(f"option_{name}") for name in spelt}
        return function(**given, options=Options((n, v) for n, v in values.items() if v is not None))

    own = [p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in own]
    wrapper.__signature__ = inspect.Signature([*own, *extra])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {}
    wrapper.__doc__ = function.__doc__
    return wrapper


def _parameter(rule: Rule, name: str, spelt: str) -> inspect.Parameter:
    """One option of `rule` as a parameter that typer can read; its default is the value that the rule has.

    What typer cannot read is text, which the rule's own model reads; not given, it is None.
    """
    field = rule.model.model_fields[name]
    limits = {type(m): m for m in field.metadata}
    plain = get_origin(field.annotation) is Literal or field.annotation in (bool, int, float, str)
    number = field.annotation in (int, float)
    default = dict(rule.options).get(name, inspect.Parameter.empty)
    low, high = limits.get(annotated_types.Ge), limits.get(annotated_types.Le)
    option = typer.Option(
        spelt,
        help=line(field.description or ""),
        show_default=line(default) if isinstance(default, str) else True,
        min=low.ge if number and low else None,
        max=high.le if number and high else None,
        rich_help_panel=f"Options of {rule.name}",
    )
    required = default is inspect.Parameter.empty
    kind: Any = field.annotation if plain else str if required else str | None
    annotation = Annotated[kind, option]
    if not (plain or required):
        default = None
    return inspect.Parameter(f"option_{name}", inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def sampler_names(incomplete: str) -> list[str]:
    """Completions of --sampler."""
    return registry().samplers.names(incomplete)


def scheduler_names(incomplete: str) -> list[str]:
    """Completions of --scheduler."""
    return registry().schedulers.names(incomplete)


def spacing_names(incomplete: str) -> list[str]:
    """Completions of --spacing."""
    return registry().spacings.names(incomplete)
