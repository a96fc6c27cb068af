"""The catalogues of all that can be added, by kind: built-ins first, other packages on need."""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

from dtool.errors import DtoolError, UsageError, find_closest
from dtool.plugins.loader import KINDS, Plugin, PluginWarning, complain, load_builtins, load_installed
from dtool.plugins.refused_names import explain_refused_name
from dtool.plugins.registrar import Entry, NamedRecipe, Provider


class Catalogue:
    """Names of one kind. A name that two packages offer is an error only when it is used without its package."""

    def __init__(self, kind: str, owner: Registry) -> None:
        self.kind = kind
        self._owner = owner
        self._entries: dict[str, list[Entry]] = {}

    def add(self, entry: Entry) -> list[str]:
        """Put `entry` under its name and its aliases; returns what is wrong with them, in words.

        Of two things in one package the first keeps the name.
        """
        wrong = []
        for name in dict.fromkeys((entry.name, *entry.aliases)):
            entries = self._entries.setdefault(name.lower(), [])
            earlier = next((e for e in entries if e.provider.name == entry.provider.name), None)
            if earlier is None:
                entries.append(entry)
            elif earlier is not entry:
                wrong.append(f"{self.kind} {name!r} is registered twice, and the first counts")
                if name == entry.name:
                    break
        return wrong

    def resolve_spellings(self) -> None:
        """Write down how each entry is spelt, so that it is what the name finds: when all packages are loaded."""
        for entries in self._entries.values():
            for entry in entries:
                namesakes = self._find(entry.name)
                entry.spelling = entry.name if namesakes == [entry] else f"{entry.provider.name}/{entry.name}"

    def get(self, name: str) -> Any:
        """The object called `name`, or `package/name`; raises UsageError if nobody, or more than one, offers it."""
        return self.entry(name).load()

    def entry(self, name: str, *, recipes: bool = False) -> Entry:
        """The entry called `name`; other people's packages are looked at only if it is not a built-in.

        recipes: whether the name of a whole recipe would do, too, and so may be suggested.
        """
        entries = self._find(name)
        if not entries:
            self._owner.load_installed()
            entries = self._find(name)
        if len(entries) == 1:
            return entries[0]
        if entries:
            offers = [f"{e.provider.name} {e.provider.version}" for e in entries]
            raise UsageError(
                f"{self.kind} {name!r} is offered by {' and '.join(offers)}", f"write {entries[0].provider.name}/{name}"
            )
        if (refusal := explain_refused_name(self.kind, name)) is not None:
            raise UsageError(*refusal)
        broken = [plugin.name for plugin in self._owner.plugins if plugin.status == "broken"]
        real = self._find_similar(name, recipes)
        hint = f"did you mean {' or '.join(real)}?" if real else f"dtool {self.kind}s lists them"
        if broken:
            hint += f" (or is it in {', '.join(broken)}, which could not be loaded? see: dtool plugins)"
        raise UsageError(f"there is no {self.kind} {name!r}", hint)

    def _find_similar(self, name: str, recipes: bool) -> list[str]:
        """Names like one that is unknown, each of which can be typed in its place: no recipe that leads back to it."""
        real = {alias: entries[0].name for alias, entries in self._entries.items()}
        if recipes:
            usable = (one for one in self._owner.recipes if self.knows(re.split(r"[:@]", one.token)[0].split("/")[0]))
            real = {one.name: repr(one.name) for one in usable} | real
        return list(dict.fromkeys(real[one] for one in find_closest(name, (one for one in real if one != name))))

    def knows(self, name: str) -> bool:
        """Whether `name` is offered, by a built-in or by a package that is loaded already."""
        return bool(self._find(name))

    def _find(self, name: str) -> list[Entry]:
        package, slash, bare = name.rpartition("/")
        spelt = bare.lower()
        entries = self._entries.get(spelt) or self._entries.get(re.sub(r"[\s_]", "-", spelt), [])
        builtin = [e for e in entries if e.provider.name == "dtool"]
        if slash:
            return [e for e in entries if e.provider.name == package]
        return builtin or entries

    def __iter__(self) -> Iterator[Entry]:
        """Every entry once, built-ins first, then by name."""
        self._owner.load_installed()
        unique = {id(e): e for entries in self._entries.values() for e in entries}
        return iter(
            sorted(
                unique.values(),
                key=lambda e: (e.provider.name != "dtool", e.name if e.provider.name != "dtool" else ""),
            )
        )

    def iterate_by_need(self, *, installed: bool = True) -> Iterator[Entry]:
        """Every entry once, built-ins first; other packages are looked at only when those are through, if at all."""
        unique = {id(e): e for entries in self._entries.values() for e in entries}
        yield from [e for e in unique.values() if e.origin.is_builtin]
        if installed:
            yield from (e for e in self if not e.origin.is_builtin)

    def iterate_loaded(self) -> Iterator[tuple[Entry, Any]]:
        """Every entry that can be loaded, with its object; of the others there is a warning."""
        for entry in self:
            try:
                thing = entry.load()
            except DtoolError as error:
                warnings.warn(f"{error}: it is left out", PluginWarning, stacklevel=2)
            else:
                yield entry, thing

    def names(self, beginning: str = "") -> list[str]:
        """How every entry is spelt that begins so, without importing any."""
        return [entry.spelling for entry in self if entry.spelling.startswith(beginning)]


class NamedRecipes:
    """Whole recipes with names of their own, found whatever the case, spaces, hyphens and underscores of the name."""

    def __init__(self) -> None:
        self._named: dict[str, NamedRecipe] = {}

    def add(self, named: NamedRecipe) -> list[str]:
        """Put a recipe under its name; who comes first keeps it, and built-ins come first.

        Returns, in words, who has the name already.
        """
        first = self._named.setdefault(_squeeze(named.name), named)
        return [] if first is named else [f"recipe {named.name!r} is {first.name!r} of {first.provider.name} already"]

    def get(self, name: str) -> NamedRecipe | None:
        """The recipe called `name`, if there is one."""
        return self._named.get(_squeeze(name))

    def __iter__(self) -> Iterator[NamedRecipe]:
        return iter(self._named.values())


def _squeeze(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).lower()


class Registry:
    """Everything that is installed, by kind."""

    def __init__(self) -> None:
        self.schedulers = Catalogue("scheduler", self)
        self.spacings = Catalogue("spacing", self)
        self.samplers = Catalogue("sampler", self)
        self.guidances = Catalogue("guidance", self)
        self.metrics = Catalogue("metric", self)
        self.readers = Catalogue("reader", self)
        self.conditioners = Catalogue("conditioner", self)
        self.recipes = NamedRecipes()
        self.plugins: list[Plugin] = []
        self._installed_loaded = False
        self._add_plugin(load_builtins())
        self._resolve_spellings()

    def load_installed(self) -> None:
        """Load the plugins of other packages, once; a broken one costs a warning."""
        if self._installed_loaded:
            return
        self._installed_loaded = True
        for plugin in load_installed(os.environ):
            self._add_plugin(plugin)
        self._resolve_spellings()

    def _add_plugin(self, plugin: Plugin) -> None:
        self.plugins.append(plugin)
        wrong = []
        for kind, entries in plugin.entries.items():
            catalogue: Catalogue = getattr(self, kind)
            for entry in entries:
                wrong += catalogue.add(entry)
        for named in plugin.recipes:
            wrong += self.recipes.add(named)
        for fault in wrong:
            plugin.blame(fault)
            complain(Provider(plugin.name, plugin.version), f"is at fault: {fault}", os.environ)

    def _resolve_spellings(self) -> None:
        for catalogue in [getattr(self, kind) for kind in KINDS]:
            catalogue.resolve_spellings()


@functools.cache
def get_registry() -> Registry:
    """The registry of this process."""
    return Registry()
