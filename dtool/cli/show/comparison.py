"""What `dtool compare` prints: how far it is, the table, the verdict and remarks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from typing import TYPE_CHECKING, Any

from dtool.cli.show.output import Column, format_number, print_table, remark, say

if TYPE_CHECKING:
    from dtool.compare.drawing import LabelledProgress
    from dtool.compare.result import Comparison, ComparisonEntry

SHOWN = 4  # metrics in the table


@contextmanager
def show_task_progress(quiet: bool) -> Iterator[LabelledProgress | None]:
    """A function (done, total, what) that moves a bar on stderr: what is being done, and how long it still takes."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("comparing", total=None)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what or "comparing")


def show(comparison: Comparison, old: dict[str, Any] | None, quiet: bool) -> None:
    """The table, what its cells mean, the distances between recipes, the verdict, and what could not be measured."""
    from dtool.compare.entry_identity import describe_guidance

    metrics = [about for about in comparison.metrics if about.skipped is None][:SHOWN]
    guided = any(describe_guidance(entry.guidance, entry.scale) != "none" for entry in comparison.entries)
    heads = ["#", "recipe", *["guidance"] * guided, "steps", "calls", *["evaluations"] * guided]
    heads += ["seconds", "images/s", "RMSE to ODE", *(about.name for about in metrics)]
    columns = [
        Column(head, head not in ("recipe", "guidance"), fold=head == "recipe")
        for head in [*heads, *(f"z of {about.name}" for about in metrics[:1])]
    ]
    rows = []
    for i, entry in enumerate(comparison.entries, 1):
        cells = [str(i), entry.name, *[describe_guidance(entry.guidance, entry.scale)] * guided]
        cells += [str(entry.steps), str(entry.calls), *[str(entry.evaluations)] * guided]
        times = (entry.seconds, entry.images_per_second)
        cells += [*("-" if isnan(time) else format_number(time) for time in times), _format_solver(entry)]
        figures = [entry.figures.get(about.name) for about in metrics]
        cells += ["-" if f is None else _format_interval(f.value, f.low, f.high) for f in figures]
        if metrics:
            first = figures[0]
            cells.append("-" if first is None or first.z is None else f"{first.z:+.1f}")
        rows.append(cells)
    print_table(
        columns, rows, title=f"n = {comparison.n}, seed {comparison.seed}, {comparison.backend} on {comparison.device}"
    )
    for line in _write_legend(comparison):
        remark(line, quiet)
    if 1 < len(comparison.entries) <= 12:
        numbers = [Column("#", True)] + [Column(str(i), True) for i in range(1, len(rows) + 1)]
        cells_of = [[str(i)] + [f"{v:.2f}" for v in row] for i, row in enumerate(comparison.rmse.tolist(), 1)]
        say()
        print_table(numbers, cells_of, title="root mean square difference of their images, from the same noise")
    say()
    say(comparison.verdict)
    remark("\n".join(_collect_remarks(comparison, old)), quiet)


def _write_legend(comparison: Comparison) -> Iterator[str]:
    """What the column of the solver's error says, where it does not say it itself."""
    from dtool.compare.run import SOLVER_IMAGES

    errors = [entry.solver for entry in comparison.entries if entry.solver is not None]
    if errors and comparison.n > SOLVER_IMAGES:
        yield f"RMSE to ODE is that of the first {SOLVER_IMAGES} of the {comparison.n} images"
    if not all(error.judged for error in errors):
        yield "(in parentheses): cannot be judged, the solution's own error is not ten times smaller"


def _collect_remarks(comparison: Comparison, old: dict[str, Any] | None) -> Iterator[str]:
    for about in comparison.metrics:
        if about.skipped is not None:
            yield f"{about.name}: {about.skipped}"
    for about in comparison.metrics[:1]:
        if about.skipped is None and about.null_mean is not None:
            yield f"{about.name}: {about.title}; real images among themselves score {about.null_mean:.3g}"
    if comparison.data is not None:
        yield f"measured against {comparison.data.name} ({comparison.data.count} images)"
    else:
        yield "law error: there is nothing to measure against (give --data)"
    if comparison.solution is not None:
        solution = comparison.solution
        start = comparison.find_solution_start()
        where = "" if start is None else f" from t = {start:g}"
        yield f"ODE: {solution.recipe}, {solution.steps} steps{where}, itself off by {solution.error:.1e}"
    elif comparison.why_no_solution:
        yield f"solver error: {comparison.why_no_solution}"
    reasons = {entry.why_no_solver for entry in comparison.entries if entry.why_no_solver}
    yield from (f"RMSE to ODE: {reason}" for reason in sorted(reasons))
    if old is not None:
        from dtool.compare.entry_identity import list_other_guidances

        yield f"baseline: n = {old.get('n')}, seed {old.get('seed')}"
        yield from list_other_guidances(comparison.to_dict(), old)


def _format_solver(entry: ComparisonEntry) -> str:
    error = entry.solver
    if error is None:
        return "-"
    text = _format_interval(error.rmse, error.low, error.high)
    return text if error.judged else f"({text})"


def _format_interval(value: float, low: float | None, high: float | None) -> str:
    """`0.123 ±0.004`: half the width of the interval."""
    reach = 0.0 if low is None or high is None else (high - low) / 2
    return format_number(value) if not reach > 0 else f"{format_number(value)} ±{reach:.1g}"
