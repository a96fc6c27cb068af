"""What a plugin's hook is handed, and what it leaves behind: entries in a catalogue."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field, replace
from typing import Any

from dtool.errors import DtoolError, PluginError, UsageError
from dtool.plugins.isolation import IMPORT_SECONDS, Origin, guard_code
from dtool.util.options import check_defaults
from dtool.util.text import escape_controls, to_line

_NAME = re.compile(r"[a-z0-9][a-z0-9+_-]{,99}", re.IGNORECASE | re.ASCII)
_RECIPE = re.compile(r"[a-z0-9][a-z0-9+_. ()-]{,99}", re.IGNORECASE | re.ASCII)
_ANY = re.compile(r".*", re.DOTALL)
MAX_ENTRIES = 1000  # names of one kind that a plugin may register

# What a target must be, by its class's own name, so that nothing is imported to tell; and what makes it.
_REQUIRED_TYPES = {
    "sampler": ("dtool.samplers.rule.Rule", "sampler"),
    "scheduler": ("dtool.schedulers.scheduler.ScheduleMaker", "scheduler"),
    "spacing": ("dtool.spacings.spacing.Spacing", "spacing"),
    "guidance": ("dtool.guidances.guidance.Guidance", "guidance"),
    "metric": ("dtool.metrics.definition.Metric", "metric"),
    "reader": ("dtool.models.reader.Reader", "reader"),
    "conditioner": ("dtool.models.conditioner.Conditioner", "conditioner"),
}


@dataclass(frozen=True)
class Provider:
    """The distribution that an entry comes from."""

    name: str
    version: str


@dataclass(kw_only=True, eq=False)
class Entry:
    """One registered name. `target` is the object, or "module:attribute", imported when it is first used.

    `kind`: of what. `fault`: why it cannot be used, if that is known. `spelling`: how it is written so that it, and no
    other, is found: its name, or "package/name".
    """

    name: str
    target: object
    provider: Provider
    aliases: tuple[str, ...] = ()
    summary: str = ""
    kind: str = ""
    fault: str = ""
    spelling: str = ""
    _loaded: Any = field(default=None, repr=False)

    @property
    def origin(self) -> Origin:
        """Where it comes from, for messages."""
        return Origin(self.kind, self.name, self.provider.name, self.provider.version)

    def load(self) -> Any:
        """The object, called as it is registered; raises PluginError, naming the package, if it cannot be had."""
        if self._loaded is None and not self.fault:
            try:
                self._loaded = self._import_target()
            except DtoolError as error:
                self.fault = str(error)
                raise PluginError(self.fault, self.origin.remedy) from error
        if self.fault:
            raise PluginError(self.fault, self.origin.remedy)
        return self._loaded

    def _import_target(self) -> Any:
        with guard_code(self.origin, "cannot be loaded", seconds=IMPORT_SECONDS):
            target = self.target
            if isinstance(target, str):
                module, _, attribute = target.partition(":")
                target = getattr(importlib.import_module(module), attribute)
        if wrong := explain_misfit(self.kind, target):
            raise PluginError(f"{self.origin} {wrong}")
        if self.origin.is_builtin:
            object.__setattr__(target, "origin", self.origin)
            return target
        with guard_code(self.origin, "cannot be used"):
            if hasattr(target, "model"):
                check_defaults(target.model)
            return replace(target, name=self.spelling or self.name, origin=self.origin)  # type: ignore[type-var]


def explain_misfit(kind: str, target: object) -> str:
    """Why `target` cannot be registered as one of this kind; "" if it can."""
    required, decorator = _REQUIRED_TYPES.get(kind, ("", ""))
    names = [f"{cls.__module__}.{cls.__qualname__}" for cls in type(target).__mro__]
    if not required or required in names:
        return ""
    decorators = [maker for other, maker in _REQUIRED_TYPES.values() if other in names]
    if decorators:
        return f"is made by @{decorators[0]}, not by @{decorator}"
    what = "a function" if callable(target) and hasattr(target, "__code__") else f"a {to_line(type(target).__name__)}"
    return f"is {what} that @{decorator}(…) has not been put on"


def _matches(value: object, pattern: re.Pattern[str]) -> bool:
    """Whether it is text of this form."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


@dataclass(frozen=True)
class NamedRecipe:
    """A whole recipe that people know by a name of its own, e.g. "DPM++ 2M Karras"."""

    name: str
    token: str
    provider: Provider


class Registrar:
    """Call it with a name and a target, once for each thing that a plugin has to offer.

    `faults`: what was wrong with single entries, in words; the others go on.
    """

    def __init__(self, kind: str, provider: Provider) -> None:
        self.kind = kind
        self.provider = provider
        self.entries: list[Entry] = []
        self.recipes: list[NamedRecipe] = []
        self.faults: list[str] = []

    def __call__(self, name: str, target: object, *, aliases: tuple[str, ...] = (), summary: str = "") -> None:
        """Register `target` under `name`.

        target: the decorated object, or "package.module:attribute", which is imported only when the name is used.
        aliases: other names for the same thing. summary: one line for listings that should not import the target.
        A target that is not what the decorator makes is listed as broken. Whatever name its decorator was given, it is
        called as it is registered.
        """
        aliases, summary, fault = self._check_labels(aliases, summary)
        for label in (name, *aliases):
            if not _matches(label, _NAME):
                what = "use letters, digits, '-', '_' and '+', at most 100"
                raise UsageError(f"{escape_controls(repr(label))[:120]} is no name for a {self.kind}", what)
        if isinstance(target, str) and not re.fullmatch(r"[\w.]+:\w+", target):
            raise UsageError(
                f"target {escape_controls(repr(target))} of {name} is not of the form package.module:attribute",
                "mend the plugin",
            )
        if not fault and not isinstance(target, str):
            fault = explain_misfit(self.kind, target)
        entry = Entry(
            name=name, target=target, provider=self.provider, aliases=aliases, summary=summary, kind=self.kind
        )
        if fault:
            entry.fault = f"{entry.origin} {fault}"
            self.faults.append(entry.fault)
        if len(self.entries) < MAX_ENTRIES:
            self.entries.append(entry)
        elif not any("names at most" in one for one in self.faults):
            self.faults.append(
                f"it may register {MAX_ENTRIES} names at most of one kind; {name!r} and what follows is left out"
            )

    @staticmethod
    def _check_labels(aliases: Any, summary: Any) -> tuple[tuple[str, ...], str, str]:
        """The aliases, the summary, and what is wrong with them."""
        if isinstance(aliases, str):
            return (), "", f"has as aliases the text {aliases!r}: write aliases=({aliases!r},)"
        try:
            others = tuple(aliases)
        except TypeError:
            return (), "", f"has aliases that are a {to_line(type(aliases).__name__)}, not a tuple of names"
        if not isinstance(summary, str):
            return others, "", f"has a summary that is a {to_line(type(summary).__name__)}, not text"
        return others, to_line(summary), ""

    def recipe(self, name: str, token: str) -> None:
        """Give the recipe `token` a name that people know it by, e.g. `recipe("DPM++ 2M Karras", "dpmpp-2m/karras")`.

        The name is found whatever its case, with or without its spaces, hyphens and underscores. A sampler's name goes
        before it. The recipe is read when it is first used.
        """
        if self.kind != "sampler":
            raise UsageError(f"recipe {name!r} is registered as a {self.kind}", "do it in register_samplers")
        if not _matches(name, _RECIPE):
            what = "use letters, digits, spaces and + - _ . ( ), at most 100"
            raise UsageError(f"{escape_controls(repr(name))[:120]} is no name for a recipe", what)
        if not _matches(token, _ANY):
            raise UsageError(
                f"recipe {name!r} is a {to_line(type(token).__name__)}, not text", "write e.g. 'ddim/karras'"
            )
        if len(self.recipes) < MAX_ENTRIES:
            self.recipes.append(NamedRecipe(name, token, self.provider))
