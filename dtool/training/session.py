"""A run with a file: what is saved and when, how it goes on after an interruption."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from dtool.data.images import Images
from dtool.errors import DtoolError, UsageError
from dtool.models import checkpoint
from dtool.models.autoencoder import Autoencoder
from dtool.models.spec import NetworkSpec
from dtool.training.captions import CaptionVectors, open_captions
from dtool.training.config import TrainConfig
from dtool.training.device import make_accelerator
from dtool.training.event_log import EventLog
from dtool.training.interrupt import defer_signals
from dtool.training.latents import open_training_codec
from dtool.training.loop import Trainer
from dtool.training.period import FIVE_MINUTES, Period, Repeated
from dtool.training.preparation import choose_task, configure_network, describe_network, load_data
from dtool.training.preview import write as write_preview
from dtool.training.progress import Progress
from dtool.training.resume import continue_from
from dtool.training.tasks import EXAMPLES, Task, make_example_conditions
from dtool.training.validation import LevelLoss, hold_out
from dtool.util.allocator import keep_large_blocks
from dtool.util.files import WriteError, require_distinct_files, require_writable


@dataclass(kw_only=True)
class Session:
    """A trainer, the file it writes, and what is done now and then while it runs.

    `held_out`: images on which the averages of the weights are looked at, now and then and at the end; `report` is told
    the name of the average and its losses by level. `log`: where curves are written.
    `interrupted` tells, after `run`, that someone asked to stop before the last step. `autoencoder`: of latents, what
    the file decodes them by.
    """

    trainer: Trainer
    spec: NetworkSpec
    output: Path
    save_every: Period = FIVE_MINUTES
    preview_every: Period = FIVE_MINUTES
    preview: Callable[[nn.Module], None] | None = None
    held_out: Images | None = None
    validate_every: Period = FIVE_MINUTES
    report: Callable[[str, list[LevelLoss]], None] | None = None
    log: EventLog | None = None
    interrupted: bool = False
    autoencoder: Autoencoder | None = None

    def run(self) -> Iterator[Progress]:
        """Train to the end; yields after every step. The file is whole at all times, and up to date after the last."""
        now_and_then = [Repeated(self.save_every, self._try_save), Repeated(self.preview_every, self._try_preview)]
        now_and_then.append(Repeated(self.validate_every, self.validate))
        with defer_signals() as interrupt, keep_large_blocks():
            for progress in self.trainer.run():
                if self.log:
                    self.log.add_progress(progress, self.trainer.config.lr_at(progress.step - 1))
                yield progress
                if progress.step == self.trainer.config.steps:
                    break
                if interrupt.requested:
                    self.interrupted = True
                    break
                for each in now_and_then:
                    each.run_if_due(progress.step)
            self.save()
        if not self.interrupted:
            self._try_preview()
            self.validate()
        if self.log:
            self.log.close()

    def validate(self) -> None:
        """Report and log the losses on the images held out, if there are any, of each average of the weights."""
        if self.held_out is None:
            return
        for name, levels in self.trainer.validate(self.held_out).items():
            if self.report:
                self.report(name, levels)
            if self.log:
                self.log.add_validation(f"loss/{name}", levels, self.trainer.step)

    def _try_save(self) -> None:
        """Write the checkpoint. If that fails, it is said, and training goes on: the next time there may be room."""
        try:
            self.save()
        except WriteError as error:
            warnings.warn(f"after {self.trainer.step} steps, {error}; training goes on, {error.hint}", stacklevel=2)

    def _try_preview(self) -> None:
        """Write the preview. If that fails, it is said, and the training goes on: nobody loses hours to a picture."""
        if self.preview:
            try:
                self.preview(self.network())
            except Exception as error:
                text = str(error) if isinstance(error, DtoolError) else f"{type(error).__name__}: {error}"
                warnings.warn(f"there is no preview: {' '.join(text.split())}", stacklevel=2)

    def summary(self) -> str:
        """One line for a person: what is trained, on what, where."""
        trainer = self.trainer
        millions = sum(p.numel() for p in trainer.network.parameters()) / 1e6
        classes = f", {self.spec.classes} classes" if self.spec.classes else ""
        epochs = trainer.config.steps * trainer.config.batch_size / len(trainer.images)
        return (
            f"{len(trainer.images)} images of {self.spec.shape}{classes}; {millions:.2f} million parameters; "
            f"{trainer.config.steps} steps = {epochs:.1f} epochs on {trainer.accelerator.device}"
        )

    def network(self) -> nn.Module:
        """The averaged network as it is now, in eval mode."""
        network = copy.deepcopy(self.trainer.network)
        network.load_state_dict(self.trainer.ema.average)
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint, and the second average of the weights, if there is one, as a model beside it."""
        trainer = self.trainer
        about: dict[str, Any] = {
            "spec": self.spec, "config": trainer.network.config, "codec": self.autoencoder,
            "text": None if trainer.text is None else trainer.text.reference,
        }  # fmt: skip
        if trainer.second_ema is not None:
            checkpoint.save(name_second(self.output), state_dict=trainer.second_ema.average, **about)
        training = trainer.state() if self.output.suffix == ".pt" else None
        checkpoint.save(self.output, state_dict=trainer.ema.average, training=training, **about)


def name_second(output: Path) -> Path:
    """Where the second average of the weights is written: `model.pt` → `model-ema2.pt`."""
    return output.with_name(f"{output.stem}-ema2{output.suffix}")


def start(
    data: str,
    output: Path,
    config: TrainConfig,
    *,
    network: dict[str, Any] | None = None,
    size: tuple[int, int] | None = None,
    classes: bool | None = None,
    guidance: float = 1.0,
    device: str = "auto",
    resume: bool = False,
    save_every: Period = FIVE_MINUTES,
    preview: Path | None = None,
    preview_every: Period = FIVE_MINUTES,
    masks: str | None = None,
    backgrounds: str | None = None,
    validate_every: Period = FIVE_MINUTES,
    log: Path | None = None,
    codec: Path | None = None,
    captions: str | None = None,
    text_encoder: str | None = None,
) -> Session:
    """Check everything, read the data, build the network: a run that is ready to begin, or to go on.

    `network` overrides fields of `UNetConfig`, whose defaults follow the images' size. `codec`: a folder of an
    autoencoder, on whose latents the network is trained. captions: see `read_captions`; text_encoder: the folder or the
    installed package of a sentence encoder, which reads them. Raises `DtoolError`.
    """
    from dtool.schedulers import get_scheduler

    if guidance != 1 and config.label_dropout == 0:
        raise UsageError(
            f"--guidance {guidance:g} compares with no class, which --label-dropout 0 never shows the network",
            "use a share such as 0.1, or leave --guidance out",
        )
    schedule = get_scheduler(config.schedule)
    where = make_accelerator(device, config.mixed_precision)
    if config.replicas > 1 and where.device.type != "cpu":
        raise UsageError(f"--replicas {config.replicas} are for the CPU", "leave it out, or add --device cpu")
    second = None if config.second_ema is None else name_second(output)
    require_distinct_files([output, second, preview], [data, masks, backgrounds, codec, captions])
    for path in (second, preview):
        if path:
            require_writable(path)
    task = choose_task(config, masks, backgrounds, codec)
    text = open_captions(data, captions, text_encoder, config, output.parent, classes=classes)
    classes = classes if text is None else False
    images, task = load_data(data, task, masks=masks, backgrounds=backgrounds, size=size, classes=classes)
    images = images if text is None else replace(images, captions=text.captions)
    own = None if codec is None else open_training_codec(codec, images.shape, str(where.device))
    vectors = None if text is None else text.encode()
    images, held_out = hold_out(images, config.validation, config.seed)
    if own is not None:
        images = own.encode(images, mirrored=config.flip)
        held_out = None if held_out is None else own.encode(held_out, mirrored=False)
    unet = configure_network(config, images, task, schedule, network or {}, vectors)
    trainer = Trainer(config, unet, images, schedule, where, task, vectors)
    spec = describe_network(config, images, task, schedule, guidance, vectors)
    if resume:
        continue_from(output, trainer)
    decoder = None if own is None else own.codec
    examples = _make_examples(images if held_out is None else held_out, task, vectors, config.seed)
    look = None if preview is None else partial(
        write_preview, preview, spec=spec, seed=config.seed, told=examples, codec=decoder
    )  # fmt: skip
    return Session(
        trainer=trainer, spec=spec, output=output, save_every=save_every, preview_every=preview_every, preview=look,
        held_out=held_out, validate_every=validate_every, log=EventLog(log, trainer.step) if log else None,
        autoencoder=None if own is None else own.autoencoder,
    )  # fmt: skip


def _make_examples(
    images: Images, task: Task | None, vectors: CaptionVectors | None, seed: int
) -> dict[str, Any] | None:
    """What the pictures of a preview are told, besides their classes."""
    if vectors is not None and images.captions is not None:
        return vectors.make_examples(images.captions, EXAMPLES)
    return make_example_conditions(task, images, seed) if task else None
