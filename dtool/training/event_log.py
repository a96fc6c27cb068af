"""A log that TensorBoard opens: the loss, the learning rate and the speed, and the loss of held-out images by level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dtool.errors import DtoolError
from dtool.training.progress import Progress
from dtool.training.validation import LevelLoss

EVERY = 10  # steps between points of a curve


class EventLog:
    """Writes events into a folder, from `step` on: of a run that goes on, later points of an earlier log are hidden.

    Raises DtoolError if tensorboard is not installed, or the folder cannot be written.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise DtoolError(
                "--log needs tensorboard, which is not installed", "pip install 'dtool-diffusion[tensorboard]'"
            ) from error
        try:
            self._writer = SummaryWriter(str(folder), purge_step=step)
        except OSError as error:
            raise DtoolError(f"--log {folder}: can't be written ({error.strerror})", "give another folder") from error

    def add_progress(self, progress: Progress, lr: float) -> None:
        """The curves' points of a step, of every tenth."""
        if progress.step % EVERY == 0:
            self._add({"loss/train": progress.loss, "lr": lr, "images per second": progress.rate}, progress.step)

    def add_validation(self, name: str, levels: Sequence[LevelLoss], step: int) -> None:
        """The losses of held-out images for one average of the weights, each level's and their mean."""
        values = {f"{name}/t={one.first}-{one.last}": one.loss for one in levels}
        self._add({**values, name: sum(one.loss for one in levels) / len(levels)}, step)
        self._writer.flush()

    def _add(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
