"""Algorithm 1 of DDPM: draw an image, a time and noise; step down the gradient of the loss; repeat."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor

from dtool.data.images import Images
from dtool.models.unet import UNet, UNetConfig
from dtool.models.unet_blocks import UNetLevel
from dtool.schedulers.schedule import Schedule
from dtool.training.batch import Batch, make_batch
from dtool.training.captions import CaptionVectors
from dtool.training.config import TrainConfig
from dtool.training.ema import EMA
from dtool.training.loss import Loss
from dtool.training.progress import StepLoop
from dtool.training.random_numbers import Stream, derive_seed
from dtool.training.replicas import Replicas
from dtool.training.tasks import Segment, Task
from dtool.training.times import TimeDistribution
from dtool.training.validation import LevelLoss, measure


class Trainer(StepLoop):
    """One run: the network, its average and its optimizer, after `step` steps.

    The state after step k is a function of (config, network config, images, k) alone, on one device: all randomness
    is drawn from (seed, step), and nothing depends on when the run was interrupted or looked at. Of several processes
    each computes its part of every batch, and all have the same state: that of one process, but for rounding.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: UNetConfig,
        images: Images,
        schedule: Schedule,
        accelerator: Accelerator,
        task: Task | None = None,
        text: CaptionVectors | None = None,
    ) -> None:
        self.text = text
        self.config, self.images, self.accelerator, self.task = config, images, accelerator, task
        self.schedule, self.step = schedule, 0
        self.times = TimeDistribution(len(schedule.alpha), config.times, config.time_mean, config.time_std)
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(config.seed, Stream.WEIGHTS))
            self.network = UNet(network)
        if self.network.upscaling is not None:
            self.network.upscaling.set_schedule(schedule)
        for level in self.network.modules():
            if isinstance(level, UNetLevel):
                level.recompute = config.gradient_checkpointing
        # channels_last: up to twice as fast, on CPUs and GPUs alike
        self.network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        fused = accelerator.device.type in ("cpu", "cuda")
        optimizer = torch.optim.AdamW(
            self.network.parameters(), config.lr, weight_decay=config.weight_decay, fused=fused
        )
        self._model, self.optimizer = accelerator.prepare(self.network, optimizer)
        self._replicas = Replicas(config.replicas, list(self.network.parameters())) if config.replicas > 1 else None
        self.ema = EMA(self.network, config.ema)
        self.second_ema = None if config.second_ema is None else EMA(self.network, config.second_ema)
        self.loss = Loss(schedule, config.prediction, config.loss, config.loss_gamma).to(accelerator.device)

    def _run_step(self) -> Tensor:
        config = self.config
        batch = make_batch(config, self.images, self.task, self.step, self.times, self.text)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr_at(self.step)
        each = config.accumulate * config.replicas
        first = each * self.accelerator.process_index
        parts = list(batch.split(each * self.accelerator.num_processes))[first : first + each]
        losses = self._add_gradients([part.to(self.accelerator.device) for part in parts], len(batch), first)
        self.accelerator.clip_grad_norm_(self.network.parameters(), config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        for ema in self.averages:
            ema.update(self.network, self.step)
        self.step += 1
        loss: Tensor = self.accelerator.reduce(torch.stack(losses).sum(), reduction="sum")
        return loss

    def _add_gradients(self, parts: list[Batch], whole: int, first: int = 0) -> list[Tensor]:
        """The losses of the parts of a batch of `whole` images, in their shares of it; their gradients are added.

        first: the number of the first of these parts. The gradients of other processes are added with the last one's.
        """

        def compute(part: Batch, number: int) -> Tensor:
            output = self._forward(self.loss.add_noise(part.x0, part.eps, part.t), part, number)
            return self.loss(output, part.x0, part.eps, part.t) * (len(part) / whole)

        if self._replicas is not None:
            return self._replicas.add_gradients(compute, parts)
        losses = []
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(self._model):
                loss = compute(part, first + number)
                self.accelerator.backward(loss * self.accelerator.num_processes)  # their mean is taken, not their sum
            losses.append(loss.detach())
        return losses

    def _forward(self, x: Tensor, part: Batch, index: int) -> Tensor:
        if not self.network.config.dropout:
            return self._call(x, part)
        # Dropout knows only the global generator: lend it one of this step's own.
        with torch.random.fork_rng():
            parts = self.config.accumulate * self.config.replicas * self.accelerator.num_processes
            position = self.step * parts + index
            torch.manual_seed(derive_seed(self.config.seed, Stream.DROPOUT, position))
            return self._call(x, part)

    def _call(self, x: Tensor, part: Batch) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        with self.accelerator.autocast():
            output: Tensor = self._model(x, part.t.float(), part.label, **part.told)
        return output

    @property
    def is_main(self) -> bool:
        """Whether this process writes and speaks for all."""
        return bool(self.accelerator.is_main_process)

    def is_said(self, here: bool) -> bool:
        """Whether something is so in any of the processes, all of which ask; they must do alike."""
        if self.accelerator.num_processes == 1:
            return here
        said = torch.tensor(float(here), device=self.accelerator.device)
        return bool(self.accelerator.reduce(said, reduction="sum") > 0)

    @property
    def averages(self) -> list[EMA]:
        """The averages of the weights: that which the model has, and the second if there is one."""
        return [self.ema] if self.second_ema is None else [self.ema, self.second_ema]

    def validate(self, images: Images) -> dict[str, list[LevelLoss]]:
        """The losses by level on images that are held out, of each average of the weights, by its name."""
        plain = Loss(self.schedule, self.config.prediction).to(self.accelerator.device)
        network, results = copy.deepcopy(self.network).eval(), {}
        for name, ema in zip(("validation", "validation of the second average"), self.averages, strict=False):
            network.load_state_dict(ema.average)

            def call(x: Tensor, batch: Batch) -> Tensor:
                output: Tensor = network(x, batch.t.float(), batch.label, **batch.told)
                return output

            results[name] = measure(
                call, images, plain, self.task, times=self.times.count, seed=self.config.seed, text=self.text
            )
        return results

    def compute_fingerprint(self) -> int:
        """A checksum of the images, and of what they are laid on."""
        own = self.images.fingerprint()
        textures = self.task.textures if isinstance(self.task, Segment) else None
        return own if textures is None else own ^ textures.compute_checksum()

    def state(self) -> dict[str, Any]:
        """What continuing needs besides the average: plain tensors, numbers and strings."""
        scaler = self.accelerator.scaler
        return {
            "step": self.step,
            "config": self.config.model_dump_json(),
            "data": self.compute_fingerprint(),
            "network": {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
            "second_average": {} if self.second_ema is None else self.second_ema.average,
        }

    def load(self, state: dict[str, Any], average: dict[str, Tensor]) -> None:
        """Continue from `state()` and the average saved with it."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.ema.load(average)
        if self.second_ema is not None:
            self.second_ema.load(state["second_average"])
        self.step = state["step"]
