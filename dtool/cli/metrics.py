"""`dtool metrics`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dtool.cli.listing import described, each, provider, show_one
from dtool.cli.output import AsJson, Column, Quiet, say_json, table
from dtool.plugins.registrar import Entry
from dtool.plugins.registry import registry

EXAMPLES = ("dtool metrics", "dtool metrics mmd")


def metric_names(incomplete: str) -> list[str]:
    """Completions of a metric's name."""
    return registry().metrics.names(incomplete)


def metrics(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=metric_names, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the metrics: how far samples are from data."""
    if name is not None:
        entry = registry().metrics.entry(name.partition(":")[0])
        found = facts(entry)
        shown = found if as_json else {key.replace("_", " "): _said(value) for key, value in found.items()}
        show_one(registry().metrics, entry.spelling, as_json, shown)
        return
    items = list(each(registry().metrics, lambda entry: described(entry) | facts(entry)))
    if as_json:
        say_json(items)
        return
    foreign = any(item["provider"]["name"] != "dtool" for item in items)
    columns = [
        Column("name"),
        Column("better"),
        Column("of"),
        Column("what it is", fold=True),
        Column("source", fold=True),
    ]
    rows = [
        [item["name"], item.get("better", "-"), item.get("features", "-"), item["summary"].rstrip("."), item["cite"]]
        + [provider(item)] * foreign
        for item in items
    ]
    table([*columns, Column("package", fold=True)] if foreign else columns, rows)


def facts(entry: Entry) -> dict[str, Any]:
    """What a metric says of itself."""
    metric = entry.load()
    return {
        "title": metric.title,
        "better": metric.better,
        "features": metric.features if metric.extract is None else "network",
        "unbiased": metric.unbiased,
        "headline": metric.headline,
        "p_value": metric.permutation,
        "fewest": metric.minimum,
    }


def _said(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
