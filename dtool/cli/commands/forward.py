"""`dtool forward`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.loading import Device
from dtool.cli.flags.sampler_options import complete_schedulers
from dtool.cli.show.output import AsJson, Quiet, say, say_json
from dtool.errors import DtoolError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dtool.schedulers.schedule import Schedule

EXAMPLES = ("dtool forward photo.jpg", "dtool forward digit --scheduler cosine --steps 12 -o forward.png")
PICTURE = Path("forward.png")
LONGEST = 128  # pixels: a larger image is made smaller


def forward(
    image: Annotated[
        str,
        typer.Argument(help="a picture file, or the word digit: a sample of dtool's own network", show_default=False),
    ],
    scheduler: Annotated[
        list[str] | None,
        typer.Option(
            help="a schedule; may be given several times [default: all]",
            autocompletion=complete_schedulers,
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, max=50, help="how many times to show, evenly from 0 to T-1")] = 9,
    seed: Annotated[int, typer.Option(min=0, help="of the noise; every row gets the same")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the picture [default: forward.png]", show_default=False)
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - it acts when it is read
) -> None:
    """Show how each schedule destroys an image.

    One row per schedule, x_t = alpha_t x0 + sigma_t noise at evenly spaced times, the same noise in every row. Under
    each picture stands alpha-bar, the share of its variance that is still the image's.
    """  # fmt: skip
    from dtool.cli.show.pictures import require_own, save
    from dtool.util.files import find_option_files, require_distinct_files, require_picture

    is_default = output is None
    output = output or PICTURE
    require_distinct_files([output], [None if Path(image).is_dir() else image, *find_option_files(*(scheduler or ()))])
    require_picture(output)
    if is_default:
        require_own(output, f"name another, with -o (-o {output} replaces it)")
    schedules = _resolve_schedules(scheduler)
    picture = _draw_picture(_load_image(image, seed, device), schedules, steps, seed)
    save(output, lambda: picture, command="forward", schedulers=list(schedules), seed=seed)
    if as_json:
        say_json({"picture": str(output), "schedulers": list(schedules), "seed": seed})
    else:
        say(output)


def _resolve_schedules(names: list[str] | None) -> dict[str, Schedule]:
    from dtool.cli.commands.schedulers import load_all_schedules
    from dtool.schedulers import get_scheduler

    if not names or "all" in names:
        return load_all_schedules()
    return {name: get_scheduler(name) for name in names}


def _load_image(source: str, seed: int, device: str) -> NDArray[np.float32]:
    """The image as (C, H, W) in [-1, 1]."""
    import numpy as np

    if source == "digit" and not Path(source).exists():
        import dtool

        net = dtool.default_network(device)
        low, high = net.spec.data_range
        x0 = dtool.sample(net, "dpmpp-2m/karras", steps=20, ids=[seed]).x0[0]
        return np.asarray(2 * (x0 - low) / (high - low) - 1, dtype=np.float32).clip(-1, 1)
    from PIL import Image

    from dtool.data.pixels import convert_to_eight_bits, is_multi_frame, open_picture, require_room, shrink

    if Path(source).is_dir():
        raise DtoolError(f"{source} is a folder", "give one picture")
    try:
        with open_picture(Path(source), "give a PNG, JPEG or WebP file", " cannot be read as a picture") as file:
            several = is_multi_frame(file)
            shrink(file, LONGEST)
            require_room(file, Path(source), resized=True)
            picture = convert_to_eight_bits(file)
            picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    except FileNotFoundError:
        raise DtoolError(f"there is no file {source}", "give a picture file, or the word digit") from None
    if several:
        warnings.warn(f"{source} holds several pictures: the first is shown", stacklevel=2)
    array = np.asarray(picture, dtype=np.float32) / 127.5 - 1
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _draw_picture(x0: NDArray[np.float32], schedules: dict[str, Schedule], steps: int, seed: int) -> Any:
    """The labelled grid."""
    import numpy as np

    from dtool.run.noise import normals
    from dtool.util.pictures import TileRow, draw_labelled_grid, to_pixels

    noise = normals(seed, np.zeros(1, np.uint64), 0, x0.shape)[0, 0]
    shares = np.linspace(0, 1, steps)
    lengths = {schedule.T for schedule in schedules.values()}
    whole = lengths.pop() - 1 if len(lengths) == 1 else None
    heads = [f"{share:.3g} (T-1)" if whole is None else f"t = {share * whole:.0f}" for share in shares]
    rows = []
    for name, schedule in schedules.items():
        alpha, sigma = schedule.level((shares * (schedule.T - 1)).round())
        alpha, sigma = alpha / np.hypot(alpha, sigma), sigma / np.hypot(alpha, sigma)  # as bright in any coordinates
        shown = np.stack([a * x0 + s * noise for a, s in zip(alpha, sigma, strict=True)])
        captions = tuple(_format_share(float(a) ** 2) for a in alpha)
        rows.append(TileRow(name=name, note=f"T = {schedule.T}", tiles=to_pixels(shown), captions=captions))
    title = "The forward process under each schedule" if len(rows) > 1 else f"The forward process under {rows[0].name}"
    return draw_labelled_grid(
        rows, heads, title, "below each image: alpha-bar, the image's share of the variance", side=72
    )


def _format_share(value: float) -> str:
    """ᾱ in a few characters."""
    return f"{value:.2f}" if value >= 0.01 or value == 0 else f"{value:.0e}"
