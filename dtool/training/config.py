"""What fixes a training run: with the data and the seed, these settings decide every bit of the result."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dtool.errors import UsageError
from dtool.samplers.rule import BasicPrediction
from dtool.training.loss_weights import GAMMA, Weighting
from dtool.training.times import TimeKind
from dtool.util.options import describe_mistake

TextCondition = Literal["pooled", "tokens"]


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
    caption_dropout: float = Field(0.1, gt=0, lt=1, description="share of captions replaced by the empty prompt")
    caption_noise: float = Field(0.0, ge=0, le=2, description="most noise on captions' vectors, of their own length")
    text_condition: TextCondition = Field("pooled", description="one vector of a prompt, or its tokens")
    ema: float = Field(0.999, ge=0, lt=1)
    second_ema: float | None = Field(None, ge=0, lt=1, description="of an average of another length, kept beside it")
    seed: int = Field(0, ge=0)
    schedule: str = "linear"
    prediction: BasicPrediction = "eps"
    loss: Weighting = "simple"
    loss_gamma: float | None = Field(None, gt=0, allow_inf_nan=False, description="γ of min-SNR (5) or P2 (1)")
    times: TimeKind = "uniform"
    time_mean: float = Field(0.0, ge=-20, le=20, description="of the normal number behind logit-normal times")
    time_std: float = Field(1.0, gt=0, le=20)
    accumulate: int = Field(1, gt=0, description="parts that the images of a step are computed in")
    replicas: int = Field(1, gt=0, le=256, description="threads that compute parts of a step's images at once")
    gradient_checkpointing: bool = False
    task: str | None = Field(None, description="what the network is told: see `dtool.training.tasks.parse_task`")
    augment: float | None = Field(None, ge=0, lt=1, description="see `dtool.training.tasks.parse_task`")
    consistent: bool = Field(False, description="an upscaler's pictures, made small, are its `low`; unsaid, yes")
    flip: bool = Field(False, description="half of the images, mirrored")
    validation: float = Field(0.0, ge=0, le=0.5, description="share of the images that is held out")
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Check the settings; raises `UsageError` naming the option."""
        try:
            return cls(**settings)
        except ValidationError as error:
            raise option_error(error) from error

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("consistent") is not None:
            return data
        return {**data, "consistent": str(data.get("task")).startswith("upscale")}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.accumulate * self.replicas > self.batch_size:
            parts = f"--accumulate {self.accumulate}" + (
                f" times --replicas {self.replicas}" if self.replicas > 1 else ""
            )
            raise ValueError(f"{parts} parts of --batch-size {self.batch_size} images")
        if self.loss_gamma is not None and self.loss not in GAMMA:
            raise ValueError(f"--loss-gamma is of --loss min-snr or p2, not of {self.loss}")
        if self.consistent and not (self.task or "").startswith("upscale"):
            raise ValueError(f"--consistent is of --task upscale, not of {self.task or 'a training without a task'}")
        if self.times == "uniform" and (self.time_mean, self.time_std) != (0.0, 1.0):
            raise ValueError("--time-mean and --time-std are of --times logit-normal, not of uniform ones")
        return self

    def lr_at(self, step: int) -> float:
        """The learning rate of step 0 … steps-1: linear warm-up, then constant or half a cosine down to 0."""
        return compute_lr(self.lr, step, self.steps, warmup=self.warmup, decay=self.decay)


def compute_lr(peak: float, step: int, steps: int, *, warmup: int, decay: Literal["cosine", "constant"]) -> float:
    """The learning rate of step 0 … steps-1: linear warm-up, then constant or half a cosine down to 0."""
    rise = min(1.0, (step + 1) / (min(warmup, steps // 10) + 1))
    if decay == "constant":
        return peak * rise
    return peak * rise * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


def option_error(error: ValidationError, command: str = "train") -> UsageError:
    """The first thing that pydantic found, in the words of the command line."""
    first = error.errors()[0]
    hint = f"dtool {command} --help lists the options"
    if not first["loc"]:  # two options that do not go together
        cause = describe_mistake(first)
        return UsageError(cause if cause.startswith("--") else f"the network: {cause}", hint)
    option = "--" + str(first["loc"][0]).replace("_", "-")
    return UsageError(f"{option}: {describe_mistake(first)}, not {first['input']!r}", hint)
