"""The flags of `dtool train` that say how the network is trained, and what it is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dtool.cli.flags.groups import FlagGroup
from dtool.errors import DtoolError, UsageError
from dtool.samplers.rule import BasicPrediction

if TYPE_CHECKING:
    from dtool.training.codec_config import CodecConfig
    from dtool.training.config import TrainConfig

_run = partial(typer.Option, rich_help_panel="The run")
_unet = partial(typer.Option, rich_help_panel="The network")
_codec = partial(typer.Option, rich_help_panel="The autoencoder")


@dataclass(frozen=True, kw_only=True)
class TrainingFlags:
    """The settings of a run, the size of its images and the device."""

    steps: Annotated[int, _run(min=1, help="training steps")] = 5000
    batch_size: Annotated[int, _run(min=1, help="images per step")] = 64
    size: Annotated[str | None, _run(help="crop and resize a folder's images: 32, or HEIGHTxWIDTH")] = None
    scheduler: Annotated[str, _run("--scheduler", "--schedule", help="noise schedule, e.g. cosine:T=500")] = "linear"
    prediction: Annotated[BasicPrediction, _run(help="what the network says")] = "eps"
    loss: Annotated[
        Literal["simple", "vlb", "min-snr", "p2"],
        _run(help="noise levels alike, as the bound weighs them, or by their signal-to-noise ratio"),
    ] = "simple"
    loss_gamma: Annotated[float | None, _run(help="γ of min-snr [default: 5] or p2 [default: 1]")] = None
    times: Annotated[Literal["uniform", "logit-normal"], _run(help="how often each time is drawn")] = "uniform"
    time_mean: Annotated[float, _run(help="of logit-normal times: above 0 there is more noise")] = 0.0
    time_std: Annotated[float, _run(help="of logit-normal times: how widely they are spread")] = 1.0
    label_dropout: Annotated[float, _run(min=0, help="share of labels hidden, below 1, for guidance")] = 0.1
    caption_dropout: Annotated[float, _run(help="share of captions hidden, above 0 and below 1, for guidance")] = 0.1
    caption_noise: Annotated[
        float, _run(min=0, help="most noise on captions' vectors, of their own length: for prompts not trained on")
    ] = 0.0
    text_condition: Annotated[
        Literal["pooled", "tokens"], _run(help="what --captions tell: one vector each, or their tokens")
    ] = "pooled"
    lr: Annotated[float, _run(help="peak learning rate")] = 1e-3
    warmup: Annotated[int, _run(min=0, help="steps over which it rises, a tenth of all at most")] = 200
    decay: Annotated[Literal["cosine", "constant"], _run(help="how it goes on then")] = "cosine"
    ema: Annotated[float, _run(help="decay of the weights' moving average")] = 0.999
    second_ema: Annotated[float | None, _run(help="decay of another average, written beside --output as NAME-ema2")] = (
        None
    )
    flip: Annotated[bool, _run("--flip", help="mirror half of the images left to right")] = False
    validation: Annotated[float, _run(min=0, help="share of the images held out, to measure the loss on")] = 0.0
    task: Annotated[
        str | None,
        _run(metavar="upscale:N|fill|colour|segment", help="train with a picture as the condition", show_default=False),
    ] = None
    augment: Annotated[
        float | None,
        _run(
            help="of upscale: the largest level of noise on the small picture [default: 0.3]; of segment: the share of "
            "cut-outs that are moved and scaled, and of colours that are changed [default: 0.5]"
        ),
    ] = None
    consistent: Annotated[
        bool | None, _run(help="of upscale: pictures that are the small one when made small again [default: yes]")
    ] = None
    seed: Annotated[int, _run(min=0, help="all that is random follows from it")] = 0
    device: Annotated[Literal["auto", "cpu", "cuda"], _run(help="where to train")] = "auto"
    mixed_precision: Annotated[Literal["no", "fp16", "bf16"], _run(help="arithmetic of the network")] = "no"
    accumulate: Annotated[int, _run(min=1, help="parts that a step's images are computed in: less memory")] = 1
    replicas: Annotated[
        int, _run(min=1, help="on a CPU: parts of a step's images computed at once, each on its share of the cores")
    ] = 1
    gradient_checkpointing: Annotated[
        bool,
        _run("--gradient-checkpointing", help="compute the network's inside twice: much less memory, a third slower"),
    ] = False

    def to_config(self) -> TrainConfig:
        """Raises UsageError that names the option which is refused."""
        from dtool.training.config import TrainConfig

        settings = asdict(self)
        return TrainConfig.of(
            schedule=settings.pop("scheduler"),
            **{name: value for name, value in settings.items() if name not in ("size", "device")},
        )

    def parse_size(self) -> tuple[int, int] | None:
        """Height and width; None if they are as they are."""
        return parse_size(self.size)


@dataclass(frozen=True, kw_only=True)
class UNetFlags:
    """The U-Net; None where its default depends on the images."""

    classes: Annotated[bool | None, _unet(help="condition on the class [default: if there are labels]")] = None
    width: Annotated[int | None, _unet(help="channels at full size, a multiple of 8 [default: by image size]")] = None
    multipliers: Annotated[str | None, _unet(help="channels of each level, in widths: 1,2,2")] = None
    blocks: Annotated[int, _unet(min=1, help="ResNet blocks a level")] = 1
    attention: Annotated[str | None, _unet(help="levels with attention: 1,2, or none [default: the last]")] = None
    patch: Annotated[
        int | None, _unet(min=1, help="so many pixels, squared, are one place: faster, and coarser [default: 1]")
    ] = None
    dropout: Annotated[float, _unet(help="dropout inside the network")] = 0.0

    def to_settings(self) -> dict[str, Any]:
        """The settings of the U-Net that were asked for, as `dtool.training.session.start` takes them."""
        wishes: dict[str, object] = {
            "width": self.width,
            "blocks": self.blocks,
            "patch": self.patch,
            "dropout": self.dropout,
            "multipliers": _parse_numbers("--multipliers", self.multipliers),
            "attention": _parse_numbers("--attention", self.attention),
        }
        return {name: value for name, value in wishes.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class CodecFlags:
    """The settings of an autoencoder's training, the size of its pictures and the device."""

    steps: Annotated[int, _run(min=1, help="training steps")] = 3000
    batch_size: Annotated[int, _run(min=1, help="images per step")] = 16
    size: Annotated[str | None, _run(help="crop and resize a folder's images: 64, or HEIGHTxWIDTH")] = None
    lr: Annotated[float, _run(help="peak learning rate")] = 4e-3
    warmup: Annotated[int, _run(min=0, help="steps over which it rises, a tenth of all at most")] = 100
    decay: Annotated[Literal["cosine", "constant"], _run(help="how it goes on then")] = "cosine"
    ema: Annotated[float, _run(help="decay of the weights' moving average")] = 0.995
    edges: Annotated[float, _run(help="weight of the errors of the differences between neighbouring pixels")] = 0.1
    kl: Annotated[float, _run(help="weight of the latents' divergence from the normal distribution")] = 1e-6
    flip: Annotated[bool, _run("--flip", help="mirror half of the images left to right")] = False
    validation: Annotated[float, _run(min=0, help="share of the images held out, to measure the PSNR on")] = 0.1
    seed: Annotated[int, _run(min=0, help="all that is random follows from it")] = 0
    device: Annotated[Literal["auto", "cpu", "cuda"], _run(help="where to train")] = "auto"
    factor: Annotated[int, _codec(help="pixels along a side of one latent: 2, 4, 8, 16 or 32")] = 4
    latent_channels: Annotated[int, _codec(min=1, help="numbers of one latent")] = 4
    width: Annotated[int, _codec(help="channels at full size, a multiple of 8; two and four times as many below")] = 16

    def to_config(self) -> CodecConfig:
        """Raises UsageError that names the option which is refused."""
        from dtool.training.codec_config import CodecConfig

        settings = asdict(self)
        return CodecConfig.of(**{name: value for name, value in settings.items() if name not in ("size", "device")})

    def parse_size(self) -> tuple[int, int] | None:
        """Height and width; None if they are as they are."""
        return parse_size(self.size)


CODEC = FlagGroup.of(CodecFlags)
TRAINING, UNET = FlagGroup.of(TrainingFlags), FlagGroup.of(UNetFlags)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`32` → (32, 32); `24x32` → (24, 32): height, then width. None for none."""
    if not text:
        return None
    words = text.replace("x", ",").split(",")
    parts = [int(word) if word.strip().isdecimal() else 0 for word in words]
    if len(parts) > 2 or min(parts) < 1:
        raise UsageError(f"--size {text}: not a size", "write 32 or HEIGHTxWIDTH")
    return parts[0], parts[-1]


def require_packages() -> None:
    """Raise DtoolError unless what every training needs is installed."""
    for name in ("torch", "accelerate", "safetensors"):
        if find_spec(name) is None:
            raise DtoolError(f"training needs {name}, which is not installed", "pip install 'dtool-diffusion[train]'")


def _parse_numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """`1,2,2` → (1, 2, 2); `none` → ()."""
    if text is None:
        return None
    if text == "none":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: not a list of whole numbers", "write it as 1,2,2") from None
