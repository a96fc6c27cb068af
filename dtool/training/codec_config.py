"""What fixes the training of an autoencoder: with the pictures and the seed, it decides every bit of the result."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dtool.training.config import compute_lr, option_error

COMMAND = "train-codec"
GROUP = 4  # channels of a group of group norm at full size: of fewer, their means, which are colours, are lost
WIDEST = 4  # widths of a level, at most


class CodecConfig(BaseModel):
    """The settings of a run, stored with its state; `--resume` requires the same ones, `steps` excepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(gt=0)
    batch_size: int = Field(16, gt=0)
    lr: float = Field(4e-3, gt=0, description="peak learning rate of AdamW")
    warmup: int = Field(100, ge=0, description="steps over which the learning rate rises, a tenth of all at most")
    decay: Literal["cosine", "constant"] = "cosine"
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(0.995, ge=0, lt=1)
    factor: int = Field(4, ge=2, le=32, description="pixels along a side of one latent: a power of 2")
    latent_channels: int = Field(4, gt=0, le=64)
    width: int = Field(16, gt=0, le=512, multiple_of=8, description="channels at full size")
    edges: float = Field(0.1, ge=0, allow_inf_nan=False, description="weight of the squared errors of differences")
    kl: float = Field(1e-6, ge=0, allow_inf_nan=False, description="weight of the latents' divergence from the normal")
    flip: bool = Field(False, description="half of the pictures, mirrored")
    validation: float = Field(0.1, ge=0, le=0.5, description="share of the pictures that is held out")
    seed: int = Field(0, ge=0)

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Check the settings; raises `UsageError` naming the option."""
        try:
            return cls(**settings)
        except ValidationError as error:
            raise option_error(error, COMMAND) from error

    @field_validator("factor")
    @classmethod
    def _require_power(cls, factor: int) -> int:
        if factor & (factor - 1):
            raise ValueError("is a power of 2: 2, 4, 8, 16 or 32")
        return factor

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the levels, from full size down: each has half the side of the one before it."""
        return tuple(self.width * min(2**level, WIDEST) for level in range(self.factor.bit_length()))

    def lr_at(self, step: int) -> float:
        """The learning rate of step 0 … steps-1."""
        return compute_lr(self.lr, step, self.steps, warmup=self.warmup, decay=self.decay)
