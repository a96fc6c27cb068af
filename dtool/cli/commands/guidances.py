"""`dtool guidances`."""

from __future__ import annotations

from typing import Annotated

import typer

from dtool.cli.flags.sampler_options import complete_guidances
from dtool.cli.show.listing import show_named
from dtool.cli.show.output import AsJson, Quiet
from dtool.plugins.registry import get_registry

EXAMPLES = ("dtool guidances", "dtool guidances cfgpp")


def guidances(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=complete_guidances, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the ways of guidance: how far each step goes."""
    show_named(get_registry().guidances, name, as_json)
