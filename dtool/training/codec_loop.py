"""Training an autoencoder with a Gaussian posterior: encode, draw a latent, decode, compare; and repeat."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor, nn

from dtool.data.images import Images
from dtool.models.autoencoder import require_diffusers
from dtool.training.batch import flip_half
from dtool.training.codec_config import GROUP, CodecConfig
from dtool.training.codec_loss import compute_kl, compute_psnr, compute_reconstruction_loss
from dtool.training.ema import EMA
from dtool.training.progress import StepLoop
from dtool.training.random_numbers import Stream, derive_seed, draw_indices, make_generator

AT_ONCE = 32  # pictures that are looked at


class CodecTrainer(StepLoop):
    """One run: diffusers' AutoencoderKL, its average and its optimizer, after `step` steps.

    The loss is that of `compute_reconstruction_loss` of a sample of the posterior, and `kl` times its divergence
    (arXiv:2112.10752, section 3.1, without the perceptual and the adversarial term, which need networks of their own).
    The state after step k is a function of (config, images, k) alone, on one device.
    """

    def __init__(self, config: CodecConfig, images: Images, accelerator: Accelerator) -> None:
        self.config, self.images, self.accelerator, self.step = config, images, accelerator, 0
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(config.seed, Stream.WEIGHTS))
            self.network = make_autoencoder(config, images.shape)
        self.network.to(accelerator.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.lr, betas=(0.9, 0.99), weight_decay=0.0,
            fused=accelerator.device.type in ("cpu", "cuda"),
        )  # fmt: skip
        self.ema = EMA(self.network, config.ema)

    def _run_step(self) -> Tensor:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr_at(self.step)
        loss = self.compute_loss(self.step)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        self.optimizer.step()
        self.ema.update(self.network, self.step)
        self.step += 1
        return loss.detach()

    def compute_loss(self, step: int) -> Tensor:
        """The loss of the batch of a step, with its graph."""
        config = self.config
        index = draw_indices(config.seed, step, config.batch_size, len(self.images))
        pixels = torch.from_numpy(self.images.take(index.numpy()))
        if config.flip:
            pixels = flip_half(pixels, make_generator(config.seed, Stream.FLIP, step))
        truth = self._place(pixels)
        posterior = self.network.encode(truth).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=make_generator(config.seed, Stream.POSTERIOR, step))
        pictures: Tensor = self.network.decode(posterior.mean + posterior.std * noise.to(truth.device)).sample
        divergence = compute_kl(posterior.mean, posterior.logvar)
        loss: Tensor = compute_reconstruction_loss(pictures, truth, config.edges) + config.kl * divergence
        return loss

    def _place(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.accelerator.device).contiguous(memory_format=torch.channels_last)

    def get_average(self) -> Any:
        """The autoencoder with the averaged weights, in eval mode."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.ema.average)
        return network.to(memory_format=torch.contiguous_format).eval().requires_grad_(False)

    def measure_psnr(self, images: Images) -> float:
        """The mean PSNR of pictures, encoded to the posterior's mean and decoded, with the averaged weights."""
        network, parts = self.get_average(), []
        with torch.no_grad():
            for start in range(0, len(images), AT_ONCE):
                truth = self._place(torch.from_numpy(images.take(slice(start, start + AT_ONCE))))
                parts.append(compute_psnr(reconstruct(network, truth), truth))
        return float(torch.cat(parts).mean())

    def state(self) -> dict[str, Any]:
        """What continuing needs: plain tensors, numbers and strings."""
        return {
            "step": self.step,
            "config": self.config.model_dump_json(),
            "data": self.images.fingerprint(),
            "network": {name: value.cpu().contiguous() for name, value in self.network.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "average": {name: value.cpu().contiguous() for name, value in self.ema.average.items()},
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema.load(state["average"])
        self.step = state["step"]


def make_autoencoder(config: CodecConfig, shape: tuple[int, ...]) -> Any:
    """A small AutoencoderKL for pictures (C, H, W): one ResNet block a level down, two up, no attention.

    Its weights come from PyTorch's global generator. Raises DtoolError if diffusers is not installed.
    """
    require_diffusers("train a codec")
    diffusers: Any = importlib.import_module("diffusers")
    levels = len(config.widths)
    return diffusers.AutoencoderKL(
        in_channels=shape[0], out_channels=shape[0], block_out_channels=config.widths, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=config.latent_channels, norm_num_groups=config.width // GROUP, sample_size=max(shape[1:]),
        mid_block_add_attention=False, scaling_factor=1.0, force_upcast=False,
    )  # fmt: skip


def reconstruct(network: Any, pictures: Tensor) -> Tensor:
    """Pictures (B, C, H, W) as the autoencoder gives them back from the posterior's mean, not cut off."""
    decoded: Tensor = network.decode(network.encode(pictures).latent_dist.mean).sample
    return decoded
