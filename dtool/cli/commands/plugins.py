"""`dtool plugins`."""

from __future__ import annotations

from dtool.cli.show.output import AsJson, Column, Quiet, print_table, remark, say_json
from dtool.plugins.loader import KINDS, Plugin
from dtool.plugins.registry import get_registry

EXAMPLES = ("dtool plugins", "DTOOL_DISABLE_PLUGINS=some-package dtool plugins")


def plugins(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the installed plugins and what they offer."""
    get_registry().load_installed()
    installed = get_registry().plugins
    if as_json:
        say_json([_describe_plugin(plugin) for plugin in installed])
        return
    rows = []
    for plugin in installed:
        offers = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in _list_offers(plugin).items())
        parts = filter(None, (offers, f"at fault: {plugin.error}" if offers and plugin.error else plugin.error))
        rows.append([plugin.name, plugin.version, plugin.status, "; ".join(parts) or "-"])
    print_table([Column("package"), Column("version"), Column("status"), Column("what it offers", fold=True)], rows)
    if len(installed) == 1:
        remark("no other package offers anything in the entry-point group 'dtool'", quiet)


def _list_offers(plugin: Plugin) -> dict[str, list[str]]:
    return {kind: [e.name for e in plugin.entries[kind]] for kind in KINDS if plugin.entries.get(kind)}


def _describe_plugin(plugin: Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "version": plugin.version,
        "entry_point": plugin.entry_point,
        "status": plugin.status,
        "error": plugin.error,
        "faults": plugin.faults,
        "import_seconds": round(plugin.seconds, 4),
        "offers": _list_offers(plugin),
    }
