"""Objects as groups of flags: a command takes the object, the command line shows a flag for each of its fields."""

from __future__ import annotations

import functools
import inspect
import keyword
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True)
class FlagGroup:
    """A dataclass, and how each of its fields that has a flag is typed: `Annotated[type, typer.Option(…)]`.

    A flag whose type takes None is None unless it is given, and its field then keeps the default of the dataclass.
    parsers: of fields whose flags are text that the dataclass has in another form.
    parts: the groups of fields that are such objects themselves; their flags come first. No two fields share a name.
    """

    kind: type
    flags: Mapping[str, Any]
    parsers: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    parts: Mapping[str, FlagGroup] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: type) -> FlagGroup:
        """The group of a dataclass of the command line's own, whose fields are annotated with their flags."""
        return cls(kind, typing.get_type_hints(kind, include_extras=True))

    def list_parameters(self) -> dict[str, inspect.Parameter]:
        """A parameter for each flag, in the order of the flags, by the name of its field."""
        defaults = {each.name: None if each.default is MISSING else each.default for each in fields(self.kind)}
        parameters = {name: flag for part in self.parts.values() for name, flag in part.list_parameters().items()}
        return parameters | {
            name: inspect.Parameter(
                _find_name(name, flag),
                KEYWORD_ONLY,
                default=None if _takes_none(flag) else defaults[name],
                annotation=flag,
            )
            for name, flag in self.flags.items()
        }

    def build(self, values: Mapping[str, Any]) -> Any:
        """The object of these values of the flags, by the name of their field."""
        settings = {name: values[name] for name in self.flags if values[name] is not None}
        parsed = {name: parse(settings[name]) for name, parse in self.parsers.items() if name in settings}
        parts = {name: part.build(values) for name, part in self.parts.items()}
        return self.kind(**settings | parsed | parts)


def with_flags(*groups: FlagGroup) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let typer see a flag for each field in the place of every parameter of the command whose type is a group's.

    The parameter, and those after it, are keyword-only.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        hints = typing.get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        objects = {name: group for name in signature.parameters for group in groups if hints[name] is group.kind}
        flags = {name: group.list_parameters() for name, group in objects.items()}
        parameters: list[inspect.Parameter] = []
        for name, parameter in signature.parameters.items():
            parameters += flags[name].values() if name in flags else [parameter.replace(annotation=hints[name])]

        @functools.wraps(function)
        def wrapper(*positional: Any, **arguments: Any) -> Any:
            for name, group in objects.items():
                values = {key: arguments.pop(flag.name, flag.default) for key, flag in flags[name].items()}
                arguments[name] = group.build(values)
            return function(*positional, **arguments)

        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapper

    return decorate


def _find_name(field_name: str, flag: Any) -> str:
    """The name of a flag's parameter: that of the flag, `--num-classes` is num_classes, or else the field's."""
    option = typing.get_args(flag)[1]
    words = [option.default, *(option.param_decls or ())]  # in an annotation the first of them is called the default
    flags = [word for word in words if isinstance(word, str) and word.startswith("--")]
    names = [word.partition("/")[0].removeprefix("--").replace("-", "_") for word in flags]
    return next((name for name in names if not keyword.iskeyword(name)), field_name)


def _takes_none(flag: Any) -> bool:
    return type(None) in typing.get_args(typing.get_args(flag)[0])
