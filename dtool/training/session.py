"""A run with a file: what is saved and when, how it goes on after an interruption."""

from __future__ import annotations

import copy
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from dtool.data.images import Images, load
from dtool.errors import DtoolError, UsageError
from dtool.files import WriteError, require_apart, require_writable
from dtool.networks import checkpoint
from dtool.networks.spec import NetworkSpec, described_schedule
from dtool.networks.unet import UNetConfig
from dtool.training.config import TrainConfig, option_error
from dtool.training.device import accelerator
from dtool.training.interrupt import deferred
from dtool.training.loop import Progress, Trainer
from dtool.training.preview import write as write_preview


@dataclass(frozen=True)
class Every:
    """`500` steps, or `300s`, `5m` of time."""

    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Every:
        """Raises `UsageError` for anything but a positive number with s, m, h or nothing behind it."""
        match = re.fullmatch(r"(\d{1,18})([smh]?)", text.strip())
        if not match or not int(match[1]):
            raise UsageError(f"{text!r} is not an interval", "give a number of steps, or a time such as 90s or 5m")
        number, unit = int(match[1]), match[2]
        return cls(seconds=number * {"s": 1, "m": 60, "h": 3600}[unit]) if unit else cls(steps=number)

    def due(self, step: int, seconds: float) -> bool:
        """Whether it is time, at `step`, `seconds` after the last one."""
        return step % self.steps == 0 if self.steps else seconds >= self.seconds


FIVE_MINUTES = Every(seconds=300)


@dataclass
class Session:
    """A trainer, the file it writes, and what is done now and then while it runs.

    `interrupted` tells, after `run`, that someone asked to stop before the last step.
    """

    trainer: Trainer
    spec: NetworkSpec
    output: Path
    save_every: Every = FIVE_MINUTES
    preview_every: Every = FIVE_MINUTES
    preview: Callable[[nn.Module], None] | None = None
    interrupted: bool = False

    def run(self) -> Iterator[Progress]:
        """Train to the end; yields after every step. The file is whole at all times, and up to date after the last."""
        saved = looked = time.monotonic()
        with deferred() as interrupt:
            for progress in self.trainer.run():
                yield progress
                if progress.step == self.trainer.config.steps:
                    break
                if interrupt.requested:
                    self.interrupted = True
                    break
                if self.save_every.due(progress.step, time.monotonic() - saved):
                    self._save_on_the_way()
                    saved = time.monotonic()
                if self.preview and self.preview_every.due(progress.step, time.monotonic() - looked):
                    self._look()
                    looked = time.monotonic()
            self.save()
        if not self.interrupted:
            self._look()

    def _save_on_the_way(self) -> None:
        """Write the checkpoint. If that fails, it is said, and training goes on: the next time there may be room."""
        try:
            self.save()
        except WriteError as error:
            warnings.warn(f"after {self.trainer.step} steps, {error}; training goes on, {error.hint}", stacklevel=2)

    def _look(self) -> None:
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
        """Write the checkpoint."""
        trainer = self.trainer
        config, average = trainer.network.config, trainer.ema.average
        training = trainer.state() if self.output.suffix == ".pt" else None
        checkpoint.save(self.output, spec=self.spec, config=config, state_dict=average, training=training)


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
    save_every: Every = FIVE_MINUTES,
    preview: Path | None = None,
    preview_every: Every = FIVE_MINUTES,
) -> Session:
    """Check everything, read the data, build the network: a run that is ready to begin, or to go on.

    `network` overrides fields of `UNetConfig`, whose defaults follow the images' size. Raises `DtoolError`.
    """
    from dtool.schedulers import schedule

    if guidance != 1 and config.label_dropout == 0:
        raise UsageError(
            f"--guidance {guidance:g} compares with no class, which --label-dropout 0 never shows the network",
            "use a share such as 0.1, or leave --guidance out",
        )
    made = schedule(config.schedule)
    where = accelerator(device, config.mixed_precision)
    require_apart([output, preview], [data])
    if preview:
        require_writable(preview)
    images = load(data, size=size, classes=classes)
    trainer = Trainer(config, _network(images, network or {}), images, made, where)
    spec = NetworkSpec(
        shape=images.shape,
        **described_schedule(made),
        prediction=config.prediction,
        classes=len(images.class_names),
        class_names=images.class_names,
        null_class=config.label_dropout > 0,
        guidance=guidance,
        clip=True,
        statistics=images.statistics(),
    )
    if resume:
        continue_from(output, trainer)
    look = (lambda unet: write_preview(preview, unet, spec, seed=config.seed)) if preview else None
    return Session(trainer, spec, output, save_every, preview_every, look)


def _network(images: Images, wishes: dict[str, Any]) -> UNetConfig:
    default = UNetConfig.for_shape(images.shape, classes=len(images.class_names))
    if "multipliers" in wishes and "attention" not in wishes:
        wishes = {**wishes, "attention": (len(wishes["multipliers"]) - 1,)}
    try:
        return UNetConfig.model_validate({**default.model_dump(), **wishes})
    except ValidationError as error:
        raise option_error(error) from error


def continue_from(path: Path, trainer: Trainer) -> None:
    """Continue the run whose checkpoint `path` is; raises `DtoolError` if this is not the same run."""
    found = checkpoint.read(path)
    if found.training is None:
        raise DtoolError(f"{path}: holds no state of training", "only a .pt that `dtool train` wrote can be continued")
    try:
        _continue(path, trainer, found, found.training)
    except DtoolError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DtoolError(
            f"{path}: its state of training cannot be used ({type(error).__name__})",
            "begin a new run, with --force or another -o",
        ) from error


def _continue(path: Path, trainer: Trainer, found: checkpoint.Checkpoint, state: dict[str, Any]) -> None:
    _require_same(TrainConfig.model_validate_json(state["config"]).model_dump(), trainer.config.model_dump(), path)
    network = trainer.network.config.model_dump(mode="json")
    _require_same(found.config, network, path)
    if found.spec.class_names != trainer.images.class_names:
        raise UsageError(f"{path}: was trained on other classes than these", "give the DATA that it was begun with")
    if state["data"] != trainer.images.fingerprint():
        raise UsageError(f"{path}: was trained on other images than these", "give the DATA that it was begun with")
    if state["step"] >= trainer.config.steps:
        raise UsageError(f"{path}: has all its {state['step']} steps", "ask for more with --steps")
    trainer.load(state, found.state_dict)


def _require_same(before: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    for name in before:
        if name != "steps" and before[name] != now[name]:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{path}: was trained with {option} {before[name]}, not {now[name]}",
                "resume with the options that it was begun with (only --steps may change)",
            )
