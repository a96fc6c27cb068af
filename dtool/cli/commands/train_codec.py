"""`dtool train-codec`: images in, an autoencoder in diffusers' layout out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.training import CODEC, CodecFlags, require_packages
from dtool.cli.show.training import run_shown, say_aside
from dtool.errors import UsageError

EXAMPLES = (
    "dtool train-codec photos/ --size 64 -o codec",
    "dtool train-codec photos/ --size 64 -o codec --steps 6000 --resume",
    "dtool train-codec photos/ --size 128 --factor 8 --latent-channels 8 -o codec",
)

_file = partial(typer.Option, rich_help_panel="Files")


@with_flags(CODEC)
def train_codec(
    data: Annotated[str, typer.Argument(help="folder of images, MNIST's IDX, .npz, or `digits`")],
    output: Annotated[Path, _file("--output", "-o", help="folder for the autoencoder")] = Path("codec"),
    resume: Annotated[bool, _file("--resume", help="continue the run whose folder --output is")] = False,
    force: Annotated[bool, _file("--force", "-f", help="replace the autoencoder in --output")] = False,
    save_every: Annotated[str, _file(help="steps or time between saves: 1000, 90s, 5m")] = "5m",
    preview: Annotated[
        Path | None, _file(help="write a PNG here at each save: pictures, and below them what is made of them")
    ] = None,
    quiet: Annotated[bool, _file("--quiet", "-q", help="no progress")] = False,
    *,
    flags: CodecFlags,
) -> None:
    """Train an autoencoder on images: to latents and back.

    The folder is in diffusers' layout (AutoencoderKL); its latents have mean 0 and deviation 1 in every channel. A
    network is trained on them by `dtool train --codec`. At the end its PSNR is told, of the images held out.
    """
    require_packages()
    from dtool.training.codec_folder import check_folder
    from dtool.training.codec_session import start
    from dtool.training.period import Period
    from dtool.util.files import require_picture
    from dtool.util.locks import hold_lock

    check_folder(output, resume=resume, force=force)
    if preview is not None:
        require_picture(preview)
        _require_outside(preview, output)
    config, size, period = flags.to_config(), flags.parse_size(), Period.parse(save_every)
    with hold_lock(output, f"{output} is being trained"):
        check_folder(output, resume=resume, force=force)
        session = start(
            data, output, config, size=size, device=flags.device, resume=resume, save_every=period, preview=preview
        )
        if not quiet:
            say_aside(session.summary())
        run_shown(session, quiet=quiet, again="the same command with --resume goes on")
    if not quiet:
        decibels, of_which = session.measure()
        say_aside(f"PSNR {decibels:.2f} dB, the mean of {of_which}")
    typer.echo(output)


def _require_outside(preview: Path, output: Path) -> None:
    """Raise UsageError for a preview in the autoencoder's own folder, which a later run would refuse."""
    if preview.resolve().is_relative_to(output.resolve()):
        raise UsageError(f"{preview} would be in the autoencoder's folder", "name a file elsewhere")
