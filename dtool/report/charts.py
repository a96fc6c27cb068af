"""The charts of a page as Vega-Lite specifications, by Altair. Colours are the page's own CSS variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtool.errors import DtoolError

COLOURS = 10  # --c0 … --c9 of the style sheet
PARTS = ("network", "rule", "noise", "copies")
QUANTITIES = {"alpha_bar": "ᾱ", "beta": "β", "log_snr": "log-SNR"}
Rows = list[dict[str, Any]]


def import_altair() -> Any:
    """The altair module; raises DtoolError if it is not installed."""
    try:
        import altair as alt
    except ImportError as error:
        raise DtoolError("the page needs Altair and Jinja2", "pip install 'dtool-diffusion[report]'") from error
    return alt


def label_entries(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Each entry's name and steps in one line; duplicates get a number."""
    labels: list[str] = []
    for entry in entries:
        text = f"{entry['name']} · {entry['steps']}"
        same = sum(one == text or one.startswith(f"{text} #") for one in labels)
        labels.append(f"{text} #{same + 1}" if same else text)
    return labels


def assign_colours(entries: Sequence[dict[str, Any]]) -> list[int]:
    """Each entry's colour: one per recipe, whatever its number of steps."""
    names = list(dict.fromkeys(entry["name"] for entry in entries))
    return [names.index(entry["name"]) % COLOURS for entry in entries]


def assign_hues(entries: Sequence[dict[str, Any]]) -> list[str]:
    """The colours as CSS."""
    return [f"var(--c{i})" for i in assign_colours(entries)]


def finish_chart(chart: Any, height: int | None, **datasets: Rows) -> dict[str, Any]:
    """The chart as plain data, without a URL in it; as wide as its container if it has a height.

    datasets: what its layers refer to by name; added here, since Altair would copy every row many times. For the same
    reason Altair validates nothing here: the tests validate each specification against the schema.
    """
    sized = chart if height is None else chart.properties(width="container", height=height)
    spec: dict[str, Any] = sized.to_dict(validate=False)
    spec.pop("$schema", None)
    spec["datasets"] = datasets
    spec["padding"] = {"left": 5, "top": 5, "right": 16, "bottom": 5}  # room for half of the last tick's label
    spec["autosize"] = {"type": "pad" if height is None else "fit-x", "contains": "padding"}
    spec["config"] = {
        "background": "transparent",
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": {
            "domainColor": "var(--rule)", "gridColor": "var(--hair)", "tickColor": "var(--rule)",
            "labelColor": "var(--faint)", "titleColor": "var(--faint)", "labelFontSize": 11, "titleFontSize": 12,
            "titleFontWeight": "normal", "titlePadding": 8, "titleLimit": 230, "labelLimit": 190, "labelPadding": 6,
            "tickSize": 4, "labelFlush": False,
        },
    }  # fmt: skip
    return spec


def make_tooltips(**titles: str) -> list[Any]:
    """Tooltips: a field of the data and its title; fields that end in N are words, others numbers."""
    alt = import_altair()
    return [
        alt.Tooltip(f"{field.removesuffix('_N')}:{'N' if field.endswith('_N') else 'Q'}", title=title,
                    **({} if field.endswith("_N") else {"format": ".4~g"}))
        for field, title in titles.items()
    ]  # fmt: skip


def encode_hue(alt: Any) -> Any:
    """The colour named in the data."""
    return alt.Color("hue:N", scale=None, legend=None)


def draw_schedule(curves: Rows, points: Rows, key: str) -> dict[str, Any]:
    """One quantity over time: curves (name, time, value), and the points of the entry that `shown` names."""
    alt = import_altair()
    x = alt.X("time:Q", title="time t", axis=alt.Axis(grid=False, tickCount=5), scale=alt.Scale(nice=False))
    y = alt.Y("value:Q", title=QUANTITIES[key], axis=alt.Axis(format=".6~g", tickCount=5))
    line = alt.Chart(alt.NamedData("curves")).mark_line(color="var(--faint)", strokeWidth=1.5)
    dots = (
        alt.Chart(alt.NamedData("points")).transform_filter("datum.entry === shown").mark_circle(size=42, opacity=0.9)
    )
    names = list(dict.fromkeys(row["name"] for row in curves))
    legend = alt.Legend(title=None, orient="top", columns=2, labelColor="var(--ink)", labelLimit=120)
    dash = alt.StrokeDash("name:N", sort=names, legend=legend if len(names) > 1 else None)
    layers = alt.layer(
        line.encode(x=x, y=y, strokeDash=dash),
        dots.encode(x=x, y=y, tooltip=make_tooltips(step="point", time="time", value="value"), color=encode_hue(alt)),
    )
    return finish_chart(layers.add_params(alt.param(name="shown", value=0)), 170, curves=curves, points=points)


def draw_strips(points: Rows, order: Sequence[str], field: str, title: str) -> dict[str, Any]:
    """Where the steps of each entry fall, one row per entry: points with `label`, `hue` and `field`."""
    alt = import_altair()
    scale = alt.Scale(nice=False, zero=False, padding=6)
    x = alt.X(f"{field}:Q", title=title, axis=alt.Axis(grid=False, tickCount=8), scale=scale)
    y = alt.Y("label:N", title=None, sort=list(order), axis=alt.Axis(ticks=False, domain=False, grid=True))
    chart = alt.Chart(alt.NamedData("points")).mark_tick(thickness=2, size=11, opacity=1)
    shown = chart.encode(
        x=x, y=y, color=encode_hue(alt), tooltip=make_tooltips(label_N="recipe", step="point", **{field: title})
    )
    return finish_chart(shown, 18 * len(order) + 2, points=points)


def draw_timing(rows: Rows, order: Sequence[str]) -> dict[str, Any]:
    """Where the time goes: rows of label, part, rank, seconds and percent, as stacked bars."""
    alt = import_altair()
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=list(PARTS), range=[f"var(--t{i})" for i in range(len(PARTS))]),
        legend=None,
    )
    x = alt.X("seconds:Q", title="seconds, all images", axis=alt.Axis(format=".6~g", tickCount=6))
    y = alt.Y("label:N", title=None, sort=list(order), axis=alt.Axis(ticks=False, domain=False))
    chart = alt.Chart(alt.NamedData("rows")).mark_bar(height={"band": 0.72})
    tooltips = make_tooltips(label_N="recipe", part_N="part", seconds="seconds", percent="per cent")
    return finish_chart(
        chart.encode(x=x, y=y, color=colour, order="rank:Q", tooltip=tooltips), 20 * len(order), rows=rows
    )


def draw_samples(rows: Rows, order: Sequence[str], kind: str) -> dict[str, Any]:
    """Samples that are no pictures: `points` (x, y) or `lines` (x, y, image), one small chart per entry, in columns."""
    alt = import_altair()
    chart = alt.Chart()
    mark = chart.mark_circle(size=14, opacity=0.55) if kind == "points" else chart.mark_line(strokeWidth=1, opacity=0.6)
    axis = alt.Axis(grid=False, tickCount=3, format=".6~g")
    scale = alt.Scale(zero=False, nice=False, padding=4)
    cell = mark.encode(
        x=alt.X("x:Q", title=None, axis=axis, scale=scale), y=alt.Y("y:Q", title=None, axis=axis, scale=scale),
        color=encode_hue(alt), **({"detail": "image:N"} if kind == "lines" else {}),
    ).properties(width=140, height=120)  # fmt: skip
    header = alt.Header(title=None, labelColor="var(--ink)", labelFontSize=12, labelLimit=140)
    facet = alt.Facet("label:N", header=header, sort=list(order))
    return finish_chart(cell.facet(facet, columns=6, data=alt.NamedData("rows")), None, rows=rows)
