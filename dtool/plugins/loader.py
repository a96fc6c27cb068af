"""Loading plugins one at a time, so that a broken one costs a line of warning and never the command."""

from __future__ import annotations

import importlib.metadata
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from types import ModuleType
from typing import Any, Literal

import pluggy

from dtool.errors import DtoolError
from dtool.plugins import hookspecs
from dtool.plugins.registrar import Entry, NamedRecipe, Provider, Registrar
from dtool.version import __version__

GROUP = "dtool"
KINDS = ("schedulers", "spacings", "samplers", "metrics")


class PluginWarning(UserWarning):
    """A plugin could not be loaded."""


@dataclass
class Plugin:
    """One loaded, broken or disabled plugin, as `dtool plugins` shows it. `seconds` is what importing it took."""

    name: str
    version: str
    entry_point: str
    status: Literal["ok", "broken", "disabled"]
    error: str = ""
    seconds: float = 0.0
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    recipes: list[NamedRecipe] = field(default_factory=list)


def load_builtins() -> Plugin:
    """dtool's own entries, through the same door as everyone's."""
    from dtool.plugins import builtin

    entries, recipes = _entries(builtin, Provider("dtool", __version__))
    return Plugin("dtool", __version__, "builtin", "ok", entries=entries, recipes=recipes)


def load_installed(environment: Mapping[str, str]) -> Iterator[Plugin]:
    """Every plugin of the entry-point group "dtool".

    `environment` holds the switches: DTOOL_NO_PLUGINS (any value: none is imported), DTOOL_DISABLE_PLUGINS (names of
    packages or entry points, with commas) and DTOOL_STRICT_PLUGINS (raise instead of warn).
    """
    disabled = {_normal(name) for name in environment.get("DTOOL_DISABLE_PLUGINS", "").split(",")}
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: (_owner(p).name, p.name)):
        owner = _owner(point)
        if environment.get("DTOOL_NO_PLUGINS") or {_normal(owner.name), _normal(point.name)} & disabled:
            yield Plugin(owner.name, owner.version, point.value, "disabled")
            continue
        started = perf_counter()
        try:
            entries, recipes = _entries(point.load(), owner)
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            if environment.get("DTOOL_STRICT_PLUGINS"):
                cause = f"plugin {owner.name} {owner.version} cannot be loaded ({reason})"
                raise DtoolError(cause, "mend it, or unset DTOOL_STRICT_PLUGINS") from error
            warnings.warn(f"plugin {owner.name} {owner.version} is skipped ({reason})", PluginWarning, stacklevel=2)
            yield Plugin(owner.name, owner.version, point.value, "broken", reason, perf_counter() - started)
        else:
            yield Plugin(owner.name, owner.version, point.value, "ok", "", perf_counter() - started, entries, recipes)


def _entries(plugin: ModuleType | Any, provider: Provider) -> tuple[dict[str, list[Entry]], list[NamedRecipe]]:
    """What `plugin` registers, by kind, and its recipes; in a manager of its own, so that its errors stay its own."""
    manager = pluggy.PluginManager("dtool")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    entries = {}
    recipes = []
    for kind in KINDS:
        registrar = Registrar(kind.removesuffix("s"), provider)
        getattr(manager.hook, f"register_{kind}")(register=registrar)
        entries[kind] = registrar.entries
        recipes += registrar.recipes
    return entries, recipes


def _owner(point: importlib.metadata.EntryPoint) -> Provider:
    if point.dist is None:
        return Provider(point.module, "?")
    return Provider(point.dist.name, point.dist.version)


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


def disable_all() -> None:
    """What `--no-plugins` does: from here on no plugin is imported in this process."""
    import os

    os.environ["DTOOL_NO_PLUGINS"] = "1"
    if "dtool.plugins.registry" in sys.modules:
        sys.modules["dtool.plugins.registry"].registry.cache_clear()
