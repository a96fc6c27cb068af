"""A run that trains an autoencoder, with its folder: what is saved and when, how it goes on after an interruption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError

from dtool.data.images import Images, load
from dtool.errors import DtoolError, UsageError
from dtool.models.autoencoder import require_diffusers
from dtool.training.codec_config import CodecConfig
from dtool.training.codec_folder import ANEW, STATE, read_state, write_autoencoder, write_state
from dtool.training.codec_loop import CodecTrainer, reconstruct
from dtool.training.device import make_accelerator
from dtool.training.interrupt import defer_signals
from dtool.training.latent_normalization import normalize_latents
from dtool.training.period import FIVE_MINUTES, Period, Repeated
from dtool.training.preview import tile_images
from dtool.training.progress import Progress
from dtool.training.resume import require_same
from dtool.training.saving import try_preview, try_save
from dtool.training.validation import hold_out
from dtool.util.allocator import keep_large_blocks
from dtool.util.files import require_distinct_files, write_atomically

MOST = 1024  # pictures that the latents' mean and deviation are measured on
SHOWN = 12  # pictures of a preview


@dataclass(kw_only=True)
class CodecSession:
    """A trainer, the folder it writes, and the pictures that are held out, if any.

    preview: a PNG of pictures above what the autoencoder makes of them, written at each save.
    `interrupted` tells, after `run`, that someone asked to stop before the last step.
    """

    trainer: CodecTrainer
    output: Path
    held_out: Images | None = None
    save_every: Period = FIVE_MINUTES
    preview: Path | None = None
    interrupted: bool = False

    def run(self) -> Iterator[Progress]:
        """Train to the end; yields after every step. The folder is up to date after the last."""
        now_and_then = Repeated(self.save_every, self._try_save)
        with defer_signals() as interrupt, keep_large_blocks():
            for progress in self.trainer.run():
                yield progress
                if progress.step == self.trainer.config.steps:
                    break
                if interrupt.requested:
                    self.interrupted = True
                    break
                now_and_then.run_if_due(progress.step)
            self.save()

    def _try_save(self) -> None:
        try_save(self.save, self.trainer.step)

    def save(self) -> None:
        """Write the state of training, the autoencoder with its averaged weights, and the preview, if that can be."""
        write_state(self.output, self.trainer.state())
        network = self.trainer.get_average()
        normalize_latents(network, self.trainer.images, MOST)
        write_autoencoder(self.output, network)
        if self.preview is not None:
            try_preview(partial(write_preview, self.preview, network, self.held_out or self.trainer.images))

    def measure(self) -> tuple[float, str]:
        """The mean PSNR in dB, and of which pictures it is: those held out, or else those that were trained on."""
        images = self.held_out or self.trainer.images
        kind = "held-out pictures" if self.held_out else "pictures that it was trained on"
        return self.trainer.measure_psnr(images), f"{len(images)} {kind}"

    def summary(self) -> str:
        """One line for a person: what is trained, on what, where."""
        trainer, config = self.trainer, self.trainer.config
        millions = sum(p.numel() for p in trainer.network.parameters()) / 1e6
        channels, height, width = trainer.images.shape
        latents = (config.latent_channels, height // config.factor, width // config.factor)
        epochs = config.steps * config.batch_size / len(trainer.images)
        return (
            f"{len(trainer.images)} images of {(channels, height, width)} to latents of {latents}; {millions:.2f} "
            f"million parameters; {config.steps} steps = {epochs:.1f} epochs on {trainer.accelerator.device}"
        )


def start(
    data: str,
    output: Path,
    config: CodecConfig,
    *,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    resume: bool = False,
    save_every: Period = FIVE_MINUTES,
    preview: Path | None = None,
) -> CodecSession:
    """Check everything, read the pictures, build the autoencoder: a run that is ready to begin, or to go on.

    output: a folder. Raises `DtoolError`.
    """
    require_diffusers("train a codec")
    require_distinct_files([output, preview], [data])
    where = make_accelerator(device, "no")
    images = load(data, size=size, classes=False)
    require_multiples(images.shape, config.factor)
    images, held_out = hold_out(images, config.validation, config.seed)
    trainer = CodecTrainer(config, images, where)
    if resume:
        continue_from(output, trainer)
    return CodecSession(trainer=trainer, output=output, held_out=held_out, save_every=save_every, preview=preview)


def require_multiples(shape: tuple[int, ...], factor: int) -> None:
    """Raise UsageError unless the pictures' sides are multiples of what one latent is."""
    height, width = shape[1:]
    if height % factor or width % factor:
        raise UsageError(
            f"--factor {factor}: the pictures have {height}x{width} pixels",
            f"give --size HEIGHTxWIDTH, multiples of {factor}, or another --factor",
        )


def continue_from(folder: Path, trainer: CodecTrainer) -> None:
    """Continue the run whose state is in `folder`; raises `DtoolError` if this is not the same run."""
    state, path = read_state(folder), folder / STATE
    try:
        config = CodecConfig.model_validate_json(state["config"])
        require_same(config.model_dump(), trainer.config.model_dump(), folder)
        if state["data"] != trainer.images.fingerprint():
            raise UsageError(f"{folder}: was trained on other images than these", "give the DATA it was begun with")
        if state["step"] >= trainer.config.steps:
            raise UsageError(f"{folder}: has all its {state['step']} steps", "ask for more with --steps")
        trainer.load(state)
    except DtoolError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, ValidationError) as error:
        raise DtoolError(f"{path}: its state of training cannot be used ({type(error).__name__})", ANEW) from error


def write_preview(path: Path, network: Any, images: Images) -> None:
    """Write a PNG of a few pictures, and below each what the autoencoder makes of it."""
    truth = images.take(slice(0, SHOWN))
    with torch.no_grad():
        made = reconstruct(network, torch.from_numpy(truth).to(next(network.parameters()).device)).cpu().numpy()
    picture = tile_images(np.concatenate([truth, made]), len(truth))
    scale = max(1, 64 // min(images.shape[1:]))
    image = Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture)
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    write_atomically(path, lambda temporary: image.save(temporary, format="PNG"))
