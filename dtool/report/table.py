"""The table of a page: every figure of every recipe, as text to read and as values to sort by and to export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dtool.compare.entry_identity import describe_guidance
from dtool.report.values import DASH, format_number, format_seconds, format_span, to_finite

EntryDict = dict[str, Any]
SOLVER_PARTS = ("rmse", "low", "high", "judged")


@dataclass(frozen=True)
class Cell:
    """`text` and fainter `notes` under it; `value` sorts, `why` says why there is none."""

    text: str
    value: float | str | None
    notes: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportColumn:
    """One column: `exports` are the flat names and values of CSV, one or more for each column that is seen."""

    key: str
    title: str
    group: str
    cell: Callable[[EntryDict], Cell]
    exports: tuple[tuple[str, Callable[[EntryDict], Any]], ...]
    words: bool = False
    hint: str = ""


def make_columns(document: dict[str, Any]) -> list[ReportColumn]:
    """The columns for which this document has values."""
    columns = [_make_text_column("name", "Recipe", ""), _make_text_column("recipe", "In full", ""),
             _make_guidance_column(), _make_count_column("steps", "Steps"), _make_count_column("calls", "Calls"),
             _make_count_column("evaluations", "Evaluations")]  # fmt: skip
    columns += (
        _make_solver_columns()
        + [_make_metric_column(metric) for metric in document.get("metrics") or []]
        + _make_time_columns()
        + _make_split_columns()
    )
    columns.append(_make_text_column("plan", "Plan", ""))
    entries = document["entries"]
    return [one for one in columns if any(not _is_empty(one.cell(entry)) for entry in entries)]


def export_rows(document: dict[str, Any], shown: list[ReportColumn]) -> dict[str, Any]:
    """What CSV is made of: flat names, and one row of values per entry."""
    flat = [export for column in shown for export in column.exports]
    rows = [[read(entry) for _, read in flat] for entry in document["entries"]]
    return {"names": [name for name, _ in flat], "rows": rows}


def _is_empty(cell: Cell) -> bool:
    return cell.value is None or cell.value == ""


def _make_text_column(key: str, title: str, group: str) -> ReportColumn:
    def read(entry: EntryDict) -> str:
        return str(entry.get(key) or "")

    return ReportColumn(
        key=key,
        title=title,
        group=group,
        cell=lambda e: Cell(read(e) or DASH, read(e)),
        exports=((key, read),),
        words=True,
    )


def _make_guidance_column() -> ReportColumn:
    """How each recipe is guided: its token and its scale are two values of CSV."""

    def read(entry: EntryDict) -> str:
        scale = to_finite(entry.get("scale"))
        return "" if scale is None else describe_guidance(str(entry.get("guidance") or ""), scale)

    return ReportColumn(
        key="guidance", title="Guidance", group="", cell=lambda e: Cell(read(e) or DASH, read(e)), words=True,
        exports=(("guidance", _make_reader("guidance")), ("scale", _make_reader("scale"))),
    )  # fmt: skip


def _make_count_column(key: str, title: str) -> ReportColumn:
    return ReportColumn(
        key=key,
        title=title,
        group="",
        cell=lambda e: Cell(format_number(e.get(key)), to_finite(e.get(key))),
        exports=((key, _make_reader(key)),),
    )


def _make_solver_columns() -> list[ReportColumn]:
    def rmse(entry: EntryDict) -> Cell:
        error = entry.get("solver")
        if not error:
            return Cell(DASH, None, why=str(entry.get("why_no_solver") or "not measured"))
        note = format_span(error.get("low"), error.get("high"))
        if error.get("judged") is False:
            return Cell(format_number(error.get("rmse")), to_finite(error.get("rmse")), ("cannot be judged",),
                        "the reference's own error is not ten times smaller")  # fmt: skip
        return Cell(format_number(error.get("rmse")), to_finite(error.get("rmse")), (note,))

    def psnr(entry: EntryDict) -> Cell:
        value = (entry.get("solver") or {}).get("psnr")
        return Cell(format_number(value), to_finite(value), why="" if entry.get("solver") else "see RMSE")

    group = "Solver error"
    return [
        ReportColumn(
            key="solver_rmse", title="RMSE", group=group, cell=rmse, hint="lower is better",
            exports=tuple((f"solver_{part}", _make_reader("solver", part)) for part in SOLVER_PARTS),
        ),
        ReportColumn(
            key="solver_psnr", title="PSNR, dB", group=group, cell=psnr, hint="higher is better",
            exports=(("solver_psnr", _make_reader("solver", "psnr")),),
        ),
    ]  # fmt: skip


def _make_metric_column(metric: dict[str, Any]) -> ReportColumn:
    name = str(metric["name"])

    def cell(entry: EntryDict) -> Cell:
        figure = (entry.get("figures") or {}).get(name) or {}
        parts = [f"{mark} {format_number(figure.get(key), 2)}" for mark, key in (("z", "z"), ("p", "p"))
                  if to_finite(figure.get(key)) is not None]  # fmt: skip
        why = "" if to_finite(figure.get("value")) is not None else "not measured"
        return Cell(format_number(figure.get("value")), to_finite(figure.get("value")),
                    (format_span(figure.get("low"), figure.get("high")), " · ".join(parts)), why)  # fmt: skip

    exports = tuple((name if part == "value" else f"{name}_{part}", _make_reader("figures", name, part))
                    for part in ("value", "low", "high", "z", "p"))  # fmt: skip
    title, better = str(metric.get("title") or name), metric.get("better")
    return ReportColumn(
        key=f"metric:{name}",
        title=title,
        group="Law error",
        cell=cell,
        exports=exports,
        hint=f"{better} is better" if better else "",
    )


def _make_time_columns() -> list[ReportColumn]:
    def seconds(entry: EntryDict) -> Cell:
        low, high = (to_finite(entry.get(f"seconds_{end}")) for end in ("low", "high"))
        note = f"{format_seconds(low)} … {format_seconds(high)}" if low is not None and high is not None else ""
        return Cell(format_seconds(entry.get("seconds")), to_finite(entry.get("seconds")), (note,))

    exports = tuple((key, _make_reader(key)) for key in ("seconds", "seconds_low", "seconds_high"))
    rate = ReportColumn(
        key="images_per_second", title="Images/s", group="Time",
        cell=lambda e: Cell(format_number(e.get("images_per_second")), to_finite(e.get("images_per_second"))),
        exports=(("images_per_second", _make_reader("images_per_second")),), hint="higher is better",
    )  # fmt: skip
    total = ReportColumn(
        key="seconds", title="All images", group="Time", cell=seconds, exports=exports, hint="lower is better"
    )
    return [total, rate]


def _make_split_columns() -> list[ReportColumn]:
    def column(part: str) -> ReportColumn:
        read = _make_reader("timing", part)
        return ReportColumn(key=f"timing_{part}", title=part.capitalize(), group="Of which",
                      cell=lambda e: Cell(format_seconds(read(e)), to_finite(read(e)),
                                     why="" if read(e) else "not measured"),
                      exports=((f"timing_{part}", read),))  # fmt: skip

    return [column(part) for part in ("network", "rule", "noise", "copies")]


def _make_reader(*path: str) -> Callable[[EntryDict], Any]:
    """A reader of `entry[path[0]][path[1]]…`, None where there is nothing."""

    def read(entry: EntryDict) -> Any:
        value: Any = entry
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return read
