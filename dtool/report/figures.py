"""The data of the page's charts from a document: the specifications, or the reason why there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.report import charts
from dtool.report.quality import COSTS, chart_against_cost
from dtool.report.values import to_finite

Document = dict[str, Any]
SOLVER = {
    "rmse": ("RMSE from the solution", "lower", "RMSE, in units of the data"),
    "psnr": ("PSNR of the solution", "higher", "PSNR, dB"),
}


def chart_solver_error(document: Document) -> dict[str, Any]:
    """Solver error against calls and against seconds, for RMSE and for PSNR; the entries without one, and why."""
    options = []
    for key, (title, better, axis) in SOLVER.items():
        errors = [(entry.get("solver") or {}) if (entry.get("solver") or {}).get("judged", True) else {}
                 for entry in document["entries"]]  # fmt: skip
        ends = ("low", "high") if key == "rmse" else (None, None)
        values = [(one.get(key), one.get(ends[0]), one.get(ends[1])) for one in errors]
        options.append(_make_option(document, key, title, better, axis, values, None))
    return {"options": [one for one in options if one["specs"]], "missing": _list_missing(document),
            "reason": _explain_no_solver(document)}  # fmt: skip


def chart_law_error(document: Document) -> dict[str, Any]:
    """Law error against calls and against seconds, for each metric; the headline ones first."""
    metrics = sorted(document.get("metrics") or [], key=lambda metric: not metric.get("headline"))
    options = []
    for metric in metrics:
        name, title = str(metric["name"]), str(metric.get("title") or metric["name"])
        figures = [(entry.get("figures") or {}).get(name) or {} for entry in document["entries"]]
        values = [tuple(one.get(part) for part in ("value", "low", "high")) for one in figures]
        null = (metric.get("null_mean"), metric.get("null_sd"))
        options.append(_make_option(document, name, title, metric.get("better") or "lower", title, values, null))
    data = document.get("data")
    reason = "There were no data to measure against." if not data else "No metric gave a figure."
    return {"options": [one for one in options if one["specs"]], "missing": [], "reason": reason}


def _make_option(
    document: Document, key: str, title: str, better: str, axis: str, values: list[Any], null: Any
) -> dict[str, Any]:
    entries = document["entries"]
    labels, hues = charts.label_entries(entries), charts.assign_hues(entries)
    specs = {}
    for cost in COSTS:
        rows = []
        for i, (entry, (value, low, high)) in enumerate(zip(entries, values, strict=True)):
            x = to_finite(entry.get("evaluations", entry.get("calls")) if cost == "calls" else entry.get(cost))
            if to_finite(value) is None or x is None or x <= 0:
                continue
            row = {"name": entry["name"], "label": labels[i], "hue": hues[i], "x": x, "value": to_finite(value)}
            ends = {"low": low, "high": high}
            if cost == "seconds":
                ends |= {"x_low": entry.get("seconds_low"), "x_high": entry.get("seconds_high")}
            rows.append(row | {end: to_finite(at) for end, at in ends.items() if to_finite(at) is not None})
        if rows:
            specs[cost] = chart_against_cost(rows, better, axis, cost, null)
    return {"key": key, "title": title, "better": better, "specs": specs}


def _list_missing(document: Document) -> list[tuple[str, str]]:
    """(entry, reason) of those without a solver error."""
    missing = []
    for entry, label in zip(document["entries"], charts.label_entries(document["entries"]), strict=True):
        error = entry.get("solver")
        if not error:
            missing.append((label, str(entry.get("why_no_solver") or "it was not measured")))
        elif error.get("judged") is False:
            missing.append((label, "the reference's own error is too large to judge it"))
    return missing


def _explain_no_solver(document: Document) -> str:
    reference = document.get("reference")
    if not reference:
        return "No converged solution was computed."
    return str(reference.get("reason") or "No recipe has one.")


def chart_schedules(document: Document) -> dict[str, Any]:
    """The schedules' curves with where the steps fall, and the strips of all entries."""
    entries = document["entries"]
    hues = charts.assign_hues(entries)
    specs = {}
    for key in charts.QUANTITIES:
        curves = [
            {"name": one["name"], **point}
            for one in document.get("schedules") or []
            for point in _list_points(one, key)
        ]
        points = [{"entry": i, "hue": hues[i], **point} for i, entry in enumerate(entries)
                  for point in _list_points(entry.get("points") or {}, key)]  # fmt: skip
        if curves:
            specs[key] = charts.draw_schedule(curves, points, key)
    return {"specs": specs, "strips": _chart_strips(document, hues), "reason": "The run has no schedule's curve."}


def _chart_strips(document: Document, hues: list[str]) -> dict[str, Any]:
    labels = charts.label_entries(document["entries"])
    strips = {}
    for field, key, title in (("time", "time", "time t"), ("log_snr", "log_snr", "log-SNR, noise to image")):
        rows = [
            {"label": labels[i], "hue": hues[i], "step": point["step"], field: point["value"]}
            for i, entry in enumerate(document["entries"])
            for point in _list_points(entry.get("points") or {}, key)
        ]
        if rows:
            strips[field] = charts.draw_strips(rows, labels, field, title)
    return strips


def _list_points(curve: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The points of a curve at which the time and the value are numbers."""
    points = []
    for step, (time, value) in enumerate(zip(curve.get("time") or [], curve.get(key) or [], strict=False)):
        if to_finite(time) is not None and to_finite(value) is not None:
            points.append({"step": step, "time": float(f"{time:.5g}"), "value": float(f"{value:.5g}")})
    return points


def chart_timing(document: Document) -> dict[str, Any]:
    """The split of the time, for those entries that have one."""
    labels, rows = charts.label_entries(document["entries"]), []
    for entry, label in zip(document["entries"], labels, strict=True):
        split = {part: to_finite((entry.get("timing") or {}).get(part)) for part in charts.PARTS}
        total = sum(value or 0.0 for value in split.values())
        for rank, (part, value) in enumerate(split.items()):
            if value is not None:
                percent = 100 * value / total if total else 0.0
                rows.append({"label": label, "part": part, "rank": rank, "seconds": value, "percent": percent})
    timed = {row["label"] for row in rows}
    order = [label for label in labels if label in timed]
    return {"spec": charts.draw_timing(rows, order) if rows else None, "reason": "The time was not split."}


def chart_samples(document: Document, images: NDArray[Any]) -> dict[str, Any]:
    """A chart of samples that are no pictures: dots for one or two numbers each, lines for up to 512, else a reason."""
    shape = images.shape[2:]
    size = int(np.prod(shape))
    if len(shape) != 1 or size > 512:
        words = " × ".join(map(str, shape)) or "a single number"
        return {"spec": None, "reason": f"A sample of shape {words} is not a picture."}
    labels = charts.label_entries(document["entries"])
    hues = charts.assign_hues(document["entries"])
    rows: list[dict[str, Any]] = []
    for i, own_samples in enumerate(np.asarray(images, np.float64)):
        for j, sample in enumerate(own_samples[: 400 if size <= 2 else 8]):
            pairs = [(sample[0], sample[1])] if size == 2 else [(j, sample[0])] if size == 1 else enumerate(sample)
            rows += [{"label": labels[i], "hue": hues[i], "image": j, "x": round(float(x), 4), "y": round(float(y), 4)}
                     for x, y in pairs if np.isfinite(x) and np.isfinite(y)]  # fmt: skip
    kind = "points" if size <= 2 else "lines"
    return {
        "spec": charts.draw_samples(rows, labels, kind) if rows else None,
        "reason": "No sample is a finite number.",
    }
