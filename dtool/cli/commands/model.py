"""`dtool model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import DESCRIPTION, RUNTIME, open_network
from dtool.cli.show.output import AsJson, Quiet, remark, say_json
from dtool.errors import UsageError
from dtool.models.description import Description
from dtool.models.runtime import Runtime

EXAMPLES = (
    "dtool model",
    "dtool model pipeline/",
    "dtool model unet.safetensors --prediction v --schedule scaled-linear --remember",
)
OWN = {
    ".pt, .safetensors": "a checkpoint of dtool train",
    ".onnx": "an exported network, or a network and its sampler; another's with --schedule, --prediction",
    "package.module:factory": "a function that returns a network, or a module and its spec",
    "gmm:d=2": "a closed form: gmm, gaussian, two-diracs, sphere …",
}


@with_flags(RUNTIME, DESCRIPTION)
def model(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH",
            help="its file or folder, package.module:factory, or a closed form [default: list what can be opened]",
            show_default=False,
        ),
    ] = None,
    remember: Annotated[
        bool, typer.Option("--remember", help="write down beside the model what is said of it here, for every command")
    ] = False,
    *,
    runtime: Runtime,
    description: Description,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what a model is, takes and gives, and its makers' recipe.

    Models of other libraries are opened by readers, which are plugins; no code from a file is run, and nothing is
    downloaded. What a file does not say, say it as to every command: --prediction, --schedule; with --remember once.
    """
    from dtool.cli.show.model import describe_network, show_network
    from dtool.models.sidecar import locate_sidecar
    from dtool.models.sidecar import remember as write_down

    if path is None:
        if remember or not description.is_empty:
            raise UsageError("it is not said of which model", "name its file or folder")
        _list_readers(as_json, quiet)
        return
    place = Path(path)
    if remember and (description.is_empty or not place.exists()):
        cause = "there is nothing to remember" if description.is_empty else f"there is no file or folder {path}"
        raise UsageError(cause, "name a model, and say what it is: --prediction, --schedule …")
    net = open_network(path, runtime, description)
    if remember:
        write_down(place, description)
    sidecar = locate_sidecar(place) if place.exists() else None
    about = describe_network(net, path, sidecar if sidecar is not None and sidecar.is_file() else None)
    if as_json:
        say_json(about)
    else:
        show_network(net, about)


def _list_readers(as_json: bool, quiet: bool) -> None:
    """The readers that are installed, and what dtool opens by itself."""
    from dtool.cli.show.listing import describe_each, describe_unloaded, show_items
    from dtool.cli.show.output import Column
    from dtool.plugins.registry import get_registry

    def describe(entry: Any) -> dict[str, Any]:
        thing = entry.load()
        summary = entry.summary or thing.summary or thing.doc.partition("\n")[0]
        return describe_unloaded(entry) | {"summary": summary, "codec": thing.open_codec is not None}

    items = list(describe_each(get_registry().readers, describe))
    if not as_json:
        provider = {"name": "dtool", "version": ""}
        items = [{"name": name, "summary": text, "provider": provider} for name, text in OWN.items()] + items
    show_items(
        items, [Column("name"), Column("what it opens", fold=True)], lambda i: [i["name"], i["summary"]], as_json
    )
    remark("dtool model PATH says what a file or folder is", quiet or as_json)
