"""`dtool train`: images in, a checkpoint out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.training import TRAINING, UNET, TrainingFlags, UNetFlags, require_packages
from dtool.cli.show.training import run_shown, say_aside
from dtool.errors import DtoolError, UsageError

if TYPE_CHECKING:
    from dtool.training.validation import LevelLoss

_file = partial(typer.Option, rich_help_panel="Files")


@with_flags(TRAINING, UNET)
def train(
    data: Annotated[str, typer.Argument(help="folder of images (sub-folder = class), MNIST's IDX, .npz, or `digits`")],
    output: Annotated[Path, _file("--output", "-o", help="checkpoint, .pt or .safetensors")] = Path("model.pt"),
    resume: Annotated[bool, _file("--resume", help="continue the run whose checkpoint --output is (.pt)")] = False,
    force: Annotated[bool, _file("--force", "-f", help="replace --output if it exists")] = False,
    save_every: Annotated[str, _file(help="steps or time between checkpoints: 1000, 90s, 5m")] = "5m",
    preview: Annotated[Path | None, _file(help="write a PNG of samples here while it trains")] = None,
    preview_every: Annotated[str, _file(help="steps or time between previews")] = "5m",
    codec: Annotated[
        Path | None,
        _file(help="train on the latents of this autoencoder: a folder of `dtool train-codec`, or diffusers'"),
    ] = None,
    masks: Annotated[Path | None, _file(help="folder of masks for --task segment [default: the alpha channel]")] = None,
    backgrounds: Annotated[
        Path | None, _file(help="folder of pictures that cut-outs of --task segment are laid on, beside drawn ones")
    ] = None,
    captions: Annotated[
        str | None, _file(metavar="PATH", help="train with words: a CSV of file,caption, or a folder of .txt files")
    ] = None,
    text_encoder: Annotated[
        str | None, _file(metavar="PATH", help="the sentence encoder that reads --captions: a folder, or a package")
    ] = None,
    validate_every: Annotated[str, _file(help="steps or time between measurements on --validation")] = "5m",
    log: Annotated[Path | None, _file(help="folder for a log that TensorBoard opens")] = None,
    guidance: Annotated[float, _file(min=0, help="default guidance scale stored with the network")] = 1.0,
    quiet: Annotated[bool, _file("--quiet", "-q", help="no progress")] = False,
    *,
    training: TrainingFlags,
    unet: UNetFlags,
) -> None:
    """Train a U-Net on images, by Algorithm 1 of DDPM.

    Started by torchrun or accelerate launch, several processes each compute a part of every batch.
    """
    require_packages()
    from dtool.training.device import is_first_process
    from dtool.training.period import Period
    from dtool.training.session import start
    from dtool.util.files import find_option_files
    from dtool.util.locks import hold_lock

    _check_output(output, preview, [data, *find_option_files(training.scheduler)], resume=resume, force=force)
    config, network, size = training.to_config(), unet.to_settings(), training.parse_size()
    quiet = quiet or not is_first_process()
    with hold_lock(output, f"{output} is being trained") if is_first_process() else nullcontext():
        _check_begun(output, resume=resume, force=force)
        if codec is not None and not quiet:
            say_aside(f"encoding the images by {codec}, once")
        session = start(
            data, output, config, network=network, size=size, classes=unet.classes, guidance=guidance,
            device=training.device, resume=resume, save_every=Period.parse(save_every), preview=preview,
            preview_every=Period.parse(preview_every), masks=None if masks is None else str(masks),
            backgrounds=None if backgrounds is None else str(backgrounds),
            validate_every=Period.parse(validate_every), log=log, codec=codec, captions=captions,
            text_encoder=text_encoder,
        )  # fmt: skip
        if not quiet:
            say_aside(session.summary())
            session.report = lambda name, levels: say_aside(_format_levels(name, levels))
        again = "the same command with --resume goes on" if output.suffix == ".pt" else "only a .pt can be resumed"
        run_shown(session, quiet=quiet, again=again)
    if session.trainer.is_main:
        typer.echo(output)


def _check_output(output: Path, preview: Path | None, inputs: list[Any], *, resume: bool, force: bool) -> None:
    """Find out before hours of work, not after them."""
    from dtool.models.checkpoint import SUFFIXES
    from dtool.util.files import require_distinct_files, require_writable

    if output.suffix not in SUFFIXES:
        raise UsageError(f"{output}: unknown kind of checkpoint", "end its name in .pt or .safetensors")
    if preview is not None and preview.suffix.lower() != ".png":
        raise UsageError(f"{preview}: a preview is a PNG", "end its name in .png")
    require_distinct_files([output, preview], inputs)
    if resume and output.suffix != ".pt":
        raise UsageError(f"--resume: {output} holds no state of training", "only a .pt can be resumed")
    _check_begun(output, resume=resume, force=force)
    require_writable(output)


def _check_begun(output: Path, *, resume: bool, force: bool) -> None:
    """Raise DtoolError unless there is a run where one is to be continued, and none where one is to begin."""
    if resume and not output.exists():
        raise DtoolError(f"--resume: there is no {output}", "leave --resume out to begin a new run")
    if output.exists() and not (resume or force):
        raise UsageError(f"{output} exists", "--resume continues it, --force replaces it")


def _format_levels(name: str, levels: Sequence[LevelLoss]) -> str:
    """The losses on held-out images in one line, the mean first, then each level's."""
    mean = sum(one.loss for one in levels) / len(levels)
    return f"{name} {mean:.4f}; by level " + ", ".join(f"t={one.first}-{one.last} {one.loss:.4f}" for one in levels)
