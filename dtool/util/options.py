"""Options of schedules, spacings and samplers: the keyword-only parameters of one function, typed and checked."""

from __future__ import annotations

import functools
import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from dtool.errors import UsageError, did_you_mean, format_value
from dtool.util.file_references import OWN_FILES_HINT, get_containing_file, is_file_name

# With its first model pydantic reads the entry points of every installed package, and raises what one with
# a torn list of them makes it raise; with the next model it does without its own plugins.
with suppress(Exception):
    create_model("_First")

_PLAIN = re.compile(r"[A-Za-z0-9_.+\-;]+")


def list_options(*functions: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of these functions by name; one that several have is the first's."""
    options: dict[str, inspect.Parameter] = {}
    for function in functions:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                options.setdefault(parameter.name, parameter)
    return options


@functools.cache
def build_options_model(function: Callable[..., Any], *extras: Callable[..., Any]) -> type[BaseModel]:
    """The model of `function`'s keyword-only parameters: field types, defaults and descriptions.

    `extras` are further functions whose keyword-only parameters are options too (the transforms that every schedule
    has); one that several have is the first's. It takes milliseconds, so that it is built for what is used alone.
    """
    fields: dict[str, Any] = {}
    for source in (function, *extras):
        hints = typing.get_type_hints(source, include_extras=True)
        for name, option in list_options(source).items():
            fields.setdefault(name, (hints.get(name, Any), ... if option.default is option.empty else option.default))
    config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    model: type[BaseModel] = create_model(function.__name__, __config__=config, **fields)
    return model


def check_options(what: str, model: type[BaseModel], options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` as validated values, all options present; `what` names the owner in errors.

    Raises UsageError for an option that does not exist (never ignored) and for a value that its type refuses.
    """
    for key in options:
        if key not in model.model_fields:
            hint = did_you_mean(key, model.model_fields) if model.model_fields else f"{what} has no options"
            raise UsageError(f"{what} has no option {key!r}", hint)
    try:
        validated = model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise UsageError(f"{what} needs the option {name!r}", f"write {what}:{name}=…") from error
        raise UsageError(
            f"{what}: {name}={format_value(options.get(name))} is refused", describe_mistake(first)
        ) from error
    _require_contained(what, model, options)
    values = {name: getattr(validated, name) for name in model.model_fields}
    for name, value in values.items():
        if value != value:
            raise UsageError(f"{what}: {name}={format_value(options.get(name))} is refused", "give a number")
    return values


def _require_contained(what: str, model: type[BaseModel], options: Mapping[str, Any]) -> None:
    """Raise UsageError if it is a file that names another file by one of these options (see `contain_names`)."""
    source = get_containing_file()
    for name, value in options.items() if source else ():
        if is_file_name(model.model_fields[name], value):
            raise UsageError(f"{source} names another file, by the option {name!r} of {what}", OWN_FILES_HINT)


def check_defaults(model: type[BaseModel]) -> None:
    """Raise UsageError for a default that its own type or range refuses."""
    defaults = {name: f.get_default() for name, f in model.model_fields.items() if not f.is_required()}
    for name, default in defaults.items():
        try:
            parse_option(model, name, default)
        except ValidationError as error:
            mistake = describe_mistake(error.errors()[0])
            raise UsageError(f"option {name}: its default is refused ({mistake})", "mend the default") from error


def parse_option(model: type[BaseModel], name: str, value: Any) -> Any:
    """`value` as the option `name` takes it; raises pydantic's ValidationError if it does not."""
    option = model.model_fields[name]
    kind: Any = Annotated[option.annotation, *option.metadata] if option.metadata else option.annotation
    return TypeAdapter(kind).validate_python(value)


def describe_mistake(mistake: Mapping[str, Any]) -> str:
    """What pydantic says of a mistake, without its own words for a validator's, or the name of a class."""
    if mistake.get("type") in ("model_type", "model_attributes_type", "dict_type"):
        return "Input should be an object"
    return str(mistake["msg"]).removeprefix("Value error, ")


def format_token(name: str, model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """The shortest token that gives `values`: `name[:key=value,…]`, options at their default left out."""
    parts = [f"{k}={_format_option(v)}" for k, v in values.items() if v != model.model_fields[k].default]
    return name + (":" + ",".join(parts) if parts else "")


def parse_token(token: str) -> tuple[str, dict[str, str]]:
    """`name:key=value,…` as (name, options); a value may be a double-quoted JSON string."""
    if not isinstance(token, str):
        raise UsageError(f"{format_value(token)} is no name", "write it as text: NAME[:key=value,…]")
    name, colon, rest = token.partition(":")
    if not name or (colon and not rest):
        raise UsageError(f"{token!r} is not of the form NAME[:key=value,…]", "write e.g. cosine:s=0.01")
    options: dict[str, str] = {}
    while rest:
        match = re.match(r'([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|[^,"]*)(?:,(?=.)|$)', rest)
        if match is None:
            raise UsageError(f"cannot read {rest!r} in {token!r}", "options are written key=value,key=value")
        key, value = match.groups()
        if key in options:
            raise UsageError(f"{key!r} is given twice in {token!r}", "give each option once")
        options[key] = _unquote(value, token) if value.startswith('"') else value
        rest = rest[match.end() :]
    return name, options


def _unquote(value: str, token: str) -> str:
    """A quoted option's text."""
    try:
        return str(json.loads(value))
    except ValueError as error:
        raise UsageError(
            f"cannot read {value} in {token!r}", 'inside quotes, write \\\\ for \\ and \\" for "'
        ) from error


def _format_option(value: Any) -> str:
    """One option value as it is written in a token."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ";".join(_format_option(part) for part in value)
    text = repr(value) if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
