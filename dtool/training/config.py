"""What fixes a training run: with the data and the seed, these settings decide every bit of the result."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtool.errors import UsageError
from dtool.options import complaint
from dtool.samplers.rule import Prediction
from dtool.training.loss import Weighting


class TrainConfig(BaseModel):
    """The settings of a run, stored in its checkpoint; `--resume` requires the same ones, `steps` excepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(gt=0)
    batch_size: int = Field(128, gt=0)
    lr: float = Field(1e-3, gt=0, description="peak learning rate of AdamW")
    warmup: int = Field(200, ge=0, description="steps over which the learning rate rises, a tenth of all at most")
    decay: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    label_dropout: float = Field(0.1, ge=0, lt=1, description="share of labels replaced by no class")
    ema: float = Field(0.999, ge=0, lt=1)
    seed: int = Field(0, ge=0)
    schedule: str = "linear"
    prediction: Prediction = "eps"
    loss: Weighting = "simple"
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Check the settings; raises `UsageError` naming the option."""
        try:
            return cls(**settings)
        except ValidationError as error:
            raise option_error(error) from error

    def lr_at(self, step: int) -> float:
        """The learning rate of step 0 … steps-1: linear warm-up, then constant or half a cosine down to 0."""
        rise = min(1.0, (step + 1) / (min(self.warmup, self.steps // 10) + 1))
        if self.decay == "constant":
            return self.lr * rise
        return self.lr * rise * (1 + math.cos(math.pi * min(step / self.steps, 1))) / 2


def option_error(error: ValidationError) -> UsageError:
    """The first thing that pydantic found, in the words of the command line."""
    first = error.errors()[0]
    hint = "dtool train --help lists the options"
    if not first["loc"]:  # two options that do not go together
        return UsageError(f"the network: {complaint(first)}", hint)
    option = "--" + str(first["loc"][0]).replace("_", "-")
    return UsageError(f"{option}: {complaint(first)}, not {first['input']!r}", hint)
