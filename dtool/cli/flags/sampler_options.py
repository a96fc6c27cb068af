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

from dtool.models.manifest import MANIFEST
from dtool.plugins.registry import get_registry
from dtool.samplers import get_sampler
from dtool.samplers.rule import Rule
from dtool.util.text import to_line

if TYPE_CHECKING:
    from dtool.plan import Plan

DEFAULT_SAMPLER = "ddpm"


def format_flag(name: str) -> str:
    """The flag of an option: `last_step` is --last-step."""
    return "--" + name.replace("_", "-")


def find_chosen_sampler(args: Sequence[str]) -> Rule:
    """The rule that --sampler, --recipe or --plan names in `args`, before they are parsed.

    If none does, the one in the sampler's file that is named, or ddpm.
    """
    from dtool.plan.foreign import find_library
    from dtool.plan.recipe import Recipe, parse_recipe_of_file

    for option in ("--sampler", "--recipe", "--plan"):
        token = _find_value(option, args)
        if token:
            return Recipe.parse(f"plan:{token}" if option == "--plan" else token).rule
    files = (word for word in args if word.endswith(".onnx") or Path(word, MANIFEST).is_file())
    fused = next(((name, plan) for name in files if (plan := _read_plan(name)) is not None), None)
    if fused is not None and find_library(fused[1].recipe) is not None:
        return get_sampler(DEFAULT_SAMPLER)  # it runs as it is: no file has another library imported
    return get_sampler(DEFAULT_SAMPLER) if fused is None else parse_recipe_of_file(fused[1].recipe, fused[0]).rule


def _read_plan(name: str) -> Plan | None:
    """The plan in a sampler's file; None for any other."""
    from dtool.errors import DtoolError
    from dtool.run.sampler_form import read_plan

    try:
        path: Path | None = Path(name)
        if Path(name).is_dir():
            from dtool.models.readers.exported_folder import find_sampler

            path = find_sampler(Path(name))
        return read_plan(path) if path is not None and path.is_file() else None
    except DtoolError:
        return None


def _find_value(option: str, args: Sequence[str]) -> str | None:
    value = None
    for word, following in zip_longest(args, args[1:]):
        if word == "--":
            break
        if word == option:
            value = following
        elif word.startswith(option + "="):
            value = word.partition("=")[2]
    return value


class Options(dict[str, Any]):
    """The values of the chosen sampler's options: a command with a parameter of this type gets a flag for each."""


def with_options(function: Callable[..., Any], rule: Rule) -> Callable[..., Any]:
    """`function(…, options: Options)` with one parameter for each option of `rule` in place of `options`.

    An option whose flag the command has already is spelt --SAMPLER-NAME.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    own = [p for p in inspect.signature(function).parameters.values() if p.name != "options"]
    taken = {format_flag(p.name) for p in own}
    spelt = {name: format_flag(name) for name in rule.model.model_fields}
    short = rule.name.rpartition("/")[2]  # without its package
    extra = [_make_parameter(rule, n, f if f not in taken else format_flag(f"{short}_{n}")) for n, f in spelt.items()]

    def wrapper(**arguments: Any) -> Any:
        values = {name: arguments.pop(f"option_{name}") for name in spelt}
        return function(**arguments, options=Options((n, v) for n, v in values.items() if v is not None))

    own = [p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in own]
    wrapper.__signature__ = inspect.Signature([*own, *extra])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {}
    wrapper.__doc__ = function.__doc__
    return wrapper


def _make_parameter(rule: Rule, name: str, spelt: str) -> inspect.Parameter:
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
        help=to_line(field.description or ""),
        show_default=to_line(default) if isinstance(default, str) else True,
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


def complete_samplers(incomplete: str) -> list[str]:
    """Completions of --sampler."""
    return get_registry().samplers.names(incomplete)


def complete_schedulers(incomplete: str) -> list[str]:
    """Completions of --scheduler."""
    return get_registry().schedulers.names(incomplete)


def complete_guidances(incomplete: str) -> list[str]:
    """Names of guidances that begin like this."""
    return get_registry().guidances.names(incomplete)


def complete_spacings(incomplete: str) -> list[str]:
    """Completions of --spacing."""
    return get_registry().spacings.names(incomplete)
