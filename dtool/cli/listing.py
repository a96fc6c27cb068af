"""What `samplers`, `schedulers` and `spacings` have in common: the catalogue of one kind as a table or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args, get_origin

from dtool.cli.output import Column, say, say_json, table
from dtool.errors import DtoolError
from dtool.plain import line, reason, told
from dtool.plugins.registrar import Entry
from dtool.plugins.registry import Catalogue


def each(entries: Iterable[Entry], make: Callable[[Entry], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """`make` of every entry; of one that cannot be used, what is known without it, with the reason."""
    for entry in entries:
        try:
            yield make(entry)
        except Exception as error:  # whatever it is, the others are listed
            why = line(error) if isinstance(error, DtoolError) else f"{entry.origin}: {reason(error)}"
            yield plain(entry) | {"summary": f"broken: {why}", "options": {}, "cite": ""}


def described(entry: Entry) -> dict[str, Any]:
    """One entry as JSON: name, summary, options with type, default and help, citation, provider."""
    thing = entry.load()
    return plain(entry) | {
        "summary": entry.summary or line(thing.doc.partition("\n")[0]),
        "options": {name: _option(field) for name, field in thing.model.model_fields.items()},
        "cite": line(thing.cite),
    }


def plain(entry: Entry) -> dict[str, Any]:
    """What is known without importing anything."""
    provider = {"name": entry.provider.name, "version": entry.provider.version}
    return {"name": entry.spelling, "aliases": list(entry.aliases), "provider": provider}


def _option(field: Any) -> dict[str, Any]:
    kind = field.annotation
    if get_origin(kind) is Literal:
        spelt = " | ".join(str(choice) for choice in get_args(kind))
    else:
        spelt = kind.__name__ if isinstance(kind, type) else str(kind)
    default = None if field.is_required() else field.default
    return {
        "type": spelt,
        "default": default if default is None or isinstance(default, (bool, int, float, str, tuple)) else told(default),
        "required": field.is_required(),
        "help": line(field.description or ""),
    }


def show_all(catalogue: Catalogue, as_json: bool) -> None:
    """Print the whole catalogue; an entry that cannot be loaded is listed with the reason."""
    found = list(each(catalogue, described))
    if as_json:
        say_json(found)
        return
    foreign = any(item["provider"]["name"] != "dtool" for item in found)
    columns = [
        Column("name"),
        Column("what it is", fold=True),
        Column("options", fold=True),
        Column("source", fold=True),
    ]
    rows = [[i["name"], i["summary"], _options(i), i["cite"]] + [provider(i)] * foreign for i in found]
    table([*columns, Column("package", fold=True)] if foreign else columns, rows)


def show_one(catalogue: Catalogue, name: str, as_json: bool, more: dict[str, Any] | None = None) -> None:
    """Print one entry in full, and what `more` says of it; raises UsageError if there is none of that name."""
    entry = catalogue.entry(name)
    item = described(entry) | (more or {})
    if as_json:
        say_json(item | {"doc": entry.load().doc})
        return
    say(f"{item['name']}  ({catalogue.kind} of {provider(item)})\n")
    say(entry.load().doc)
    if item["options"]:
        say()
        rows = [[n, o["type"], _value(o), o["help"]] for n, o in item["options"].items()]
        table([Column("option"), Column("type", fold=True), Column("default"), Column("what it does", fold=True)], rows)
    say()
    for label, value in (("source", item["cite"]), ("also", ", ".join(item["aliases"])), *(more or {}).items()):
        if value:
            say(f"{label}: {value}")


def _options(item: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_value(option)}" for name, option in item["options"].items())


def _value(option: dict[str, Any]) -> str:
    if option["required"]:
        return "…"
    default = option["default"]
    return str(default).lower() if isinstance(default, bool) else line(default)


def provider(item: dict[str, Any]) -> str:
    """The package that offers an entry, and its version."""
    return f"{item['provider']['name']} {item['provider']['version']}"
