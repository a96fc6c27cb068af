"""What must be known about a network besides its weights. Stored with every checkpoint and export."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtool.errors import DtoolError
from dtool.options import complaint
from dtool.samplers.rule import Prediction


class PixelStatistics(BaseModel):
    """Mean and covariance of the training images, pooled to a few pixels: what `compare` measures samples against.

    `grid` is the pooled size (rows, columns); features are channel-major, `mean` has d entries, `covariance` d rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: tuple[int, int]
    count: int = Field(gt=1)
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


class NetworkSpec(BaseModel):
    """The contract of one trained network `F(x, t[, label])`.

    `x` is `(B, *shape)` float32 in the schedule's coordinates, `t` is `(B,)` float32, a (fractional) index into the
    training schedule, 0 … T-1; `label` is `(B,)` int64 in 0 … classes, where `classes` itself means "no class". F is
    `(B, *output_shape)`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...] = Field(min_length=1, description="one sample, e.g. (1, 28, 28)")
    schedule: str = Field(description="the training schedule as written in a recipe, e.g. cosine:max_beta=0.999")
    betas: tuple[float, ...] | None = Field(None, description="the table itself, for a schedule read from a file")
    prediction: Prediction = "eps"
    classes: int = Field(0, ge=0, description="0: not conditional")
    class_names: tuple[str, ...] = ()
    guidance: float = Field(1.0, ge=0, description="default guidance scale; 1 is the conditional network itself")
    data_range: tuple[float, float] = (-1.0, 1.0)
    clip: bool = Field(False, description="whether sampling clips the predicted image to data_range by default")
    learned_variance: bool = Field(
        default=False, description="the output has twice the channels, the second half for σ²"
    )
    statistics: PixelStatistics | None = None

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One sample's output: `shape`, or twice its channels with a learned variance."""
        return (2 * self.shape[0], *self.shape[1:]) if self.learned_variance else self.shape

    @classmethod
    def read(cls, text: str | bytes, source: str) -> NetworkSpec:
        """Parse the JSON that `model_dump_json` wrote; `source` names the file in the error."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            raise DtoolError(
                f"{source}: the description of the network is not valid ({where}: {complaint(first)})",
                "export or train the model again with this version of dtool",
            ) from error
