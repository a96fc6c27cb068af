"""What `dtool likelihood` shows: the figure, and the bound term by term."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dtool.cli.show.output import Column, format_number, print_table

if TYPE_CHECKING:
    from dtool.likelihood import Bound, Density

ROWS = 10  # lines of the table between L_T and L_0


def format_figure(result: Bound | Density) -> str:
    """Bits per dimension with their standard error, and the same in nats."""
    error = f" ± {result.se:.4f}" if result.n > 1 else ""
    return f"{result.total:.4f}{error} bits/dim ({result.nats:.4f} nats/dim)"


def show(bound: Bound) -> None:
    """The table: L_T, the steps in about ten groups, L_0, the sum."""
    from dtool.likelihood.result import mean_and_error

    steps, whole = bound.steps, bound.total
    inner = max(1, -(-(steps - 1) // ROWS))
    cuts = [(0, 1), *((i, min(i + inner, steps)) for i in range(1, steps, inner)), (steps, steps + 1)]
    rows = []
    for first, last in [*cuts, (0, steps + 1)]:
        mean, error = mean_and_error(bound.per_image[first:last].sum(axis=0))
        terms, everything = bound.terms[first:last], last - first == steps + 1
        name = terms[0].name if last - first == 1 else f"{terms[0].name} … {terms[-1].name}"
        times = [f"{term.time:.4g}" for term in (terms[0], terms[-1])]
        rows.append(
            [
                "sum" if everything else name,
                "" if everything else times[0] if times[0] == times[1] else f"{times[0]} … {times[1]}",
                f"{mean:.4f}",
                "-" if bound.n == 1 else f"{error:.4f}",
                f"{mean / whole:.1%}",
                "" if everything else format_number(None if first == 0 else terms[-1].rmse),
            ]
        )
    levels = "a density" if bound.levels is None else f"{bound.levels} levels"
    print_table(
        [Column("term"), Column("t"), Column("bits/dim", True), Column("±", True), Column("share", True),
         Column("rmse of x0", True)],
        rows,
        title=f"σ² {bound.variance}, {steps} steps, n = {bound.n}, seed {bound.seed}, {levels}",
    )  # fmt: skip
