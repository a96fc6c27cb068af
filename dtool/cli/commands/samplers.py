"""`dtool samplers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.sampler_options import complete_samplers
from dtool.cli.show.listing import format_provider, show_one
from dtool.cli.show.output import AsJson, Column, Quiet, is_terminal, print_grouped_table, print_table, say, say_json
from dtool.plugins.registry import get_registry

if TYPE_CHECKING:
    from dtool.plan.foreign import ForeignRule

EXAMPLES = (
    "dtool samplers",
    "dtool samplers ddpm",
    'dtool samplers "DPM++ 2M Karras"',
    "dtool samplers PNDMScheduler",
    "dtool samplers diffusers:PNDMScheduler",
)
LONGEST = 18  # longer names from elsewhere are in `dtool samplers NAME`


def samplers(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=complete_samplers, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the samplers by family, or show one of them.

    One is shown with its options, its other names and what it is the same as. Of a class of diffusers, which stands for
    its defaults, and of a function of ComfyUI it is said in what its own run differs.
    """
    from dtool.cli.show.catalogue import group_by_family

    if name is not None:
        _print_one(name, as_json)
        return
    groups = list(group_by_family())
    if as_json:
        say_json([item for _, items in groups for item in items])
        return
    _print_table(groups)


def _print_table(groups: list[tuple[str, list[dict[str, Any]]]]) -> None:
    """The samplers, and which are one method. On a terminal the other names stand below the name, to save width."""
    from dtool.cli.show.catalogue import filter_aliases, find_same_methods

    everything = [item for _, items in groups for item in items]
    foreign = any(item["provider"]["name"] != "dtool" for item in everything)
    columns = [Column("name"), Column("order", True), Column("calls", True), Column("noise")]
    columns += [Column("package", fold=True)] * foreign + [Column("what it is", fold=True)]
    columns += [Column("also called", fold=True)] * (not is_terminal())
    rows = []
    for family, items in groups:
        cells = []
        for item in items:
            names = [name for name in filter_aliases(item) if len(name) <= LONGEST]
            below = "".join(f"\n  {name}" for name in names) if is_terminal() else ""
            figures = [str(item.get(key, "-")) for key in ("order", "calls", "noise")]
            cells.append([item["name"] + below, *figures])
            cells[-1] += [format_provider(item)] * foreign + [item["summary"].rstrip(".")]
            cells[-1] += [", ".join(names)] * (not is_terminal())
        rows.append((family, cells))
    print_grouped_table(columns, rows, "family")
    if same := find_same_methods(everything):
        say()
        print_table([Column("name"), Column("is the same method as"), Column("with", fold=True)], same)


def _print_one(name: str, as_json: bool) -> None:
    """One sampler in full; `name` may also be that of a recipe."""
    from dtool.bridges.scheduler_configs import describe_differences
    from dtool.cli.show.catalogue import describe_calls, describe_sampler
    from dtool.plan import Recipe
    from dtool.plan.foreign import ForeignRule

    recipe = Recipe.parse(name)
    rule = recipe.rule
    if isinstance(rule, ForeignRule):
        _print_foreign(rule, as_json)
        return
    entry = get_registry().samplers.entry(rule.name)
    item = describe_sampler(entry)
    if as_json:
        say_json(item | {"doc": rule.doc})
        return
    if not get_registry().samplers.knows(name.partition(":")[0]):
        say(f"{name} is {recipe}")
        for difference in describe_differences(name.partition(":")[0]):
            say(f"- {difference}")
        say()
    order = f"{rule.order}"
    if rule.startup_order != rule.order:
        order += f", the first steps {rule.startup_order}"
    more = {"family": item["family"], "order": order, "network calls per step": describe_calls(rule)}
    more["noise"] = {"yes": "fresh at each step", "option": "with other options", "no": "none"}[item["noise"]]
    more["the same method"] = "; ".join(f"{k} ({v})" if v else k for k, v in item["same"].items())
    more["leaves the marginals"] = "; ".join(f"{k or 'always'}: {v}" for k, v in item["breaks"].items())
    more["known elsewhere"] = "; ".join(f"{k} = {v}" for k, v in item["recipes"].items())
    show_one(get_registry().samplers, entry.spelling, False, more)


def _print_foreign(rule: ForeignRule, as_json: bool) -> None:
    """A sampler of another library: where it is from, and its options."""
    defaults = {name: field.default for name, field in rule.model.model_fields.items() if not field.is_required()}
    if as_json:
        say_json({"name": rule.name, "source": rule.cite, "options": defaults, "own_grid": rule.own_grid})
        return
    say(f"{rule.name}, of {rule.cite}: its own code is run once, on unit vectors, and becomes a plan.")
    say("It makes its own levels.\n" if rule.own_grid else "It runs on any schedule and spacing.\n")
    print_table([Column("option"), Column("default")], [[name, str(value)] for name, value in defaults.items()])
    say(f"\nIts rows: dtool plan {rule.token}; its examination: dtool check {rule.token}")
