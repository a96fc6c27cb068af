"""Networks that are trained on the spot, alike but for what they say: eps, x0, v, or the previous image's mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from common import Digits, Values
from numpy.typing import NDArray
from outputs import OUTPUTS, posterior
from torch import Tensor, nn

import dtool
from dtool.data.images import Images, load
from dtool.models.network import Network
from dtool.models.spec import NetworkSpec
from dtool.models.unet import UNetConfig
from dtool.plan.prediction import output_map
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.training.config import TrainConfig
from dtool.training.device import make_accelerator
from dtool.training.loop import Trainer
from dtool.training.loss import Loss

SCHEDULE, SIDE, HELD = "linear", 14, 2000
BATCH, RATE, WIDTH, MULTIPLIERS = 32, 2e-3, 16, (1, 2)


def split(source: str, seed: int) -> tuple[Images, Digits]:
    """A data set of 28x28, pooled to 14x14: what is trained on, and HELD other images, at random."""
    data = load(source, classes=True)
    assert data.labels is not None, "load(classes=True) has seen to it that there are labels"
    n, channels, side, _ = data.pixels.shape
    cells = data.take().reshape(n, channels, SIDE, side // SIDE, SIDE, side // SIDE).mean(axis=(3, 5))
    order = np.random.default_rng(seed).permutation(n)
    kept, held = order[HELD:], order[:HELD]
    return Images(cells[kept], data.labels[kept], data.class_names), Digits(cells[held], data.labels[held])


class MeanLoss(Loss):
    """Mean squared error of the mean of x_{t-1}, all times alike."""

    def __init__(self, made: Schedule) -> None:
        super().__init__(made, "eps")
        self.weights = torch.tensor(np.stack(posterior(made))).float()

    def __call__(self, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """The loss, a scalar, from the network's output (B, *)."""
        share, kept = self.weights[:, t].reshape(2, -1, 1, 1, 1)
        return (output - share * x0 - kept * self.add_noise(x0, eps, t)).square().mean()


class AsImage(nn.Module):
    """A network that says the mean, F = a·x0 + b·x, as one that says x0 = (F - b·x)/a."""

    def __init__(self, network: nn.Module, made: Schedule) -> None:
        super().__init__()
        self.network = network
        self.weights = torch.tensor(np.stack(posterior(made)))

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """x0 (B, C, H, W) at whole times t (B,)."""
        share, kept = self.weights[:, t.round().long()].reshape(2, -1, 1, 1, 1)
        mean = self.network(x, t, label).double()
        return ((mean - kept * x.double()) / share).to(x.dtype)


@dataclass(frozen=True)
class Trained:
    """A network, its spec, and the loss of its last steps."""

    module: nn.Module
    spec: NetworkSpec
    loss: float

    @property
    def network(self) -> Network:
        """To sample from."""
        return dtool.load(self.module, spec=self.spec, device="cpu")


def train(output: str, images: Images, steps: int, seed: int) -> Trained:
    """A small U-Net after so many steps; weights, order of the images, times and noise follow from the seed alone."""
    said = "eps" if output == "mean" else output
    config = TrainConfig.of(
        steps=steps, batch_size=BATCH, lr=RATE, ema=0.99, label_dropout=0.0, seed=seed, prediction=said
    )
    shape = UNetConfig(channels=1, width=WIDTH, multipliers=MULTIPLIERS, classes=len(images.class_names))
    made = get_scheduler(SCHEDULE)
    trainer = Trainer(config, shape, images, made, make_accelerator("cpu", "no"))
    if output == "mean":
        trainer.loss = MeanLoss(made)
    loss = 0.0
    for progress in trainer.run():
        loss = progress.loss
    module: nn.Module = trainer.network
    module.load_state_dict(trainer.ema.average)
    module = AsImage(module, made) if output == "mean" else module
    spec = NetworkSpec(
        shape=images.shape, schedule=SCHEDULE, prediction="x0" if output == "mean" else config.prediction,
        classes=len(images.class_names), class_names=images.class_names, clip=True,
    )  # fmt: skip
    return Trained(module.eval(), spec, loss)


def train_all(images: Images, steps: int, seed: int) -> dict[str, Trained]:
    """The four of them."""
    return {output: train(output, images, steps, seed) for output in OUTPUTS}


@torch.no_grad()
def errors(trained: dict[str, Trained], held: Digits, times: tuple[int, ...], seed: int) -> Values:
    """The root mean square error of each image's predicted x0 before clipping, by output and time; the same noise."""
    made, found = get_scheduler(SCHEDULE), _empty(trained)
    x0, label = held.images.astype(np.float64), torch.from_numpy(held.labels)
    for t in times:
        z = np.random.default_rng([seed, t]).standard_normal(x0.shape)
        alpha, sigma = made.alpha[t], made.sigma[t]
        x = alpha * x0 + sigma * z
        for name, one in trained.items():
            said = one.module(torch.from_numpy(x).float(), torch.full((len(x),), float(t)), label).double().numpy()
            skip, out = output_map(one.spec.prediction, *(np.array([value]) for value in (alpha, sigma, 1.0)))
            found[name][t] = _rms(skip * x + out * said - x0)
    return found


def _empty(trained: dict[str, Trained]) -> Values:
    return {name: {} for name in trained}


def _rms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.square(values).reshape(len(values), -1).mean(axis=1))
