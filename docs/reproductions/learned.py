"""A network that learned the variance of its steps: between β̃ and β, from the bound (arXiv:2102.09672, section 3.1)."""

from __future__ import annotations

import numpy as np
import torch
from outputs import posterior
from torch import Tensor, nn
from trained import BATCH, MULTIPLIERS, RATE, SCHEDULE, WIDTH

import dtool
from dtool.data.images import Images
from dtool.models.network import Network
from dtool.models.spec import NetworkSpec
from dtool.models.unet import UNetConfig
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import Schedule
from dtool.training.config import TrainConfig
from dtool.training.device import make_accelerator
from dtool.training.loop import Trainer
from dtool.training.loss import Loss


class VarianceLoss(Loss):
    """L_{t-1} as a function of the variance, beside a network for the mean that it does not change.

    The paper's L_hybrid keeps the bound's gradient from the mean as well. Each time is divided by ln β/β̃, in which the
    gradient shrinks where the chain is fine: that moves no time's optimum. What follows t = 0 is not learned.
    """

    def __init__(self, made: Schedule, mean: nn.Module) -> None:
        super().__init__(made, "eps")
        self.mean = mean
        signal = made.alpha**2
        beta = 1 - signal / np.concatenate([[1.0], signal[:-1]])
        tilde = beta * np.concatenate([[0.0], made.sigma[:-1] ** 2]) / made.sigma**2
        tilde[0] = tilde[1]
        self.chain = torch.tensor(np.stack([posterior(made)[0], np.log(tilde), np.log(beta / tilde)])).float()

    def __call__(self, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """The loss, a scalar, from the network's v (B, *): ln σ² = (v+1)/2·ln β + (1-v)/2·ln β̃."""
        alpha, sigma, _ = self._rows(t, x0.dim())
        x = self.add_noise(x0, eps, t)
        with torch.no_grad():
            found = ((x - sigma * self.mean(x, t.float())) / alpha).clamp(-1, 1)
        share, low, width = self.chain[:, t].reshape(3, -1, 1, 1, 1)
        more = (output + 1) / 2 * width  # ln σ²/β̃, of which 1 would swallow what is small
        nats = (more + torch.expm1(-more) + (share * (x0 - found)).square() * (-low - more).exp()) / 2
        return (nats / width).mean(dim=(1, 2, 3))[t > 0].sum() / len(t)


class Both(nn.Module):
    """ε of one network, v of another."""

    def __init__(self, mean: nn.Module, variance: nn.Module) -> None:
        super().__init__()
        self.mean, self.variance = mean, variance

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, 2C, H, W)."""
        return torch.cat([self.mean(x, t), self.variance(x, t)], dim=1)


def train(images: Images, steps: int, seed: int) -> Network:
    """First the mean, then the variance, so many steps each."""
    made = get_scheduler(SCHEDULE)
    plain = Images(images.pixels, None, ())
    mean = _trained(plain, made, steps, seed, None)
    both = Both(mean, _trained(plain, made, steps, seed + 1, VarianceLoss(made, mean))).eval()
    spec = NetworkSpec(shape=images.shape, schedule=SCHEDULE, prediction="eps", learned_variance=True, clip=True)
    return dtool.load(both, spec=spec, device="cpu")


def _trained(images: Images, made: Schedule, steps: int, seed: int, loss: Loss | None) -> nn.Module:
    config = TrainConfig.of(steps=steps, batch_size=BATCH, lr=RATE, ema=0.99, seed=seed, prediction="eps")
    shape = UNetConfig(channels=1, width=WIDTH, multipliers=MULTIPLIERS, classes=0)
    trainer = Trainer(config, shape, images, made, make_accelerator("cpu", "no"))
    trainer.loss = loss or trainer.loss
    for _ in trainer.run():
        pass
    network: nn.Module = trainer.network
    network.load_state_dict(trainer.ema.average)
    return network.eval().requires_grad_(False)
