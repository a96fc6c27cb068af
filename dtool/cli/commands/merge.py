"""`dtool merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.show.output import AsJson, Quiet, remark, say, say_json

EXAMPLES = (
    "dtool merge samples/ -o samples.npz",
    "dtool merge samples/ -o pictures/",
    "dtool merge samples/ --exact -o numbers.npz",
)
TO = typer.Option(
    "--output", "-o", help="an .npz, or a new folder for a PNG each [default: the folder's name with .npz]",
    show_default=False,
)  # fmt: skip


def merge(
    folder: Annotated[Path, typer.Argument(help="what dtool sample has drawn into, with --into", show_default=False)],
    output: Annotated[Path | None, TO] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="the numbers as they were sampled, float32, in the place of pixels")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Join the blocks of a folder into one array, or into pictures.

    They come in the order of the ids. The array is arr_0, uint8 (n, H, W, 3), which the field's evaluators read; arr_1
    are the classes, if there are any. Each block is verified as it is read. However the blocks were drawn, the same
    bytes come out.
    """
    from dtool.cli.show.filling import make_counter
    from dtool.cli.show.pictures import require_own
    from dtool.cli.show.progress import show_progress
    from dtool.parts.merging import merge as join
    from dtool.parts.merging import open_folder
    from dtool.util.text import safe_str

    images = open_folder(folder).images
    target = output or Path(f"{folder.resolve().name}.npz")
    if output is None:
        require_own(target, f"name another, with -o (-o {target} replaces it)")
    with show_progress(f"{images} images", quiet) as show:
        manifest = join(folder, target, exact=exact, on_done=make_counter(show, images))
    remark(f"{images} images of {manifest.recipe}, seed {manifest.seed}", quiet)
    if as_json:
        about = {"recipe": manifest.recipe, "plan": manifest.plan, "model": manifest.model, "seed": manifest.seed}
        say_json({"file": safe_str(target), "images": images, **about})
    else:
        say(target)
