"""The table of a page: every figure of every recipe, as text to read and as values to sort by and to export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dtool.report.values import DASH, finite, number, seconds, span

Entry = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """`text` and fainter `notes` under it; `value` sorts, `why` says why there is none."""

    text: str
    value: float | str | None
    notes: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Column:
    """One column: `exports` are the flat names and values of CSV, one or more for each column that is seen."""

    key: str
    title: str
    group: str
    cell: Callable[[Entry], Cell]
    exports: tuple[tuple[str, Callable[[Entry], Any]], ...]
    words: bool = False
    hint: str = ""


def columns(document: dict[str, Any]) -> list[Column]:
    """The columns that this document has something for."""
    found = [_words("name", "Recipe", ""), _words("recipe", "In full", ""), _count("steps", "Steps"),
             _count("calls", "Calls")]  # fmt: skip
    found += _solver() + [_metric(metric) for metric in document.get("metrics") or []] + _times() + _timing()
    found.append(_words("plan", "Plan", ""))
    entries = document["entries"]
    return [one for one in found if any(not _empty(one.cell(entry)) for entry in entries)]


def exported(document: dict[str, Any], shown: list[Column]) -> dict[str, Any]:
    """What CSV is made of: flat names, and a row of values an entry."""
    flat = [export for column in shown for export in column.exports]
    rows = [[read(entry) for _, read in flat] for entry in document["entries"]]
    return {"names": [name for name, _ in flat], "rows": rows}


def _empty(cell: Cell) -> bool:
    return cell.value is None or cell.value == ""


def _words(key: str, title: str, group: str) -> Column:
    def read(entry: Entry) -> str:
        return str(entry.get(key) or "")

    return Column(key, title, group, lambda e: Cell(read(e) or DASH, read(e)), ((key, read),), words=True)


def _count(key: str, title: str) -> Column:
    return Column(key, title, "", lambda e: Cell(number(e.get(key)), finite(e.get(key))), ((key, _get(key)),))


def _solver() -> list[Column]:
    def rmse(entry: Entry) -> Cell:
        found = entry.get("solver")
        if not found:
            return Cell(DASH, None, why=str(entry.get("why_no_solver") or "not measured"))
        note = span(found.get("low"), found.get("high"))
        if found.get("judged") is False:
            return Cell(number(found.get("rmse")), finite(found.get("rmse")), ("cannot be judged",),
                        "the reference's own error is not ten times smaller")  # fmt: skip
        return Cell(number(found.get("rmse")), finite(found.get("rmse")), (note,))

    def psnr(entry: Entry) -> Cell:
        value = (entry.get("solver") or {}).get("psnr")
        return Cell(number(value), finite(value), why="" if entry.get("solver") else "see RMSE")

    group = "Solver error"
    return [
        Column("solver_rmse", "RMSE", group, rmse, tuple((f"solver_{part}", _get("solver", part))
               for part in ("rmse", "low", "high", "judged")), hint="lower is better"),
        Column("solver_psnr", "PSNR, dB", group, psnr, (("solver_psnr", _get("solver", "psnr")),),
               hint="higher is better"),
    ]  # fmt: skip


def _metric(metric: dict[str, Any]) -> Column:
    name = str(metric["name"])

    def cell(entry: Entry) -> Cell:
        found = (entry.get("figures") or {}).get(name) or {}
        parts = [f"{mark} {number(found.get(key), 2)}" for mark, key in (("z", "z"), ("p", "p"))
                  if finite(found.get(key)) is not None]  # fmt: skip
        why = "" if finite(found.get("value")) is not None else "not measured"
        return Cell(number(found.get("value")), finite(found.get("value")),
                    (span(found.get("low"), found.get("high")), " · ".join(parts)), why)  # fmt: skip

    exports = tuple((name if part == "value" else f"{name}_{part}", _get("figures", name, part))
                    for part in ("value", "low", "high", "z", "p"))  # fmt: skip
    title, better = str(metric.get("title") or name), metric.get("better")
    return Column(f"metric:{name}", title, "Law error", cell, exports, hint=f"{better} is better" if better else "")


def _times() -> list[Column]:
    def took(entry: Entry) -> Cell:
        low, high = (finite(entry.get(f"seconds_{end}")) for end in ("low", "high"))
        note = f"{seconds(low)} … {seconds(high)}" if low is not None and high is not None else ""
        return Cell(seconds(entry.get("seconds")), finite(entry.get("seconds")), (note,))

    exports = tuple((key, _get(key)) for key in ("seconds", "seconds_low", "seconds_high"))
    rate = Column("images_per_second", "Images/s", "Time", lambda e: Cell(number(e.get("images_per_second")),
                  finite(e.get("images_per_second"))), (("images_per_second", _get("images_per_second")),),
                  hint="higher is better")  # fmt: skip
    return [Column("seconds", "All images", "Time", took, exports, hint="lower is better"), rate]


def _timing() -> list[Column]:
    def column(part: str) -> Column:
        read = _get("timing", part)
        return Column(f"timing_{part}", part.capitalize(), "Of which",
                      lambda e: Cell(seconds(read(e)), finite(read(e)), why="" if read(e) else "not measured"),
                      ((f"timing_{part}", read),))  # fmt: skip

    return [column(part) for part in ("network", "rule", "noise", "copies")]


def _get(*path: str) -> Callable[[Entry], Any]:
    """A reader of `entry[path[0]][path[1]]…`, None where there is nothing."""

    def read(entry: Entry) -> Any:
        value: Any = entry
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    return read
