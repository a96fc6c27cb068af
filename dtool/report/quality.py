"""Error against cost, as a Vega-Lite specification: points with intervals, the Pareto front, what data score."""

from __future__ import annotations

import math
from typing import Any

from dtool.report.charts import Rows, encode_hue, finish_chart, import_altair, make_tooltips
from dtool.report.values import format_number, format_span, to_finite

COSTS = {"calls": "network evaluations per image", "seconds": "seconds, all images"}


def pareto_front(rows: Rows, better: str) -> list[int]:
    """Pareto: the rows (with `x` and `value`) that no equally cheap or cheaper row beats, cheapest first."""
    sign = -1.0 if better == "higher" else 1.0
    best, front = float("inf"), []
    for i in sorted(range(len(rows)), key=lambda i: (rows[i]["x"], sign * rows[i]["value"])):
        if sign * rows[i]["value"] < best:
            best = sign * rows[i]["value"]
            front.append(i)
    return front


def chart_against_cost(rows: Rows, better: str, title: str, cost: str, null: Any = None) -> dict[str, Any]:
    """The chart. rows: name, label, hue, x, value and, if known, low, high, x_low, x_high.

    cost: calls, of which one that guidance doubles counts twice, or seconds. null: mean and standard deviation of the
    score of data against data, or None.
    """
    alt = import_altair()
    front = pareto_front(rows, better)
    data = [{"low": row["value"], "high": row["value"], "x_low": row["x"], "x_high": row["x"], **row,
             "interval": format_span(row.get("low"), row.get("high")) or "none", "front": i in front}
            for i, row in enumerate(rows)]  # fmt: skip
    least, most = min(min(row["low"], row["value"]) for row in data), max(row["high"] for row in data)
    logarithmic = least > 0 and most / least > 5
    bands = _make_bands(null, least if logarithmic else None)
    x, y = _make_axes(alt, data, title, cost, logarithmic)
    base = alt.Chart(alt.NamedData("rows")).encode(x=x, color=encode_hue(alt), detail="name:N")
    steps = alt.Chart(alt.NamedData("front")).mark_line(
        interpolate="step-after", color="var(--rule)", strokeWidth=1.5, strokeDash=[5, 3]
    )
    layers = [_draw_band(alt, y, one) for one in bands]
    layers += [steps.encode(x=x, y=y), base.mark_line(strokeWidth=1, opacity=0.45).encode(y=y),
               base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q"), y2="high:Q")]  # fmt: skip
    if cost == "seconds":
        layers.append(base.mark_rule(strokeWidth=1.5).encode(x=alt.X("x_low:Q"), x2="x_high:Q", y=y))
    fill = alt.condition("datum.front", alt.Fill("hue:N", scale=None, legend=None), alt.value("var(--paper)"))
    tooltips = make_tooltips(label_N="recipe", x=cost, value="value", interval_N="95 % interval")
    layers.append(base.mark_point(size=64, strokeWidth=2, opacity=1).encode(y=y, fill=fill, tooltip=tooltips))
    return finish_chart(alt.layer(*layers), 260, rows=data, front=[data[i] for i in front], band=bands)


def _make_axes(alt: Any, data: Rows, title: str, cost: str, logarithmic: bool) -> tuple[Any, Any]:
    ticks = (
        {"values": _space_ticks({row["x"] for row in data})}
        if cost == "calls"
        else {"tickCount": 4, "labelOverlap": True}
    )
    x = alt.X("x:Q", title=COSTS[cost], scale=alt.Scale(type="log", nice=False, padding=24),
              axis=alt.Axis(format=".6~g", grid=False, labelSeparation=4, **ticks))  # fmt: skip
    scale = {"type": "log", "nice": False} if logarithmic else {"type": "linear", "zero": False}
    axis = alt.Axis(format=".6~g", tickCount=5, labelOverlap=True, labelSeparation=4)
    return x, alt.Y("value:Q", title=title, scale=alt.Scale(padding=14, **scale), axis=axis)


def _space_ticks(values: set[float], share: float = 0.06) -> list[float]:
    """The values that fit beside each other as labels of a logarithmic axis, the largest first."""
    rest = sorted(values, reverse=True)
    ticks, wide = rest[:1], math.log(rest[0] / rest[-1])
    for value in rest[1:]:
        if math.log(ticks[-1] / value) >= share * wide:
            ticks.append(value)
    return ticks


def _make_bands(null: Any, least: float | None) -> Rows:
    """What data score against data, as no band or one: their mean and two standard deviations on either side.

    least: the smallest figure, if the axis is logarithmic: a band that reaches zero begins there.
    """
    mean, sd = (to_finite(part) for part in null or (None, None))
    if mean is None:
        return []
    low, high = mean - 2 * (sd or 0.0), mean + 2 * (sd or 0.0)
    text = f"data against data: {format_number(mean)} ± {format_number(2 * (sd or 0.0))}"
    if least is not None and low <= 0:
        low = min(least, high / 2)
    return [{"value": low, "top": high, "said": text}] if low < high and (least is None or high > 0) else []


def _draw_band(alt: Any, y: Any, one: dict[str, Any]) -> Any:
    band = alt.Chart(alt.NamedData("band")).mark_rect(color="var(--band)", opacity=1)
    return band.encode(y=y, y2="top:Q", tooltip=alt.value(one["said"]))
