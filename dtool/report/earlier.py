"""This comparison beside an earlier one: the same recipes, then and now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dtool.report import charts
from dtool.report.values import finite

Entry = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One figure of one recipe, and by how many per cent it changed; None where a part is missing."""

    title: str
    then: float | None
    now: float | None

    @property
    def percent(self) -> float | None:
        """The change, relative to what it was."""
        return None if self.then is None or self.now is None or self.then == 0 else 100 * (self.now / self.then - 1)


@dataclass(frozen=True)
class Row:
    """One recipe that both comparisons have."""

    label: str
    changes: tuple[Change, ...]


def compared(document: dict[str, Any]) -> list[Row]:
    """The recipes and step counts that `baseline` has too: solver error, headline metrics, seconds.

    A figure that no row has both of is left out.
    """
    known = {(one.get("name"), one.get("steps")): one for one in (document["baseline"] or {}).get("entries") or []}
    metrics = [metric for metric in document["metrics"] if metric.get("headline")]
    rows = []
    for entry, label in zip(document["entries"], charts.labels(document["entries"]), strict=True):
        then = known.get((entry["name"], entry["steps"]))
        if then is not None:
            rows.append((label, _changes(then, entry, metrics)))
    kept = [i for i in range(2 + len(metrics)) if any(changes[i].percent is not None for _, changes in rows)]
    return [Row(label, tuple(changes[i] for i in kept)) for label, changes in rows] if kept else []


def _changes(then: Entry, now: Entry, metrics: list[dict[str, Any]]) -> list[Change]:
    def solver(entry: Entry) -> float | None:
        return finite((entry.get("solver") or {}).get("rmse"))

    def figure(entry: Entry, name: str) -> float | None:
        return finite(((entry.get("figures") or {}).get(name) or {}).get("value"))

    found = [Change("Solver RMSE", solver(then), solver(now))]
    for metric in metrics:
        name = str(metric["name"])
        found.append(Change(str(metric.get("title") or name), figure(then, name), figure(now, name)))
    return [*found, Change("Seconds", finite(then.get("seconds")), finite(now.get("seconds")))]
