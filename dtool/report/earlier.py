"""This comparison beside an earlier one: the same recipes, then and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dtool.compare.entry_identity import find_counterpart, identify_entry
from dtool.compare.gate import Estimate, is_comparable, read_figures
from dtool.report import charts
from dtool.report.values import format_number, to_finite

EntryDict = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One figure of one recipe: then and now, None where it is missing; `why` says why the two cannot be compared.

    `clear`: whether the earlier value and its interval are above zero: only then does a percentage make sense.
    """

    title: str
    then: float | None
    now: float | None
    better: str = "lower"
    clear: bool = True
    why: str = ""

    @property
    def difference(self) -> float | None:
        """By how much it changed."""
        return None if self.then is None or self.now is None or self.why else self.now - self.then

    @property
    def percent(self) -> float | None:
        """The change in per cent of the earlier value; None if that may be zero, or either is negative."""
        if self.difference is None or not self.then or not self.clear or (self.now or 0.0) < 0:
            return None
        return 100 * self.difference / self.then

    @property
    def summary(self) -> str:
        """The change as text, with its sign, and whether it is for the better; else `why`."""
        if self.difference is None:
            return self.why
        if self.difference == 0:
            return "the same"
        size = format_number(self.difference, 2) if self.percent is None else f"{format_number(self.percent, 2)}\u00a0%"
        better = (self.difference < 0) == (self.better == "lower")
        return f"{'+' if self.difference > 0 else ''}{size}, {'better' if better else 'worse'}"


@dataclass(frozen=True)
class RecipeChanges:
    """One recipe that both comparisons have."""

    label: str
    changes: tuple[Change, ...]


def list_changes(document: dict[str, Any]) -> list[RecipeChanges]:
    """The recipes and step counts that `baseline` has too: solver error, headline metrics, seconds.

    A figure that no row has in both comparisons is left out.
    """
    baseline = document["baseline"] or {}
    before = [one for one in baseline.get("entries") or [] if "recipe" in one and one.get("steps")]
    metrics = [metric for metric in document["metrics"] if metric.get("headline")]
    rows = []
    for entry, label in zip(document["entries"], charts.label_entries(document["entries"]), strict=True):
        there = find_counterpart(identify_entry(entry), before) if "recipe" in entry and entry["steps"] else None
        if there is not None:
            figures = read_figures(there), read_figures(entry)
            rows.append((label, _compare_figures(*figures, metrics, (baseline.get("n"), document["n"]))))
    shown = [i for i in range(2 + len(metrics)) if any(None not in (c[i].then, c[i].now) for _, c in rows)]
    return [RecipeChanges(label, tuple(changes[i] for i in shown)) for label, changes in rows] if shown else []


def _compare_figures(
    then: Mapping[str, Estimate], now: Mapping[str, Estimate], metrics: list[dict[str, Any]], n: tuple[Any, Any]
) -> list[Change]:
    figures = [("rmse", "Solver RMSE", "lower")]
    figures += [(str(m["name"]), str(m.get("title") or m["name"]), str(m.get("better") or "lower")) for m in metrics]
    return [_compare_figure(*one, then, now, n) for one in [*figures, ("seconds", "Seconds", "lower")]]


def _compare_figure(
    name: str, title: str, better: str, then: Mapping[str, Estimate], now: Mapping[str, Estimate], n: tuple[Any, Any]
) -> Change:
    old, new = then.get(name), now.get(name)
    why = "" if is_comparable(name, n[1], n[0]) else f"of {n[0]} and of {n[1]} images"
    before, after = (None if one is None else to_finite(one.value) for one in (old, new))
    return Change(title=title, then=before, now=after, better=better, clear=old is not None and old.low > 0, why=why)
