"""Tables on pipes and on terminals of any width: no cell is cut off."""

from __future__ import annotations

import random
import re
import sys

import pytest

from dtool.cli import main
from dtool.cli.show.output import Column, format_number, format_plain_table, print_grouped_table, print_table
from tests.support.commandline import ran


def test_a_plain_table_is_aligned_and_never_cut():
    columns = [Column("name"), Column("figure", number=True)]
    lines = format_plain_table(columns, [["x̄" + "y" * 200, "1"], ["b", "22"]])
    assert lines[1].endswith("y       1")
    assert len({len(line) for line in lines[:1] + lines[2:]}) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (1.23456, "1.23"),
        (1234.5, "1234"),
        (2e-5, "2.00e-05"),
        (-0.5, "-0.5"),
        (3e7, "3.00e+07"),
    ],
)
def test_numbers_are_short(value, text):
    assert format_number(value) == text


@pytest.fixture
def terminal(monkeypatch, capsys):
    """What is printed on a terminal so many places wide, as lines."""

    def printed(width, write):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        capsys.readouterr()
        write()
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()

    return printed


def parts(lines):
    """The parts of a table as lists of rows, each a list of cells: what two or more spaces divide."""
    found, rows = [], []
    for line in [*lines, ""]:
        if line.strip():
            rows.append(re.split(r" {2,}", line.strip()))
        elif rows:
            found.append([row for row in rows if set(row[0]) != {"─"}])
            rows = []
    return found


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_number_is_shortened_and_no_row_is_without_its_name(terminal, seed, width):
    dice = random.Random(f"{seed} {width}")
    count, height = dice.randint(1, 14), dice.randint(1, 5)
    columns = [Column(f"name{i}" if i % 3 else f"n {i} of m", number=dice.random() < 0.7) for i in range(count)]
    rows = [
        [f"{dice.random() * 10 ** dice.randint(-9, 9):.{dice.randint(2, 8)}g}" for _ in columns] for _ in range(height)
    ]
    lines = terminal(width, lambda: print_table(columns, rows))
    assert max(map(len, lines)) <= width
    whole = [[], *([] for _ in rows)]
    for k, part in enumerate(parts(lines)):
        assert [row[0] for row in part] == [columns[0].head, *(row[0] for row in rows)]
        for row, cells in zip(whole, part, strict=True):
            row += cells[1:] if k else cells
    assert whole == [[column.head for column in columns], *rows]


def test_as_few_parts_as_there_is_room_for(terminal):
    columns, rows = [Column("#"), *[Column("x", number=True)] * 6], [["1", *["123456789"] * 6]]
    assert [len(parts(terminal(w, lambda: print_table(columns, rows)))) for w in (80, 73, 60, 40)] == [1, 2, 2, 2]


@pytest.mark.parametrize("width", [40, 80])
def test_long_texts_are_broken_and_whole(terminal, width):
    text = "what it does, at length: " * 8 + "a/path/without/a/space/" * 6
    rows = [["ddim", text, "5"], ["x" * 100, "short", "6"]]
    columns = [Column("name"), Column("what it does", fold=True), Column("calls", number=True)]
    lines = terminal(width, lambda: print_grouped_table(columns, [("one", rows[:1]), ("two", rows[1:])], "family"))
    assert max(map(len, lines)) <= width
    said = "".join("".join(lines).split())
    assert {"one", "two", "calls"} <= {word for line in lines for word in line.split()}
    assert sum(said.count(letter) for letter in "x") >= 100
    for word in ("length:", "short", "5", "6"):
        assert word in said


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("words", ["plan lms@cosine --steps 5", "plan unipc --steps 4", "plan heun@cosine --steps 3"])
def test_a_plan_on_a_terminal_has_the_numbers_of_a_pipe(terminal, capsys, words, width):
    head, *piped = parts(ran(capsys, *words.split()).out.splitlines()[: int(words[-1]) + 1])[0]
    shown = parts(terminal(width, lambda: main(words.split())))
    numbers = {cell for part in shown for row in part for cell in row}
    assert head[0] == "row"
    assert {cell for row in piped for cell in row} <= numbers
    assert all(part[0][0] == "row" for part in shown[:-1])
