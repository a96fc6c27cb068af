"""The flags that say what a network is told besides a class: prompts, arrays, pictures, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.errors import DtoolError, UsageError, did_you_mean, format_value

if TYPE_CHECKING:
    from dtool.models.conditioner import Conditioner
    from dtool.models.conditions import Condition
    from dtool.models.network import Network
    from dtool.run.guided_conditions import Request

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")
MOST_BYTES = 1 << 24  # of a file of prompts
_told = partial(typer.Option, rich_help_panel="What the network is told", show_default=False)


@dataclass(frozen=True, kw_only=True)
class ConditionWords:
    """What was typed of prompts and other conditions."""

    prompt: Annotated[
        list[str] | None, _told(metavar="TEXT", help="a prompt; several: in turn, by the images' ids; may be repeated")
    ] = None
    prompts: Annotated[Path | None, _told(metavar="FILE", help="a file of prompts, one a line")] = None
    negative: Annotated[
        str | None, _told(metavar="TEXT", help="what guidance compares with [default: the empty text]")
    ] = None
    condition: Annotated[
        list[str] | None,
        _told(
            metavar="NAME=VALUE",
            help="a condition of the network's (dtool model PATH lists them): FILE.npy, a number, a picture, or "
            "CONDITIONER:WORDS; may be repeated",
        ),
    ] = None
    without: Annotated[
        list[str] | None,
        _told(metavar="NAME=VALUE", help="what guidance compares with there [default: the network's value for none]"),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether anything was typed."""
        return any(each is not None for each in vars(self).values())

    def read(self, net: Network, guidance: float | None) -> Request:
        """What `dtool.compare` is asked; raises UsageError for what the network does not take."""
        from dtool.run.guided_conditions import Request

        return Request(
            prompt=self.read_prompts(), negative=self.negative, guidance=guidance,
            conditions=_read_values(net, self.condition, "--condition"),
            without=_read_values(net, self.without, "--without"),
        )  # fmt: skip

    def read_options(self, net: Network, guidance: float | None) -> dict[str, Any]:
        """The same as the options of `dtool.compare` and its like, without the guidance."""
        request = self.read(net, guidance)
        names = ("prompt", "negative", "conditions", "without")
        return {name: value for name in names if (value := getattr(request, name)) is not None}

    def read_prompts(self) -> list[str] | None:
        """The prompts that were typed, or are in the file; None if there are none."""
        if self.prompts is None:
            return list(self.prompt) if self.prompt else None
        if self.prompt:
            raise UsageError("both --prompt and --prompts are given", "leave one of them out")
        return _read_lines(self.prompts)

    def list_files(self) -> list[Path]:
        """The files that are read: none of them may be written."""
        values = [part.partition("=")[2] for part in [*(self.condition or ()), *(self.without or ())]]
        words = [value.partition(":")[2] or value for value in values]
        return [path for word in words if word and (path := Path(word)).suffix] + [p for p in [self.prompts] if p]


CONDITIONS = FlagGroup.of(ConditionWords)


def _read_lines(path: Path) -> list[str]:
    from dtool.util import bounded_reading

    if not path.is_file():
        raise DtoolError(f"--prompts: there is no file {path}", "check the path")
    try:
        lines = [line.strip() for line in bounded_reading.read_text(path, MOST_BYTES).splitlines()]
    except UnicodeDecodeError as error:
        raise DtoolError(f"{path} is no text in UTF-8", "save it as UTF-8") from error
    except bounded_reading.UnreadableError as error:
        raise DtoolError(f"{path}: {error}", "give a text file, a prompt a line") from error
    if not any(lines):
        raise UsageError(f"{path} holds no prompts", "write one a line")
    return [line for line in lines if line]


def _read_values(net: Network, words: Sequence[str] | None, flag: str) -> dict[str, Any] | None:
    """The arrays of NAME=VALUE, by name; of a name that is given several times they are told in turn."""
    if not words:
        return None
    known = {one.name: one for one in net.spec.conditions}
    shapes = {} if net.pictures is None else net.pictures.shapes
    pictured = {name: known[name].model_copy(update={"shape": shape}) for name, shape in shapes.items()}
    parts: dict[str, list[Any]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise UsageError(f"{flag} {word}: not NAME=VALUE", "write it as text=FILE.npy, or size=0.5")
        if name not in known:
            raise UsageError(f"the network takes no condition {format_value(name)}", _hint(name, net))
        parts.setdefault(name, []).append(_read_value(known[name], value, pictured.get(name)))
    return {name: _join(known[name], arrays) for name, arrays in parts.items()}


def _hint(name: str, net: Network) -> str:
    """What it could be: another condition, or another flag."""
    names = [one.name for one in net.spec.conditions]
    if net.spec.classes and name in ("label", "labels", "class", "classes"):
        return "classes are given by --class"
    if not names:
        return "it takes a class alone: --class" if net.spec.classes else "it takes x and a time alone"
    return did_you_mean(name, names)


def _join(condition: Condition, arrays: Sequence[Any]) -> Any:
    """One array, or several one after the other; raises UsageError unless they have one shape."""
    import numpy as np

    if len(arrays) == 1:
        return arrays[0]
    rank = len(condition.shape) + 1  # of several: they may be pictures, which have another shape
    several = [array if np.ndim(array) == rank else np.asarray(array)[None] for array in arrays]
    if len({part.shape[1:] for part in several}) > 1:
        shapes = ", ".join(str(part.shape[1:]) for part in several)
        raise UsageError(f"the arrays for {condition.name} have different shapes: {shapes}", "give arrays of one shape")
    return np.concatenate(several)


def _read_value(condition: Condition, value: str, pictured: Condition | None) -> Any:
    """The array that a value means: what a conditioner makes of it, which its form chooses if no name does.

    pictured: the condition as a picture, where it is made of one.
    """
    conditioner, words = choose_conditioner(value)
    if pictured is not None and conditioner.name != "number":
        condition = pictured
    from dtool.plugins.isolation import guard_code

    if conditioner.origin is None or conditioner.origin.is_builtin:
        return conditioner.make(words, condition)
    with guard_code(conditioner.origin, f"cannot make {condition.name} of {format_value(words)}"):
        return conditioner.make(words, condition)


def choose_conditioner(value: str) -> tuple[Conditioner, str]:
    """The conditioner that a value names, or that its form means, and its words."""
    from dtool.plugins.registry import get_registry

    catalogue = get_registry().conditioners
    head, colon, words = value.partition(":")
    suffix = Path(value).suffix.lower()
    if colon and head in catalogue.names():
        found, rest = head, words
    elif suffix == ".npy":
        found, rest = "npy", value
    elif suffix in PICTURES:
        found, rest = "image", value
    elif _is_number(value):
        found, rest = "number", value
    else:
        hint = did_you_mean(head, catalogue.names()) if colon else "give FILE.npy, a number, a picture's file, or "
        names = ", ".join(catalogue.names())
        raise UsageError(
            f"{format_value(value)} is no value for a condition",
            hint if colon else f"{hint}CONDITIONER:WORDS ({names})",
        )
    conditioner: Conditioner = catalogue.entry(found).load()
    return conditioner, rest


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
