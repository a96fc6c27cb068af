"""`dtool samplers`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dtool.cli.listing import provider, show_one
from dtool.cli.options import sampler_names
from dtool.cli.output import AsJson, Column, Quiet, grouped_table, on_terminal, say, say_json, table
from dtool.plugins.registry import registry

EXAMPLES = ("dtool samplers", "dtool samplers ddpm", 'dtool samplers "DPM++ 2M Karras"')
LONGEST = 18  # longer names from elsewhere are in `dtool samplers NAME`


def samplers(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=sampler_names, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the samplers by family, or show one of them.

    One is shown with its options, its other names and what it is the same as.
    """
    from dtool.cli.catalogue import by_family

    if name is not None:
        _one(name, as_json)
        return
    groups = list(by_family())
    if as_json:
        say_json([item for _, items in groups for item in items])
        return
    _table(groups)


def _table(groups: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """The samplers, and which are one method. On a terminal the other names stand below the name, to save width."""
    from dtool.cli.catalogue import other_names, same_methods

    everything = [item for _, items in groups for item in items]
    foreign = any(item["provider"]["name"] != "dtool" for item in everything)
    columns = [Column("name"), Column("order", True), Column("calls", True), Column("noise")]
    columns += [Column("package", fold=True)] * foreign + [Column("what it is", fold=True)]
    columns += [Column("also called", fold=True)] * (not on_terminal())
    rows = []
    for family, items in groups:
        cells = []
        for item in items:
            names = [name for name in other_names(item) if len(name) <= LONGEST]
            below = "".join(f"\n  {name}" for name in names) if on_terminal() else ""
            figures = [str(item.get(key, "-")) for key in ("order", "calls", "noise")]
            cells.append([item["name"] + below, *figures])
            cells[-1] += [provider(item)] * foreign + [item["summary"].rstrip(".")]
            cells[-1] += [", ".join(names)] * (not on_terminal())
        rows.append((family, cells))
    grouped_table(columns, rows, "family")
    if same := same_methods(everything):
        say()
        table([Column("name"), Column("is the same method as"), Column("with", fold=True)], same)


def _one(name: str, as_json: bool) -> None:
    """One sampler in full; `name` may also be that of a recipe."""
    from dtool.cli.catalogue import calls, sampler_entry
    from dtool.plan import Recipe

    recipe = Recipe.parse(name)
    rule = recipe.rule
    entry = registry().samplers.entry(rule.name)
    item = sampler_entry(entry)
    if as_json:
        say_json(item | {"doc": rule.doc})
        return
    if not registry().samplers.knows(name.partition(":")[0]):
        say(f"{name} is {recipe}\n")
    order = f"{rule.order}"
    if rule.startup_order != rule.order:
        order += f", the first steps {rule.startup_order}"
    more = {"family": item["family"], "order": order, "network calls a step": calls(rule)}
    more["noise"] = {"yes": "fresh at each step", "option": "with other options", "no": "none"}[item["noise"]]
    more["the same method"] = "; ".join(f"{k} ({v})" if v else k for k, v in item["same"].items())
    more["leaves the marginals"] = "; ".join(f"{k or 'always'}: {v}" for k, v in item["breaks"].items())
    more["known elsewhere"] = "; ".join(f"{k} = {v}" for k, v in item["recipes"].items())
    show_one(registry().samplers, entry.spelling, False, more)
