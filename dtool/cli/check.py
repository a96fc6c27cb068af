"""`dtool check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.options import sampler_names
from dtool.cli.output import AsJson, Column, Quiet, remark, say_json, table
from dtool.errors import UsageError
from dtool.plugins.registry import registry

if TYPE_CHECKING:
    from dtool.testing import CheckResult

EXAMPLES = ("dtool check ddpm", "dtool check ddpm:sigma=beta@cosine", "dtool check --all --json")


def check(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE", help="samplers, or whole recipes", autocompletion=sampler_names, show_default=False
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="every installed sampler")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Examine a sampler: is it what it says it is?

    Marginals, order of convergence, moments, agreement of the backends, the ends of the range. Exits with 1 if a
    check fails; "info" is a figure that is reported and not judged.
    """
    if bool(recipes) == every:
        raise UsageError("say which sampler to examine", "dtool check RECIPE, or dtool check --all")
    from dtool.testing import check as examine

    names = recipes or [entry.name for entry in registry().samplers]
    results = {}
    for name in names:
        results[name] = found = list(examine(name))
        if not as_json:
            rows = [[r.name, r.status, r.figure, r.detail] for r in found]
            columns = [Column("check"), Column("result"), Column("figure", True), Column("what it means", fold=True)]
            table(columns, rows, title=name)
        remark(f"{name}: {_counted(found)}", quiet)
    if as_json:
        say_json({name: [_described(result) for result in found] for name, found in results.items()})
    if any(result.status == "fail" for found in results.values() for result in found):
        raise typer.Exit(1)


def _described(result: CheckResult) -> dict[str, str]:
    return {"name": result.name, "status": result.status, "figure": result.figure, "detail": result.detail}


def _counted(found: list[CheckResult]) -> str:
    words = {"pass": "passed", "fail": "failed", "info": "for information", "skip": "skipped"}
    counts = {word: sum(r.status == status for r in found) for status, word in words.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)
