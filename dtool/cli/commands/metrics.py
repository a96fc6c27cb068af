"""`dtool metrics`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dtool.cli.show.listing import describe_each, describe_entry, show_items, show_one
from dtool.cli.show.output import AsJson, Column, Quiet
from dtool.plugins.registrar import Entry
from dtool.plugins.registry import get_registry

EXAMPLES = ("dtool metrics", "dtool metrics mmd")


def complete_metrics(incomplete: str) -> list[str]:
    """Completions of a metric's name."""
    return get_registry().metrics.names(incomplete)


def metrics(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=complete_metrics, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the metrics: how far samples are from data."""
    if name is not None:
        entry = get_registry().metrics.entry(name.partition(":")[0])
        description = describe_metric(entry)
        shown = (
            description
            if as_json
            else {key.replace("_", " "): _format_value(value) for key, value in description.items()}
        )
        show_one(get_registry().metrics, entry.spelling, as_json, shown)
        return
    items = describe_each(get_registry().metrics, lambda entry: describe_entry(entry) | describe_metric(entry))
    columns = [Column("name"), Column("better"), Column("of"), Column("what it is", fold=True)]
    show_items(items, [*columns, Column("source", fold=True)], _format_row, as_json)


def _format_row(item: dict[str, Any]) -> list[str]:
    summary = item["summary"].rstrip(".")
    return [item["name"], item.get("better", "-"), item.get("features", "-"), summary, item["cite"]]


def describe_metric(entry: Entry) -> dict[str, Any]:
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


def _format_value(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
