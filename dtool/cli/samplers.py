"""`dtool samplers`."""

from __future__ import annotations

from typing import Annotated

import typer

from dtool.cli.listing import show_all, show_one
from dtool.cli.options import sampler_names
from dtool.cli.output import AsJson, Quiet
from dtool.plugins.registry import registry

EXAMPLES = ("dtool samplers", "dtool samplers ddpm")


def samplers(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=sampler_names, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the samplers and their options."""
    if name is None:
        show_all(registry().samplers, as_json)
        return
    from dtool.samplers import sampler

    rule = sampler(name)
    more = {"order": f"{rule.order}", "network calls a step": f"{rule.calls}"}
    more["noise"] = "fresh at each step" if rule.stochastic else "none"
    show_one(registry().samplers, name.partition(":")[0], as_json, more)
