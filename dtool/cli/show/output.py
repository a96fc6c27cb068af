"""What commands print: data on stdout, as JSON, as a table for eyes, or as plain columns for a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.util.text import escape_controls, escape_json, replace_nonfinite, safe_str

if TYPE_CHECKING:
    from rich.table import Table

NEW_LINE = "\n"
BETWEEN = 3  # places that Rich leaves between two columns
BROKEN = 12  # a word longer than this may be broken, in a column that folds

AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def _hush(quiet: bool) -> bool:
    """No warnings either, until the command has ended (`dtool.cli.run` keeps Python's own filters apart)."""
    if quiet:
        warnings.simplefilter("ignore")
    return quiet


Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="nothing but the data: no progress, remarks or warnings", callback=_hush),
]


@dataclass(frozen=True)
class Column:
    """A column's head, and whether it holds numbers. `fold`: its long texts may be broken into lines."""

    head: str
    number: bool = False
    fold: bool = False


def say(text: object = "") -> None:
    """A line of data on stdout, or several; what a terminal would obey is escaped."""
    sys.stdout.write(f"{escape_controls(text, keep=NEW_LINE)}\n")


def say_json(data: Any) -> None:
    """Print `data` as JSON that any reader takes: a number that is not finite becomes null."""
    text = json.dumps(replace_nonfinite(data), indent=2, ensure_ascii=False, default=safe_str)
    sys.stdout.write(f"{escape_json(text)}\n")


def remark(text: str, quiet: bool = False) -> None:
    """A line on stderr that is not data."""
    if not quiet:
        with contextlib.suppress(OSError):  # a remark that cannot be made costs nobody the data
            sys.stderr.write(f"{escape_controls(text, keep=NEW_LINE)}\n")


def is_terminal() -> bool:
    """Whether stdout is a terminal that shows tables for eyes, with long texts broken into lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table: with Rich on a terminal, otherwise plain columns that are never cut off."""
    if title:
        say(title)
    if is_terminal():
        _print_rich(columns, [("", rows)])
    else:
        say("\n".join(format_plain_table(columns, rows)))


def print_grouped_table(
    columns: Sequence[Column], groups: Sequence[tuple[str, Sequence[Sequence[str]]]], head: str
) -> None:
    """One table in groups: under headings on a terminal; otherwise the group is the first column, called `head`."""
    if is_terminal():
        _print_rich(columns, groups)
    else:
        rows = [[name, *row] for name, group in groups for row in group]
        say("\n".join(format_plain_table([Column(head), *columns], rows)))


def format_plain_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table without colours: columns as wide as their widest cell, two spaces between."""
    cells = [
        [column.head for column in columns],
        *([escape_controls(cell.replace("\n", " ")) for cell in row] for row in rows),
    ]
    widths = [max(_display_width(row[i]) for row in cells) for i in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        parts = []
        for cell, width, column in zip(row, widths, columns, strict=True):
            space = " " * (width - _display_width(cell))
            parts.append(space + cell if column.number else cell + space)
        return "  ".join(parts).rstrip()

    return [line(row) for row in cells]


def _display_width(text: str) -> int:
    """Places that `text` takes: a combining mark, as in x̄, takes none."""
    return sum(not unicodedata.combining(letter) for letter in text)


def _print_rich(columns: Sequence[Column], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> None:
    """The table; where the terminal is too narrow for all columns, some below the others: no cell is cut off."""
    from rich.console import Console

    console = Console(width=max(shutil.get_terminal_size().columns, 40))
    groups = [
        (escape_controls(name), [[escape_controls(cell, NEW_LINE) for cell in row] for row in group])
        for name, group in groups
    ]
    rows = [row for _, group in groups for row in group]
    least = [_minimum_width(column, [column.head, *(row[i] for row in rows)]) for i, column in enumerate(columns)]
    parts = [[0]]
    for i in range(1, len(columns)):
        if len(parts[-1]) > 1 and sum(least[k] + BETWEEN for k in (*parts[-1], i)) > console.width:
            parts.append([0])  # the first column tells which row it is
        parts[-1].append(i)
    for part in parts:
        narrow = sum(least[k] + BETWEEN for k in part) > console.width
        console.print(_build_table(columns, groups, part, broken=narrow))


def _minimum_width(column: Column, texts: Sequence[str]) -> int:
    """Places that a column needs at least."""
    words = [word for text in texts for word in text.split()] if column.fold else texts
    longest = max(map(_display_width, words), default=0)
    return min(longest, BROKEN) if column.fold else longest


def _build_table(
    columns: Sequence[Column],
    groups: Sequence[tuple[str, Sequence[Sequence[str]]]],
    part: Sequence[int],
    broken: bool,
) -> Table:
    """Rich's table of some columns. broken: any text may be broken into lines."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (columns[i] for i in part):
        whole = not (column.fold or broken)
        table.add_column(
            Text(column.head), justify="right" if column.number else "left", overflow="fold", no_wrap=whole
        )
    for name, rows in groups:
        if name:
            table.add_section()
            table.add_row(Text(name, style="bold"))
        for row in rows:
            table.add_row(*(Text(row[i]) for i in part))
    return table


def format_number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent where it can be read without one; "-" for None."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 1e6:
        text = f"{value:.{digits}g}"
        return text if "e" not in text else f"{value:.0f}"
    return f"{value:.{digits - 1}e}"
