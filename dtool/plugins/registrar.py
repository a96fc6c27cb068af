"""What a plugin's hook is handed, and what it leaves behind: entries in a catalogue."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

from dtool.errors import DtoolError, UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9+_-]*", re.IGNORECASE)
_RECIPE = re.compile(r"[a-z0-9][a-z0-9+_. ()-]*", re.IGNORECASE)


@dataclass(frozen=True)
class Provider:
    """The distribution that an entry comes from."""

    name: str
    version: str


@dataclass(frozen=True)
class Entry:
    """One registered name. `target` is the object, or "module:attribute", imported when it is first used."""

    name: str
    target: object
    provider: Provider
    aliases: tuple[str, ...] = ()
    summary: str = ""

    def load(self) -> Any:
        """The object; raises DtoolError, naming the package, if its module cannot be imported."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise DtoolError(
                f"{self.name} of {self.provider.name} {self.provider.version} cannot be loaded"
                f" ({type(error).__name__}: {error})",
                f"upgrade or uninstall {self.provider.name}",
            ) from error


@dataclass(frozen=True)
class NamedRecipe:
    """A whole recipe that people know by a name of its own, e.g. "DPM++ 2M Karras"."""

    name: str
    token: str
    provider: Provider


class Registrar:
    """Call it with a name and a target, once for each thing that a plugin has to offer."""

    def __init__(self, kind: str, provider: Provider) -> None:
        self.kind = kind
        self.provider = provider
        self.entries: list[Entry] = []
        self.recipes: list[NamedRecipe] = []

    def __call__(self, name: str, target: object, *, aliases: tuple[str, ...] = (), summary: str = "") -> None:
        """Register `target` under `name`.

        target: the decorated object, or "package.module:attribute", which is imported only when the name is used.
        aliases: other names for the same thing. summary: one line for listings that should not import the target.
        """
        for given in (name, *aliases):
            if not _NAME.fullmatch(given):
                raise UsageError(f"{given!r} is no name for a {self.kind}", "use letters, digits, '-', '_' and '+'")
        if isinstance(target, str) and not re.fullmatch(r"[\w.]+:\w+", target):
            raise UsageError(
                f"target {target!r} of {name} is not of the form package.module:attribute", "mend the plugin"
            )
        self.entries.append(Entry(name, target, self.provider, tuple(aliases), summary))

    def recipe(self, name: str, token: str) -> None:
        """Give the recipe `token` a name that people know it by, e.g. `recipe("DPM++ 2M Karras", "dpmpp-2m/karras")`.

        The name is found whatever its case, with or without its spaces, hyphens and underscores. A sampler's name goes
        before it. The recipe is read when it is first used.
        """
        if self.kind != "sampler":
            raise UsageError(f"recipe {name!r} is registered as a {self.kind}", "do it in register_samplers")
        if not _RECIPE.fullmatch(name):
            raise UsageError(f"{name!r} is no name for a recipe", "use letters, digits, spaces and + - _ . ( )")
        self.recipes.append(NamedRecipe(name, token, self.provider))
