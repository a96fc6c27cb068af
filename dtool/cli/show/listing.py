"""What `samplers`, `schedulers` and `spacings` have in common: the catalogue of one kind as a table or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from dtool.cli.show.output import Column, print_table, say, say_json
from dtool.errors import DtoolError
from dtool.plugins.registrar import Entry
from dtool.plugins.registry import Catalogue
from dtool.util.text import format_exception, safe_str, to_line


def describe_each(entries: Iterable[Entry], make: Callable[[Entry], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """`make` of every entry; of one that cannot be used, what is known without it, with the reason."""
    for entry in entries:
        try:
            yield make(entry)
        except Exception as error:  # whatever it is, the others are listed
            why = to_line(error) if isinstance(error, DtoolError) else f"{entry.origin}: {format_exception(error)}"
            yield describe_unloaded(entry) | {"summary": f"broken: {why}", "options": {}, "cite": ""}


def describe_entry(entry: Entry) -> dict[str, Any]:
    """One entry as JSON: name, summary, options with type, default and help, citation, provider."""
    thing = entry.load()
    return describe_unloaded(entry) | {
        "summary": entry.summary or to_line(thing.doc.partition("\n")[0]),
        "options": {name: _describe_option(field) for name, field in thing.model.model_fields.items()},
        "cite": to_line(thing.cite),
    }


def describe_unloaded(entry: Entry) -> dict[str, Any]:
    """What is known without importing anything."""
    provider = {"name": entry.provider.name, "version": entry.provider.version}
    return {"name": entry.spelling, "aliases": list(entry.aliases), "provider": provider}


def _describe_option(field: Any) -> dict[str, Any]:
    kind = field.annotation
    if get_origin(kind) is Literal:
        spelt = " | ".join(str(choice) for choice in get_args(kind))
    else:
        spelt = kind.__name__ if isinstance(kind, type) else str(kind)
    default = None if field.is_required() else field.default
    return {
        "type": spelt,
        "default": default
        if default is None or isinstance(default, (bool, int, float, str, tuple))
        else safe_str(default),
        "required": field.is_required(),
        "help": to_line(field.description or ""),
    }


def show_all(catalogue: Catalogue, as_json: bool) -> None:
    """Print the whole catalogue; an entry that cannot be loaded is listed with the reason."""
    columns = [Column("name"), *(Column(head, fold=True) for head in ("what it is", "options", "source"))]
    items = describe_each(catalogue, describe_entry)
    show_items(items, columns, lambda i: [i["name"], i["summary"], _format_options(i), i["cite"]], as_json)


def show_named(catalogue: Catalogue, name: str | None, as_json: bool) -> None:
    """Print the entry of this name in full, whatever options stand behind it; of None the whole catalogue."""
    if name is None:
        show_all(catalogue, as_json)
    else:
        show_one(catalogue, name.partition(":")[0], as_json)


def show_items(
    items: Iterable[dict[str, Any]],
    columns: Sequence[Column],
    format_row: Callable[[dict[str, Any]], list[str]],
    as_json: bool,
) -> None:
    """Print described entries as JSON or as a table, which names their packages if any of them is not dtool's own."""
    items = list(items)
    if as_json:
        say_json(items)
        return
    foreign = any(item["provider"]["name"] != "dtool" for item in items)
    rows = [format_row(item) + [format_provider(item)] * foreign for item in items]
    print_table([*columns, Column("package", fold=True)] if foreign else columns, rows)


def show_one(catalogue: Catalogue, name: str, as_json: bool, more: dict[str, Any] | None = None) -> None:
    """Print one entry in full, and what `more` says of it; raises UsageError if there is none of that name."""
    entry = catalogue.entry(name)
    item = describe_entry(entry) | (more or {})
    if as_json:
        say_json(item | {"doc": entry.load().doc})
        return
    say(f"{item['name']}  ({catalogue.kind} of {format_provider(item)})\n")
    say(entry.load().doc)
    if item["options"]:
        say()
        rows = [[n, o["type"], _format_default(o), o["help"]] for n, o in item["options"].items()]
        print_table(
            [Column("option"), Column("type", fold=True), Column("default"), Column("what it does", fold=True)], rows
        )
    say()
    for label, value in (("source", item["cite"]), ("also", ", ".join(item["aliases"])), *(more or {}).items()):
        if value:
            say(f"{label}: {value}")


def _format_options(item: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_format_default(option)}" for name, option in item["options"].items())


def _format_default(option: dict[str, Any]) -> str:
    if option["required"]:
        return "…"
    default = option["default"]
    return str(default).lower() if isinstance(default, bool) else to_line(default)


def format_provider(item: dict[str, Any]) -> str:
    """The package that offers an entry, and its version."""
    return f"{item['provider']['name']} {item['provider']['version']}"
