"""`dtool spacings`."""

from __future__ import annotations

from typing import Annotated

import typer

from dtool.cli.listing import show_all, show_one
from dtool.cli.options import spacing_names
from dtool.cli.output import AsJson, Quiet
from dtool.plugins.registry import registry

EXAMPLES = ("dtool spacings", "dtool spacings karras")


def spacings(
    name: Annotated[
        str | None, typer.Argument(help="show this one in full", autocompletion=spacing_names, show_default=False)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """List the spacings: where on a schedule the steps fall."""
    if name is None:
        show_all(registry().spacings, as_json)
    else:
        show_one(registry().spacings, name.partition(":")[0], as_json)
