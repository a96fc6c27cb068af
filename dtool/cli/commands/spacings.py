"""`dtool spacings`."""

from __future__ import annotations

from typing import Annotated

import typer

from dtool.cli.flags.sampler_options import complete_spacings
from dtool.cli.show.listing import show_named
from dtool.cli.show.output import AsJson, Quiet
from dtool.plugins.registry import get_registry

EXAMPLES = ("dtool spacings", "dtool spacings karras")


def spacings(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=complete_spacings, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the spacings: where on a schedule the steps fall."""
    show_named(get_registry().spacings, name, as_json)
