"""A run with a file: what is saved and when, how it goes on after an interruption."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from dtool.data.images import Images, load
from dtool.data.masks import load_masked
from dtool.errors import DtoolError, UsageError
from dtool.models import checkpoint
from dtool.models.spec import NetworkSpec, describe_schedule
from dtool.models.unet import UNetConfig
from dtool.schedulers.schedule import Schedule
from dtool.training.captions import CaptionVectors, open_captions
from dtool.training.config import TrainConfig, option_error
from dtool.training.device import make_accelerator
from dtool.training.event_log import EventLog
from dtool.training.interrupt import defer_signals
from dtool.training.loop import Progress, Trainer
from dtool.training.period import FIVE_MINUTES, Period, Repeated
from dtool.training.preview import write as write_preview
from dtool.training.resume import continue_from
from dtool.training.tasks import EXAMPLES, Task, choose_task, describe_conditions, make_example_conditions
from dtool.training.validation import LevelLoss, hold_out
from dtool.util.allocator import keep_large_blocks
from dtool.util.files import WriteError, require_distinct_files, require_writable


@dataclass(kw_only=True)
class Session:
    """A trainer, the file it writes, and what is done now and then while it runs.

    `held_out`: images on which the averages of the weights are looked at, now and then and at the end; `report` is told
    the name of the average and its losses by level. `log`: where curves are written.
    `interrupted` tells, after `run`, that someone asked to stop before the last step.
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
        config = trainer.network.config
        text = None if trainer.text is None else trainer.text.reference
        if trainer.second_ema is not None:
            second = name_second(self.output)
            checkpoint.save(second, spec=self.spec, config=config, state_dict=trainer.second_ema.average, text=text)
        training = trainer.state() if self.output.suffix == ".pt" else None
        checkpoint.save(
            self.output, spec=self.spec, config=config, state_dict=trainer.ema.average, training=training, text=text
        )


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
    validate_every: Period = FIVE_MINUTES,
    log: Path | None = None,
    captions: str | None = None,
    text_encoder: str | None = None,
) -> Session:
    """Check everything, read the data, build the network: a run that is ready to begin, or to go on.

    `network` overrides fields of `UNetConfig`, whose defaults follow the images' size. captions: see `read_captions`;
    text_encoder: the folder or the installed package of a sentence encoder, which reads them. Raises `DtoolError`.
    """
    from dtool.schedulers import get_scheduler

    if guidance != 1 and config.label_dropout == 0:
        raise UsageError(
            f"--guidance {guidance:g} compares with no class, which --label-dropout 0 never shows the network",
            "use a share such as 0.1, or leave --guidance out",
        )
    schedule = get_scheduler(config.schedule)
    where = make_accelerator(device, config.mixed_precision)
    second = None if config.second_ema is None else name_second(output)
    require_distinct_files([output, second, preview], [data, masks, captions])
    for path in (second, preview):
        if path:
            require_writable(path)
    task = choose_task(config.task, config.augment, masks)
    text = open_captions(data, captions, text_encoder, config, output.parent, classes=classes)
    if text is not None:
        images = replace(load(data, size=size, classes=False), captions=text.captions)
    elif task and task.needs_masks:
        images = load_masked(data, masks, size=size)
    else:
        images = load(data, size=size, classes=classes)
    vectors = None if text is None else text.encode()
    images, held_out = hold_out(images, config.validation, config.seed)
    unet = _configure_network(images, task, network or {}, vectors)
    trainer = Trainer(config, unet, images, schedule, where, task, vectors)
    spec = _describe_network(config, images, task, schedule, guidance, vectors)
    if resume:
        continue_from(output, trainer)
    shown = images if held_out is None else held_out
    examples = make_example_conditions(task, shown, config.seed) if task else None
    if vectors is not None and shown.captions is not None:
        examples = vectors.make_examples(shown.captions, EXAMPLES)
    look = (lambda unet: write_preview(preview, unet, spec, seed=config.seed, told=examples)) if preview else None
    return Session(
        trainer=trainer, spec=spec, output=output, save_every=save_every, preview_every=preview_every, preview=look,
        held_out=held_out, validate_every=validate_every, log=EventLog(log, trainer.step) if log else None,
    )  # fmt: skip


def _describe_network(
    config: TrainConfig,
    images: Images,
    task: Task | None,
    schedule: Schedule,
    guidance: float,
    text: CaptionVectors | None,
) -> NetworkSpec:
    """What the file will say of the network."""
    conditions = describe_conditions(task, images.shape) if task else ()
    drawn = replace(images, pixels=images.pixels[:, -1:]) if task and task.needs_masks else images
    return NetworkSpec(
        shape=drawn.shape,
        **describe_schedule(schedule),
        prediction=config.prediction,
        conditions=conditions if text is None else (text.condition,),
        classes=len(images.class_names),
        class_names=images.class_names,
        null_class=config.label_dropout > 0,
        guidance=guidance,
        clip=True,
        statistics=drawn.statistics(),
    )


def _configure_network(
    images: Images, task: Task | None, wishes: dict[str, Any], text: CaptionVectors | None
) -> UNetConfig:
    shape = task.choose_shape(images.shape) if task else images.shape
    default = UNetConfig.for_shape(shape, classes=len(images.class_names))
    if task:
        wishes = {**wishes, "pictures": task.list_pictures(images.shape), "numbers": tuple(task.list_numbers())}
    if text is not None:
        wishes = {**wishes, "text": text.input}
    if "multipliers" in wishes and "attention" not in wishes:
        wishes = {**wishes, "attention": (len(wishes["multipliers"]) - 1,)}
    try:
        return UNetConfig.model_validate({**default.model_dump(), **wishes})
    except ValidationError as error:
        raise option_error(error) from error
