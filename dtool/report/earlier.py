"""This comparison beside an earlier one: the same recipes, then and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dtool.compare.gate import Known, comparable, key, known
from dtool.report import charts
from dtool.report.values import finite, number

Entry = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One figure of one recipe: then and now, None where it is missing; `why` says why the two cannot be compared.

    `clear`: whether what it was, with its interval, is above zero: only of that is a percentage a part of something.
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
        """The change in per cent of what it was; None of what may be zero, or is below it."""
        if self.difference is None or not self.then or not self.clear or (self.now or 0.0) < 0:
            return None
        return 100 * self.difference / self.then

    @property
    def said(self) -> str:
        """The change as text, with its sign, and whether it is for the better; "" if there is none to tell."""
        if self.difference is None:
            return self.why
        if self.difference == 0:
            return "the same"
        size = number(self.difference, 2) if self.percent is None else f"{number(self.percent, 2)}\u00a0%"
        better = (self.difference < 0) == (self.better == "lower")
        return f"{'+' if self.difference > 0 else ''}{size}, {'better' if better else 'worse'}"


@dataclass(frozen=True)
class Row:
    """One recipe that both comparisons have."""

    label: str
    changes: tuple[Change, ...]


def compared(document: dict[str, Any]) -> list[Row]:
    """The recipes and step counts that `baseline` has too: solver error, headline metrics, seconds.

    A figure that no row has both of is left out.
    """
    baseline = document["baseline"] or {}
    before = {key(one): known(one) for one in baseline.get("entries") or [] if "recipe" in one and one.get("steps")}
    metrics = [metric for metric in document["metrics"] if metric.get("headline")]
    rows = []
    for entry, label in zip(document["entries"], charts.labels(document["entries"]), strict=True):
        then = before.get(key(entry)) if "recipe" in entry and entry["steps"] else None
        if then is not None:
            rows.append((label, _changes(then, known(entry), metrics, (baseline.get("n"), document["n"]))))
    kept = [i for i in range(2 + len(metrics)) if any(None not in (c[i].then, c[i].now) for _, c in rows)]
    return [Row(label, tuple(changes[i] for i in kept)) for label, changes in rows] if kept else []


def _changes(
    then: Mapping[str, Known], now: Mapping[str, Known], metrics: list[dict[str, Any]], n: tuple[Any, Any]
) -> list[Change]:
    asked = [("rmse", "Solver RMSE", "lower")]
    asked += [(str(m["name"]), str(m.get("title") or m["name"]), str(m.get("better") or "lower")) for m in metrics]
    return [_change(*one, then, now, n) for one in [*asked, ("seconds", "Seconds", "lower")]]


def _change(
    name: str, title: str, better: str, then: Mapping[str, Known], now: Mapping[str, Known], n: tuple[Any, Any]
) -> Change:
    old, new = then.get(name), now.get(name)
    why = "" if comparable(name, n[1], n[0]) else f"of {n[0]} and of {n[1]} images"
    before, after = (None if one is None else finite(one.value) for one in (old, new))
    return Change(title, before, after, better, old is not None and old.low > 0, why)
