"""Error against cost, as a Vega-Lite specification: points with intervals, the Pareto front, what data score."""

from __future__ import annotations

import math
from typing import Any

from dtool.report.charts import Rows, altair, finished, plain_hue, tips
from dtool.report.values import finite, number, span

COSTS = {"calls": "network calls an image", "seconds": "seconds, all images"}


def front(rows: Rows, better: str) -> list[int]:
    """Pareto: the rows (with `x` and `value`) that no row beats that costs as little or less, cheapest first."""
    sign = -1.0 if better == "higher" else 1.0
    best, kept = float("inf"), []
    for i in sorted(range(len(rows)), key=lambda i: (rows[i]["x"], sign * rows[i]["value"])):
        if sign * rows[i]["value"] < best:
            best = sign * rows[i]["value"]
            kept.append(i)
    return kept


def against_cost(rows: Rows, better: str, title: str, cost: str, null: Any = None) -> dict[str, Any]:
    """The chart. rows: name, label, hue, x, value and, if known, low, high, x_low, x_high.

    cost: calls or seconds. null: mean and standard deviation of what data score against data, or None.
    """
    alt = altair()
    kept = front(rows, better)
    data = [{"low": row["value"], "high": row["value"], "x_low": row["x"], "x_high": row["x"], **row,
             "interval": span(row.get("low"), row.get("high")) or "none", "front": i in kept}
            for i, row in enumerate(rows)]  # fmt: skip
    least, most = min(min(row["low"], row["value"]) for row in data), max(row["high"] for row in data)
    logarithmic = least > 0 and most / least > 5
    bands = _bands(null, least if logarithmic else None)
    x, y = _axes(alt, data, title, cost, logarithmic)
    base = alt.Chart(alt.NamedData("rows")).encode(x=x, color=plain_hue(alt), detail="name:N")
    steps = alt.Chart(alt.NamedData("front")).mark_line(
        interpolate="step-after", color="var(--rule)", strokeWidth=1.5, strokeDash=[5, 3]
    )
    layers = [_band(alt, y, one) for one in bands]
    layers += [steps.encode(x=x, y=y), base.mark_line(strokeWidth=1, opacity=0.45).encode(y=y),
               base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q"), y2="high:Q")]  # fmt: skip
    if cost == "seconds":
        layers.append(base.mark_rule(strokeWidth=1.5).encode(x=alt.X("x_low:Q"), x2="x_high:Q", y=y))
    fill = alt.condition("datum.front", alt.Fill("hue:N", scale=None, legend=None), alt.value("var(--paper)"))
    said = tips(label_N="recipe", x=cost, value="value", interval_N="95 % interval")
    layers.append(base.mark_point(size=64, strokeWidth=2, opacity=1).encode(y=y, fill=fill, tooltip=said))
    return finished(alt.layer(*layers), 260, rows=data, front=[data[i] for i in kept], band=bands)


def _axes(alt: Any, data: Rows, title: str, cost: str, logarithmic: bool) -> tuple[Any, Any]:
    ticks = (
        {"values": _apart({row["x"] for row in data})} if cost == "calls" else {"tickCount": 4, "labelOverlap": True}
    )
    x = alt.X("x:Q", title=COSTS[cost], scale=alt.Scale(type="log", nice=False, padding=24),
              axis=alt.Axis(format=".6~g", grid=False, labelSeparation=4, **ticks))  # fmt: skip
    scale = {"type": "log", "nice": False} if logarithmic else {"type": "linear", "zero": False}
    axis = alt.Axis(format=".6~g", tickCount=5, labelOverlap=True, labelSeparation=4)
    return x, alt.Y("value:Q", title=title, scale=alt.Scale(padding=14, **scale), axis=axis)


def _apart(values: set[float], share: float = 0.06) -> list[float]:
    """Those of the values that can be written beside each other on a logarithmic axis, the largest first."""
    rest = sorted(values, reverse=True)
    kept, wide = rest[:1], math.log(rest[0] / rest[-1])
    for value in rest[1:]:
        if math.log(kept[-1] / value) >= share * wide:
            kept.append(value)
    return kept


def _bands(null: Any, least: float | None) -> Rows:
    """What data score against data, as no band or one: their mean and two standard deviations on either side.

    least: the smallest figure, if the axis is logarithmic: a band that reaches zero begins there.
    """
    mean, sd = (finite(part) for part in null or (None, None))
    if mean is None:
        return []
    low, high = mean - 2 * (sd or 0.0), mean + 2 * (sd or 0.0)
    said = f"data against data: {number(mean)} ± {number(2 * (sd or 0.0))}"
    if least is not None and low <= 0:
        low = min(least, high / 2)
    return [{"value": low, "top": high, "said": said}] if low < high and (least is None or high > 0) else []


def _band(alt: Any, y: Any, one: dict[str, Any]) -> Any:
    band = alt.Chart(alt.NamedData("band")).mark_rect(color="var(--band)", opacity=1)
    return band.encode(y=y, y2="top:Q", tooltip=alt.value(one["said"]))
