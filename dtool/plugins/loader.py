"""Loading plugins one at a time, so that a broken one costs a line of warning and never the command."""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from types import ModuleType
from typing import Any, Literal

import pluggy

from dtool.errors import DtoolError, PluginError
from dtool.plain import line, reason
from dtool.plugins import hookspecs
from dtool.plugins.guard import IMPORTING, Origin, guarded
from dtool.plugins.registrar import Entry, NamedRecipe, Provider, Registrar
from dtool.version import __version__

GROUP = "dtool"
KINDS = ("schedulers", "spacings", "samplers", "metrics")


class PluginWarning(UserWarning):
    """A plugin, or something that it offers, could not be loaded."""


@dataclass
class Plugin:
    """One loaded, broken or disabled plugin, as `dtool plugins` shows it. `seconds` is what importing it took.

    "faulty": some of what it offers cannot be used, for the reasons in `faults`; the rest can.
    """

    name: str
    version: str
    entry_point: str
    status: Literal["ok", "broken", "disabled", "faulty"]
    error: str = ""
    seconds: float = 0.0
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    recipes: list[NamedRecipe] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def blame(self, fault: str) -> None:
        """Note that something it offers cannot be used, or not as it is registered."""
        self.faults.append(fault)
        self.status = "faulty"
        self.error = "; ".join(self.faults)


def load_builtins() -> Plugin:
    """dtool's own entries, through the same door as everyone's."""
    from dtool.plugins import builtin

    found = _registered(builtin, Provider("dtool", __version__))
    return Plugin("dtool", __version__, "builtin", "ok", entries=found.entries, recipes=found.recipes)


def load_installed(environment: Mapping[str, str]) -> Iterator[Plugin]:
    """Every plugin of the entry-point group "dtool".

    `environment` holds the switches: DTOOL_NO_PLUGINS (any value: none is imported), DTOOL_DISABLE_PLUGINS (names of
    packages or entry points, with commas) and DTOOL_STRICT_PLUGINS (raise instead of warn).
    """
    disabled = {_normal(name) for name in environment.get("DTOOL_DISABLE_PLUGINS", "").split(",")}
    for point in sorted(_points(), key=lambda p: (_owner(p).name, p.name)):
        owner, where = _owner(point), line(point.value)
        if environment.get("DTOOL_NO_PLUGINS") or {_normal(owner.name), _normal(point.name)} & disabled:
            yield Plugin(owner.name, owner.version, where, "disabled")
            continue
        started = perf_counter()
        try:
            found = _loaded(point, owner)
        except DtoolError as error:
            why = str(error)
            complain(owner, f"is skipped ({why})", environment, f"cannot be loaded ({why})")
            yield Plugin(owner.name, owner.version, where, "broken", why, perf_counter() - started)
            continue
        plugin = Plugin(
            owner.name, owner.version, where, "ok", "", perf_counter() - started, found.entries, found.recipes
        )
        for fault in found.faults:
            plugin.blame(fault)
            complain(owner, f"is at fault: {fault}", environment)
        yield plugin


def complain(owner: Provider, what: str, environment: Mapping[str, str], strictly: str = "") -> None:
    """Warn of a plugin; with DTOOL_STRICT_PLUGINS raise DtoolError."""
    who = f"plugin {owner.name} {owner.version}"
    if environment.get("DTOOL_STRICT_PLUGINS"):
        raise DtoolError(f"{who} {strictly or what}", "mend it, or unset DTOOL_STRICT_PLUGINS")
    warnings.warn(f"{who} {what}", PluginWarning, stacklevel=3)


def _points() -> Sequence[importlib.metadata.EntryPoint]:
    """The entry points of the group; those of a package whose list of them cannot be read are left out."""
    try:
        return tuple(importlib.metadata.entry_points(group=GROUP))
    except Exception:
        found: dict[tuple[str, str], importlib.metadata.EntryPoint] = {}
    for distribution in importlib.metadata.distributions():
        try:
            for point in distribution.entry_points.select(group=GROUP):
                found.setdefault((str(distribution.name), point.name), point)
        except Exception as error:
            name = line(getattr(distribution, "_path", "?"))
            warnings.warn(f"the entry points of {name} cannot be read ({reason(error)})", PluginWarning, stacklevel=2)
    return tuple(found.values())


@dataclass
class _Registered:
    """What one plugin has registered."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    recipes: list[NamedRecipe] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def _loaded(point: importlib.metadata.EntryPoint, owner: Provider) -> _Registered:
    """Import a plugin and ask it what it has; raises PluginError, whose text is the reason alone."""
    if _normal(owner.name) == "dtool":
        raise PluginError("another package that calls itself dtool")
    try:
        with guarded(Origin("plugin", point.name, owner.name, owner.version), seconds=IMPORTING):
            plugin = point.load()
            found = _registered(plugin, owner)
    except PluginError as error:
        raise PluginError(str(error) if error.__cause__ is None else reason(error.__cause__)) from error
    except DtoolError as error:
        raise PluginError(reason(error)) from error
    if not (any(found.entries.values()) or found.recipes or found.faults):
        raise PluginError(_why_nothing(plugin))
    return found


def _registered(plugin: ModuleType | Any, provider: Provider) -> _Registered:
    """What `plugin` registers, by kind, and its recipes; in a manager of its own, so that its errors stay its own."""
    manager = pluggy.PluginManager("dtool")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    found = _Registered()
    for kind in KINDS:
        registrar = Registrar(kind.removesuffix("s"), provider)
        results = getattr(manager.hook, f"register_{kind}")(register=registrar)
        if unrun := [one for one in results if inspect.isgenerator(one) or inspect.iscoroutine(one)]:
            unrun[0].close()
            raise PluginError(f"register_{kind} is a generator or a coroutine, so nothing in it has run")
        found.entries[kind] = registrar.entries
        found.recipes += registrar.recipes
        found.faults += registrar.faults
    return found


def _why_nothing(plugin: object) -> str:
    unmarked = [kind for kind in KINDS if hasattr(plugin, f"register_{kind}")]
    if unmarked:
        return f"register_{unmarked[0]} registers nothing, or is not marked with @dtool.hookimpl"
    return f"it registers nothing: it has no register_{', register_'.join(KINDS)} marked with @dtool.hookimpl"


def _owner(point: importlib.metadata.EntryPoint) -> Provider:
    distribution = point.dist
    name = getattr(distribution, "name", None) or point.value.partition(":")[0]
    return Provider(line(name), line(getattr(distribution, "version", None) or "?"))


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


def disable_all() -> None:
    """What `--no-plugins` does: from here on no plugin is imported in this process."""
    import os

    os.environ["DTOOL_NO_PLUGINS"] = "1"
    if "dtool.plugins.registry" in sys.modules:
        sys.modules["dtool.plugins.registry"].registry.cache_clear()
