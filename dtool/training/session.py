"""A run with a file: what is saved and when, how it goes on after an interruption."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import nn

from dtool.data.images import Images
from dtool.errors import UsageError
from dtool.models import checkpoint
from dtool.models.autoencoder import Autoencoder
from dtool.models.spec import NetworkSpec
from dtool.schedulers.schedule import Schedule
from dtool.training.config import TrainConfig
from dtool.training.device import make_accelerator, require_shares
from dtool.training.event_log import EventLog
from dtool.training.interrupt import defer_signals
from dtool.training.loop import Trainer
from dtool.training.period import FIVE_MINUTES, Period, Repeated
from dtool.training.preparation import configure_network, describe_network
from dtool.training.preview import write as write_preview
from dtool.training.progress import Progress
from dtool.training.resume import continue_from
from dtool.training.saving import try_preview, try_save
from dtool.training.sources import Sources, list_files, read_training_data
from dtool.training.validation import LevelLoss
from dtool.util.allocator import keep_large_blocks
from dtool.util.files import require_distinct_files, require_writable

GRACE = 2.0  # seconds in which what started several processes passes on a Ctrl-C that they have had, too


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
        several = self.trainer.accelerator.num_processes > 1
        with defer_signals(grace=GRACE if several else 0.0) as interrupt, keep_large_blocks():
            for progress in self.trainer.run():
                if self.log:
                    self.log.add_progress(progress, self.trainer.config.lr_at(progress.step - 1))
                yield progress
                if progress.step == self.trainer.config.steps:
                    break
                if self.trainer.is_said(interrupt.requested):
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
        if self.held_out is None or not self.trainer.is_main:
            return
        for name, levels in self.trainer.validate(self.held_out).items():
            if self.report:
                self.report(name, levels)
            if self.log:
                self.log.add_validation(f"loss/{name}", levels, self.trainer.step)

    def _try_save(self) -> None:
        try_save(self.save, self.trainer.step)

    def _try_preview(self) -> None:
        if self.preview and self.trainer.is_main:
            try_preview(partial(self.preview, self.network()))

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
        """Write the checkpoint, and the second average of the weights, if there is one, as a model beside it.

        Of several processes the first one does.
        """
        trainer = self.trainer
        if not trainer.is_main:
            return
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
    guidance: float = 1.0,
    device: str = "auto",
    resume: bool = False,
    save_every: Period = FIVE_MINUTES,
    preview: Path | None = None,
    preview_every: Period = FIVE_MINUTES,
    validate_every: Period = FIVE_MINUTES,
    log: Path | None = None,
    **sources: Unpack[Sources],
) -> Session:
    """Check everything, read the data, build the network: a run that is ready to begin, or to go on.

    `network` overrides fields of `UNetConfig`, whose defaults follow the images' size. sources: what `data` is beside
    pictures, and what is read with it. Raises `DtoolError`.
    """
    where, schedule = _check_settings(config, device, guidance)
    _check_files(output, config, preview, [data, *list_files(sources)])
    own = read_training_data(data, config, str(where.device), output.parent, sources)
    about = (config, own.images, own.task, schedule)
    trainer = Trainer(
        config, configure_network(*about, network or {}, own.vectors), own.images, schedule, where, own.task,
        own.vectors,
    )  # fmt: skip
    spec = describe_network(*about, guidance, own.vectors)
    if resume:
        continue_from(output, trainer)
    look = None if preview is None else partial(
        write_preview, preview, spec=spec, seed=config.seed, told=own.make_examples(config.seed), codec=own.decoder
    )  # fmt: skip
    return Session(
        trainer=trainer, spec=spec, output=output, save_every=save_every, preview_every=preview_every, preview=look,
        held_out=own.held_out, validate_every=validate_every, autoencoder=own.autoencoder,
        log=EventLog(log, trainer.step) if log and trainer.is_main else None,
    )  # fmt: skip


def _check_settings(config: TrainConfig, device: str, guidance: float) -> tuple[Accelerator, Schedule]:
    """Where the run computes, and its schedule; raises DtoolError for settings that do not go together there."""
    from dtool.schedulers import get_scheduler

    if guidance != 1 and config.label_dropout == 0:
        raise UsageError(
            f"--guidance {guidance:g} compares with no class, which --label-dropout 0 never shows the network",
            "use a share such as 0.1, or leave --guidance out",
        )
    schedule = get_scheduler(config.schedule)
    where = make_accelerator(device, config.mixed_precision, several=True)
    if config.replicas > 1 and where.device.type != "cpu":
        raise UsageError(f"--replicas {config.replicas} are for the CPU", "leave it out, or add --device cpu")
    require_shares(config, where.num_processes)
    return where, schedule


def _check_files(output: Path, config: TrainConfig, preview: Path | None, inputs: list[Any]) -> None:
    """Raise DtoolError for a file that would replace another one of the run's, or cannot be written."""
    second = None if config.second_ema is None else name_second(output)
    require_distinct_files([output, second, preview], inputs)
    for path in (second, preview):
        if path:
            require_writable(path)
