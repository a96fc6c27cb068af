"""Algorithm 1 of DDPM: draw an image, a time and noise; step down the gradient of the loss; repeat."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor

from dtool.data.images import Images
from dtool.errors import DtoolError
from dtool.networks.unet import UNet, UNetConfig
from dtool.schedulers.schedule import Schedule
from dtool.training.config import TrainConfig
from dtool.training.draw import Stream, draw, seed_of
from dtool.training.ema import EMA
from dtool.training.loss import Loss


@dataclass(frozen=True)
class Progress:
    """After a step: how many are done, the smoothed loss, and the speed since training began or went on here."""

    step: int
    loss: float
    rate: float
    seconds_per_step: float


class Trainer:
    """One run: the network, its average and its optimizer, after `step` steps.

    The state after step k is a function of (config, network config, images, k) alone, on one device: all randomness
    is drawn from (seed, step), and nothing depends on when the run was interrupted or looked at.
    """

    def __init__(
        self, config: TrainConfig, network: UNetConfig, images: Images, schedule: Schedule, accelerator: Accelerator
    ) -> None:
        self.config, self.images, self.accelerator = config, images, accelerator
        self.step = 0
        self.times = len(schedule.alpha)
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(config.seed, Stream.WEIGHTS))
            self.network = UNet(network)
        # channels_last: up to twice as fast, on CPUs and GPUs alike
        self.network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        fused = accelerator.device.type in ("cpu", "cuda")
        optimizer = torch.optim.AdamW(
            self.network.parameters(), config.lr, weight_decay=config.weight_decay, fused=fused
        )
        self._model, self.optimizer = accelerator.prepare(self.network, optimizer)
        self.ema = EMA(self.network, config.ema)
        self.loss = Loss(schedule, config.prediction, config.loss).to(accelerator.device)

    def run(self) -> Iterator[Progress]:
        """Train until `config.steps`; yields after every step, where the caller may look, save, or stop."""
        began, first = time.monotonic(), self.step
        smooth: Tensor | None = None
        while self.step < self.config.steps:
            loss = self._one_step()
            smooth = loss if smooth is None else smooth.lerp(loss, max(0.01, 1 / (self.step - first)))
            seconds = max(time.monotonic() - began, 1e-9) / (self.step - first)
            yield Progress(self.step, self._finite(smooth), self.config.batch_size / seconds, seconds)

    def _one_step(self) -> Tensor:
        config, device = self.config, self.accelerator.device
        picked = draw(config.seed, self.step, config.batch_size, len(self.images), self.images.shape, self.times)
        x0 = torch.from_numpy(self.images.take(picked.index.numpy())).to(device)
        t, eps = picked.t.to(device), picked.noise.to(device)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr_at(self.step)
        output = self._forward(self.loss.noisy(x0, eps, t), t, self._labels(picked.index, picked.uniform))
        loss = self.loss(output, x0, eps, t)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.network.parameters(), config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update(self.network, self.step)
        self.step += 1
        return loss.detach()

    def _forward(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        if not self.network.config.dropout:
            return self._call(x, t, label)
        # Dropout knows only the global generator: lend it one of this step's own.
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(self.config.seed, Stream.DROPOUT, self.step))
            return self._call(x, t, label)

    def _call(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        with self.accelerator.autocast():
            output: Tensor = self._model(x, t.float(), label)
        return output

    def _labels(self, index: Tensor, uniform: Tensor) -> Tensor | None:
        """The labels (B,), some replaced by "no class" (classifier-free guidance, arXiv:2207.12598, algorithm 1)."""
        classes = self.network.config.classes
        if not classes or self.images.labels is None:
            return None
        kept = torch.from_numpy(self.images.labels[index.numpy()])
        dropped = torch.where(uniform < self.config.label_dropout, classes, kept)
        return dropped.to(self.accelerator.device)

    def _finite(self, loss: Tensor) -> float:
        value = float(loss)
        if value != value or value in (float("inf"), float("-inf")):
            raise DtoolError(f"the loss is {value} after step {self.step}: training diverged", "use a lower --lr")
        return value

    def state(self) -> dict[str, Any]:
        """What continuing needs besides the average: plain tensors, numbers and strings."""
        scaler = self.accelerator.scaler
        return {
            "step": self.step,
            "config": self.config.model_dump_json(),
            "data": self.images.fingerprint(),
            "network": {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
        }

    def load(self, state: dict[str, Any], average: dict[str, Tensor]) -> None:
        """Continue from `state()` and the average saved with it."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.ema.load(average)
        self.step = state["step"]
