"""`dtool verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.show.output import AsJson, Quiet, remark, say, say_json
from dtool.errors import DtoolError

EXAMPLES = ("dtool verify samples/", "dtool verify samples/ --json")


def verify(
    folder: Annotated[Path, typer.Argument(help="what dtool sample has drawn into, with --into", show_default=False)],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """See whether a folder of blocks is complete and sound.

    Every number is read and compared with its hash. What is missing or damaged is listed, a line each; the exit code is
    then 1. Nothing is changed.
    """
    from dtool.cli.show.filling import make_counter
    from dtool.cli.show.progress import show_progress
    from dtool.parts.block import Block
    from dtool.parts.block_file import name_path
    from dtool.parts.filling import State, inspect
    from dtool.parts.merging import open_folder

    manifest = open_folder(folder)
    missing: list[str] = []
    damaged: dict[str, str] = {}
    with show_progress(f"{manifest.images} images", quiet) as show:
        count = make_counter(show, manifest.images) or (lambda _: None)
        for outcome in inspect(folder, manifest):
            block = outcome if isinstance(outcome, Block) else outcome.block
            name = name_path(folder, manifest, block).name
            if isinstance(outcome, Block):
                missing.append(name)
            elif outcome.state is State.DAMAGED:
                damaged[name] = outcome.why
            count(len(block))
    if as_json:
        about = {"recipe": manifest.recipe, "seed": manifest.seed, "plan": manifest.plan, "model": manifest.model}
        say_json(
            {**about, "images": manifest.images, "blocks": len(manifest.blocks), "missing": missing, "damaged": damaged}
        )
    else:
        for name in missing:
            say(f"{name}: missing")
        for name, why in damaged.items():
            say(f"{name}: damaged: {why}")
    if missing or damaged:
        raise DtoolError(
            f"{folder}: of {len(manifest.blocks)} blocks {len(missing)} are missing and {len(damaged)} damaged",
            "run the command that drew them again: it draws what is missing, and with --redraw what is damaged",
        )
    remark(f"{manifest.images} images of {manifest.recipe}, seed {manifest.seed}: complete and sound", quiet)
