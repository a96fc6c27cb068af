"""Loading plugins one at a time, so that a broken one costs a line of warning and never the command."""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from types import ModuleType
from typing import Any, Literal

import pluggy

from dtool.errors import DtoolError, PluginError
from dtool.plugins import hookspecs
from dtool.plugins.isolation import IMPORT_SECONDS, Origin, guard_code
from dtool.plugins.registrar import Entry, NamedRecipe, Provider, Registrar
from dtool.util.text import format_exception, to_line
from dtool.version import __version__

GROUP = "dtool"
KINDS = ("schedulers", "spacings", "samplers", "guidances", "metrics", "readers", "conditioners")


class PluginWarning(UserWarning):
    """A plugin, or something that it offers, could not be loaded."""


@dataclass(kw_only=True)
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

    registrations = _collect_registrations(builtin, Provider("dtool", __version__))
    return Plugin(
        name="dtool", version=__version__, entry_point="builtin", status="ok",
        entries=registrations.entries, recipes=registrations.recipes,
    )  # fmt: skip


def load_installed(environment: Mapping[str, str]) -> Iterator[Plugin]:
    """Every plugin of the entry-point group "dtool".

    `environment` holds the switches: DTOOL_NO_PLUGINS (any value: none is imported), DTOOL_DISABLE_PLUGINS (names of
    packages or entry points, with commas) and DTOOL_STRICT_PLUGINS (raise instead of warn).
    """
    disabled = {_normalize_name(name) for name in environment.get("DTOOL_DISABLE_PLUGINS", "").split(",")}
    for point in sorted(_find_entry_points(), key=lambda p: (_identify_owner(p).name, p.name)):
        owner, where = _identify_owner(point), to_line(point.value)
        plugin = Plugin(name=owner.name, version=owner.version, entry_point=where, status="ok")
        if environment.get("DTOOL_NO_PLUGINS") or {_normalize_name(owner.name), _normalize_name(point.name)} & disabled:
            yield replace(plugin, status="disabled")
            continue
        started = perf_counter()
        try:
            registrations = _import_plugin(point, owner)
        except DtoolError as error:
            why = str(error)
            complain(owner, f"is skipped ({why})", environment, f"cannot be loaded ({why})")
            yield replace(plugin, status="broken", error=why, seconds=perf_counter() - started)
            continue
        plugin.seconds = perf_counter() - started
        plugin.entries, plugin.recipes = registrations.entries, registrations.recipes
        for fault in registrations.faults:
            plugin.blame(fault)
            complain(owner, f"is at fault: {fault}", environment)
        yield plugin


def complain(owner: Provider, what: str, environment: Mapping[str, str], strictly: str = "") -> None:
    """Warn of a plugin; with DTOOL_STRICT_PLUGINS raise DtoolError."""
    who = f"plugin {owner.name} {owner.version}"
    if environment.get("DTOOL_STRICT_PLUGINS"):
        raise DtoolError(f"{who} {strictly or what}", "mend it, or unset DTOOL_STRICT_PLUGINS")
    warnings.warn(f"{who} {what}", PluginWarning, stacklevel=3)


def _find_entry_points() -> Sequence[importlib.metadata.EntryPoint]:
    """The entry points of the group; those of a package whose list of them cannot be read are left out."""
    try:
        return tuple(importlib.metadata.entry_points(group=GROUP))
    except Exception:
        points: dict[tuple[str, str], importlib.metadata.EntryPoint] = {}
    for distribution in importlib.metadata.distributions():
        try:
            for point in distribution.entry_points.select(group=GROUP):
                points.setdefault((str(distribution.name), point.name), point)
        except Exception as error:
            name = to_line(getattr(distribution, "_path", "?"))
            warnings.warn(
                f"the entry points of {name} cannot be read ({format_exception(error)})", PluginWarning, stacklevel=2
            )
    return tuple(points.values())


@dataclass
class _Registrations:
    """What one plugin has registered."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    recipes: list[NamedRecipe] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def _import_plugin(point: importlib.metadata.EntryPoint, owner: Provider) -> _Registrations:
    """Import a plugin and ask it what it has; raises PluginError, whose text is the reason alone."""
    if _normalize_name(owner.name) == "dtool":
        raise PluginError("another package that calls itself dtool")
    try:
        with guard_code(Origin("plugin", point.name, owner.name, owner.version), seconds=IMPORT_SECONDS):
            plugin = point.load()
            registrations = _collect_registrations(plugin, owner)
    except PluginError as error:
        raise PluginError(str(error) if error.__cause__ is None else format_exception(error.__cause__)) from error
    except DtoolError as error:
        raise PluginError(format_exception(error)) from error
    if not (any(registrations.entries.values()) or registrations.recipes or registrations.faults):
        raise PluginError(_explain_empty(plugin))
    return registrations


def _collect_registrations(plugin: ModuleType | Any, provider: Provider) -> _Registrations:
    """What `plugin` registers, by kind, and its recipes; in a manager of its own, so that its errors stay its own."""
    manager = pluggy.PluginManager("dtool")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    registrations = _Registrations()
    for kind in KINDS:
        registrar = Registrar(kind.removesuffix("s"), provider)
        results = getattr(manager.hook, f"register_{kind}")(register=registrar)
        if unrun := [one for one in results if inspect.isgenerator(one) or inspect.iscoroutine(one)]:
            unrun[0].close()
            raise PluginError(f"register_{kind} is a generator or a coroutine, so nothing in it has run")
        registrations.entries[kind] = registrar.entries
        registrations.recipes += registrar.recipes
        registrations.faults += registrar.faults
    return registrations


def _explain_empty(plugin: object) -> str:
    unmarked = [kind for kind in KINDS if hasattr(plugin, f"register_{kind}")]
    if unmarked:
        return f"register_{unmarked[0]} registers nothing, or is not marked with @dtool.hookimpl"
    return f"it registers nothing: it has no register_{', register_'.join(KINDS)} marked with @dtool.hookimpl"


def _identify_owner(point: importlib.metadata.EntryPoint) -> Provider:
    distribution = point.dist
    name = getattr(distribution, "name", None) or point.value.partition(":")[0]
    return Provider(to_line(name), to_line(getattr(distribution, "version", None) or "?"))


def _normalize_name(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


def disable_all() -> None:
    """What `--no-plugins` does: from here on no plugin is imported in this process."""
    import os

    os.environ["DTOOL_NO_PLUGINS"] = "1"
    if "dtool.plugins.registry" in sys.modules:
        sys.modules["dtool.plugins.registry"].get_registry.cache_clear()
