"""`dtool check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.sampler_options import complete_samplers
from dtool.cli.show.output import AsJson, Column, Quiet, print_table, remark, say_json
from dtool.errors import DtoolError, UsageError
from dtool.plugins.registry import get_registry

if TYPE_CHECKING:
    from dtool.certify import CheckResult

EXAMPLES = (
    "dtool check ddpm",
    "dtool check dpmpp-2m heun --plot convergence.png",
    "dtool check ddpm:sigma=beta@cosine",
    "dtool check pipeline/",
    "dtool check --all --json",
)
GREY, ORANGE = (120, 120, 120), (200, 120, 0)
SLOPES = ("order-global", "order-shipped", "moments")


def check(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE",
            help="samplers, whole recipes, or models: what their makers sample them with",
            autocompletion=complete_samplers,
            show_default=False,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every installed sampler, in one table")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="draw how they converge into this PNG, beside euler", show_default=False)
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="how many to examine at a time [default: one per core]", show_default=False),
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
    from dtool.plan.foreign import find_library
    from dtool.util.files import find_option_files, require_distinct_files, require_picture

    if plot is not None:
        for name in filter(find_library, recipes or ()):
            raise UsageError(f"the picture is of rules on one grid, and {name} makes its own", "leave out --plot")
        require_distinct_files([plot], find_option_files(*(recipes or ())))
        require_picture(plot)
    names = [_find_recipe(name, quiet) for name in recipes or get_registry().samplers.names()]
    results = _examine(names, jobs, as_json or every, quiet)
    if as_json:
        say_json({name: [_describe_result(result) for result in checks] for name, checks in results.items()})
    elif every:
        _print_summary(results)
    if plot is not None:
        _draw(names, plot)
        remark(f"drawn into {plot}", quiet)
    if any(result.status == "fail" for checks in results.values() for result in checks):
        raise typer.Exit(1)


def _find_recipe(name: str, quiet: bool) -> str:
    """A sampler or recipe as it is typed; of a model's file or folder what its makers sample it with.

    Raises UsageError for a model that does not say it.
    """
    from dtool.plan.plan_file import find_plan_file

    if not Path(name).exists() or find_plan_file(name) is not None or name in get_registry().samplers.names():
        return name
    from dtool.cli.flags.loading import open_network

    net = open_network(name)
    recipe = net.plan.recipe if net.plan is not None else None if net.origin is None else net.origin.recipe
    if recipe is None:
        raise UsageError(f"{name} does not say what it is sampled with", "name a recipe: dtool check ddim")
    remark(f"{name} is sampled with {recipe}", quiet)
    return recipe


def _examine(names: list[str], jobs: int | None, silent: bool, quiet: bool) -> dict[str, list[CheckResult]]:
    """The results by name; unless `silent`, each is printed as it comes."""
    from dtool.certify.parallel import examine_all

    results = {}
    for name, checks in examine_all(names, (jobs or 1) if len(names) < 3 else jobs):
        results[name] = checks
        if not silent:
            rows = [[r.name, r.status, r.figure, r.detail] for r in checks]
            columns = [Column("check"), Column("result"), Column("figure", True), Column("what it means", fold=True)]
            print_table(columns, rows, title=name)
        done = f"{len(results)}/{len(names)} " if len(names) > 2 else ""
        remark(f"{done}{name}: {_format_counts(checks)}", quiet)
    return {name: results[name] for name in names}


def _print_summary(results: dict[str, list[CheckResult]]) -> None:
    """One line per sampler: what it declares, what was measured, what failed."""
    rows = []
    for name, checks in results.items():
        figures = {r.name: r.figure for r in checks}
        failed = ", ".join(r.name for r in checks if r.status == "fail")
        slopes = [figures.get(check, "-") for check in SLOPES]
        rows.append([name, _read_order(name), *slopes, f"failed: {failed}" if failed else "passed"])
    heads = ("exact start", "as shipped", "law")
    columns = [Column("sampler"), Column("order", True), *(Column(head, True) for head in heads), Column("checks")]
    print_table(columns, rows)


def _read_order(name: str) -> str:
    from dtool.samplers import get_sampler

    try:
        return str(get_sampler(name).order)
    except DtoolError:
        return "-"


def _describe_result(result: CheckResult) -> dict[str, str]:
    return {"name": result.name, "status": result.status, "figure": result.figure, "detail": result.detail}


def _format_counts(results: list[CheckResult]) -> str:
    words = {"pass": "passed", "fail": "failed", "info": "for information", "skip": "skipped"}
    counts = {word: sum(r.status == status for r in results) for status, word in words.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _draw(names: Sequence[str], path: Path) -> None:
    """Errors against steps, both logarithmic: the samplers, the slopes that they declare, and euler."""
    from dtool.cli.show.pictures import save
    from dtool.cli.show.plot import draw_figure

    panel, note = _make_panel(names)
    title = "How fast " + (names[0] + " converges" if len(names) == 1 else "they converge")
    picture = draw_figure([panel], title, note, width=620, height=420)
    save(path, lambda: picture, command="check", recipes=list(names))


def _make_panel(names: Sequence[str]) -> tuple[Any, str]:
    """(panel, note) of the convergence plot."""
    import numpy as np

    from dtool.certify.convergence import COUNTS, DATA, choose_measure, curve
    from dtool.cli.show.plot import DASH, Panel, PlotLine, pick_colour
    from dtool.plan import Recipe
    from dtool.samplers import get_sampler

    own_rules = [Recipe.parse(name).rule for name in names]
    rules = {rule.token: rule for rule in [*own_rules, get_sampler("euler")]}
    measure = choose_measure(*rules.values())
    lines = []
    for i, (token, rule) in enumerate(rules.items()):
        points = curve(rule, measure)
        where, height = np.log10(points.counts), np.array(points.errors)
        extra = i == len(own_rules)
        if not extra and (reference := points.reference()):
            x, y = np.array(reference).T
            lines.append(PlotLine(name=f"order {points.order}", x=np.log10(x), y=y, colour=ORANGE, dash=DASH))
        lines.append(
            PlotLine(
                name=token,
                x=where,
                y=height,
                colour=GREY if extra else pick_colour(i if i < 3 else i + 1),
                dots=(where, height),
            )
        )
    counts = {n: float(np.log10(n)) for n in COUNTS if n & (n - 1) == 0}
    ticks = [(x, str(n)) for n, x in counts.items()]
    return Panel(title=measure, lines=lines, x_label="steps, equal in λ", log=True, x_ticks=ticks), DATA[measure]
