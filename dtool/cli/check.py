"""`dtool check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.options import sampler_names
from dtool.cli.output import AsJson, Column, Quiet, remark, say_json, table
from dtool.errors import DtoolError, UsageError
from dtool.plugins.registry import registry

if TYPE_CHECKING:
    from dtool.testing import CheckResult

EXAMPLES = (
    "dtool check ddpm",
    "dtool check dpmpp-2m heun --plot convergence.png",
    "dtool check ddpm:sigma=beta@cosine",
    "dtool check --all --json",
)
GREY, ORANGE = (120, 120, 120), (200, 120, 0)
SLOPES = ("order-global", "order-shipped", "moments")


def check(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE", help="samplers, or whole recipes", autocompletion=sampler_names, show_default=False
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every installed sampler, in one table")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="draw how they converge into this PNG, beside euler", show_default=False)
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="how many to examine at a time [default: one a core]", show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Examine a sampler: is it what it says it is?

    Marginals, identities, invariances, order of convergence, moments, agreement of the backends, the ends of the
    range. Exits with 1 if a check fails; "info" is a figure that is reported and not judged.
    """
    if bool(recipes) == every:
        raise UsageError("say which sampler to examine", "dtool check RECIPE, or dtool check --all")
    if every and plot is not None:
        raise UsageError("a picture of every sampler shows none", "name a few, e.g. dtool check heun --plot heun.png")
    from dtool.files import files_in, require_apart, require_picture

    if plot is not None:
        require_apart([plot], files_in(*(recipes or ())))
        require_picture(plot)
    names = recipes or registry().samplers.names()
    results = _examined(names, jobs, as_json or every, quiet)
    if as_json:
        say_json({name: [_described(result) for result in found] for name, found in results.items()})
    elif every:
        _summary(results)
    if plot is not None:
        _draw(names, plot)
        remark(f"drawn into {plot}", quiet)
    if any(result.status == "fail" for found in results.values() for result in found):
        raise typer.Exit(1)


def _examined(names: list[str], jobs: int | None, silent: bool, quiet: bool) -> dict[str, list[CheckResult]]:
    """The results by name; unless `silent`, each is printed as it comes."""
    from dtool.testing.examination import examine_all

    results = {}
    for name, found in examine_all(names, (jobs or 1) if len(names) < 3 else jobs):
        results[name] = found
        if not silent:
            rows = [[r.name, r.status, r.figure, r.detail] for r in found]
            columns = [Column("check"), Column("result"), Column("figure", True), Column("what it means", fold=True)]
            table(columns, rows, title=name)
        done = f"{len(results)}/{len(names)} " if len(names) > 2 else ""
        remark(f"{done}{name}: {_counted(found)}", quiet)
    return {name: results[name] for name in names}


def _summary(results: dict[str, list[CheckResult]]) -> None:
    """A line a sampler: what it declares, what was measured, what failed."""
    rows = []
    for name, found in results.items():
        figures = {r.name: r.figure for r in found}
        failed = ", ".join(r.name for r in found if r.status == "fail")
        slopes = [figures.get(check, "-") for check in SLOPES]
        rows.append([name, _order(name), *slopes, f"failed: {failed}" if failed else "passed"])
    heads = ("exact start", "as shipped", "law")
    columns = [Column("sampler"), Column("order", True), *(Column(head, True) for head in heads), Column("checks")]
    table(columns, rows)


def _order(name: str) -> str:
    from dtool.samplers import sampler

    try:
        return str(sampler(name).order)
    except DtoolError:
        return "-"


def _described(result: CheckResult) -> dict[str, str]:
    return {"name": result.name, "status": result.status, "figure": result.figure, "detail": result.detail}


def _counted(found: list[CheckResult]) -> str:
    words = {"pass": "passed", "fail": "failed", "info": "for information", "skip": "skipped"}
    counts = {word: sum(r.status == status for r in found) for status, word in words.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _draw(names: Sequence[str], path: Path) -> None:
    """Errors against steps, both logarithmic: the samplers, the slopes that they declare, and euler."""
    from dtool.cli.pictures import save
    from dtool.cli.plot import figure

    panel, note = _panel(names)
    title = "How fast " + (names[0] + " converges" if len(names) == 1 else "they converge")
    picture = figure([panel], title, note, width=620, height=420)
    save(path, lambda: picture, command="check", recipes=list(names))


def _panel(names: Sequence[str]) -> tuple[Any, str]:
    """(panel, note) of the convergence plot."""
    import numpy as np

    from dtool.cli.plot import DASH, Line, Panel, colour
    from dtool.plan import Recipe
    from dtool.samplers import sampler
    from dtool.testing.convergence import COUNTS, DATA, curve, measured_by

    wanted = [Recipe.parse(name).rule for name in names]
    rules = {rule.token: rule for rule in [*wanted, sampler("euler")]}
    measure = measured_by(*rules.values())
    lines = []
    for i, (token, rule) in enumerate(rules.items()):
        found = curve(rule, measure)
        where, height = np.log10(found.counts), np.array(found.errors)
        extra = i == len(wanted)
        if not extra and (reference := found.reference()):
            x, y = np.array(reference).T
            lines.append(Line(f"order {found.order}", np.log10(x), y, ORANGE, dash=DASH))
        lines.append(Line(token, where, height, GREY if extra else colour(i if i < 3 else i + 1), (where, height)))
    counts = {n: float(np.log10(n)) for n in COUNTS if n & (n - 1) == 0}
    ticks = [(x, str(n)) for n, x in counts.items()]
    return Panel(measure, lines, "steps, equal in λ", log=True, x_ticks=ticks), DATA[measure]
