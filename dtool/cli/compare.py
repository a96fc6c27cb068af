"""`dtool compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.arguments import (
    Backend,
    BatchSize,
    Classes,
    Clip,
    Device,
    Guidance,
    Opening,
    Seed,
    is_model,
    open_network,
    progress_bar,
    with_opening,
)  # fmt: skip
from dtool.cli.output import AsJson, Column, Quiet, number, remark, say, say_json, table
from dtool.errors import DtoolError, UsageError

if TYPE_CHECKING:
    from dtool.compare import Comparison
    from dtool.networks.network import Network
    from dtool.networks.spec import PixelStatistics

EXAMPLES = (
    "dtool compare ddpm:sigma=beta ddpm:sigma=tilde ddpm:sigma=none --steps 10,50",
    "dtool compare model.pt ddim dpmpp-2m@cosine/karras -n 500 --data images/ --json",
)
USUAL = ("ddpm", "ddim", "heun", "dpmpp-2m", "unipc", "dpmpp-2m-sde")


@with_opening
def compare(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL RECIPE",
            help="a network's file, if not the one inside the package, then recipes [default: "
            + ", ".join(USUAL)
            + "]",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[str, typer.Option(help="one or more numbers of steps")] = "10,20",
    n: Annotated[int, typer.Option("-n", min=1, help="how many images; a figure of quality wants hundreds")] = 16,
    seed: Seed = 0,
    classes: Classes = None,
    guidance: Guidance = None,
    clip: Clip = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="images to measure quality against [default: the training images' statistics]", show_default=False
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="timed rounds; their median counts")] = 3,
    output: Annotated[Path, typer.Option("--output", "-o", help="the picture: a row a recipe")] = Path("compare.png"),
    device: Device = "auto",
    backend: Backend = None,
    batch_size: BatchSize = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    opening: Opening,
) -> None:
    """Compare recipes: time, quality, pictures from the same noise.

    The table gives network calls, the median time of drawing all n images, the quality measure (the Fréchet distance
    of Gaussians fitted to pooled pixels: lower is better, comparable only at equal n), and how far the recipes'
    images are apart.
    """
    from dtool.cli.values import class_list, counts
    from dtool.compare.run import compare as compare_recipes
    from dtool.files import require_writable

    if output.suffix.lower() != ".png":
        raise UsageError(f"{output}: the picture is a PNG", "end its name in .png")
    require_writable(output)
    model, recipes = _split(what or [])
    wanted = counts(steps)
    net = open_network(model, device, backend, opening)
    reference = _reference(data, net)
    with progress_bar("comparing", quiet) as show:
        found = compare_recipes(
            net, recipes or list(USUAL), steps=wanted, n=n, seed=seed, guidance=guidance, clip=clip,
            labels=class_list(classes, net.spec.class_names, net.classes, n), batch_size=batch_size,
            reference=reference, repeats=repeats, progress=show,
        )  # fmt: skip
    drawn = _draw(found, output, net)
    if as_json:
        say_json(found.to_dict() | {"picture": str(output) if drawn else None})
        return
    _show(found, quiet)
    if drawn:
        say(output)


def _split(words: list[str]) -> tuple[str | None, list[str]]:
    """The model, if the first word is one, and the recipes."""
    if words and is_model(words[0]):
        return words[0], words[1:]
    return None, words


def _reference(data: str | None, net: Network) -> PixelStatistics | None:
    """Statistics of the images in `data`, in the network's range."""
    if data is None:
        return None
    from dtool.compare.frechet import statistics

    try:
        from dtool.training.data import load
    except ImportError as error:
        raise DtoolError(f"reading images needs {error.name}", "pip install 'dtool-diffusion[train]'") from error
    images = load(data)
    if images.shape != net.shape:
        raise UsageError(f"{data} holds images of shape {images.shape}, the network draws {net.shape}", "give others")
    low, high = net.spec.data_range
    return statistics((images.take(slice(None)).numpy() + 1) / 2 * (high - low) + low)


def _draw(found: Comparison, output: Path, net: Network) -> bool:
    """Write the picture, if the samples are pictures."""
    from dtool.compare.picture import is_picture
    from dtool.compare.report import picture
    from dtool.files import write_atomically

    if not is_picture(found.shape):
        return False
    drawn = picture(found, class_names=net.spec.class_names)
    write_atomically(output, lambda temporary: drawn.save(temporary, "PNG"))
    return True


def _show(found: Comparison, quiet: bool) -> None:
    columns = [Column("#", True), Column("recipe", fold=True), Column("steps", True), Column("calls", True)]
    columns += [Column("seconds", True), Column("images/s", True), Column("FD", True)]
    rough = found.quality is not None and not found.quality.enough
    rows = [
        [
            *(str(i), e.name, str(e.steps), str(e.calls), number(e.seconds), number(e.images_per_second)),
            f"({number(e.quality)})" if rough else number(e.quality),
        ]
        for i, e in enumerate(found.entries, 1)
    ]
    table(columns, rows, title=f"n = {found.n}, seed {found.seed}, {found.backend} on {found.device}")
    if len(found.entries) > 1:
        heads = [Column("#", True)] + [Column(str(i), True) for i in range(1, len(rows) + 1)]
        cells = [[str(i)] + [f"{v:.2f}" for v in row] for i, row in enumerate(found.rmse.tolist(), 1)]
        say()
        table(heads, cells, title="root mean square difference of their images, from the same noise")
    remark(_about_quality(found), quiet)


def _about_quality(found: Comparison) -> str:
    quality = found.quality
    if quality is None:
        return "FD -: there is nothing to measure against (give --data)" if found.n > 1 else "FD -: it takes two images"
    text = f"FD: {quality.measure}, against {quality.reference_count} images"
    text += f"; {found.n} random draws of the reference score {quality.floor:.3g}"
    wanted = 4 * quality.features
    if quality.enough:
        return text
    return f"FD in brackets: n is too small to rank by it; use -n {wanted} for its {quality.features} features\n{text}"
