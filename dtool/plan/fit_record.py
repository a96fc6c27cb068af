"""What a fitted plan says of its making: for which network, guidance and clipping it was fitted, and how good it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A named recipe on the same noises: its error, and the fitted plan's as a share of it, with its 95 % interval.

    late: the first time of one that begins late, None of any other. law: its law error, where that was measured.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    recipe: str
    calls: int
    rmse: float
    ratio: float
    low: float
    high: float
    late: float | None = None
    law: float | None = None


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """How good a fitted plan is on noises that the fit never saw.

    images: how many. rmse: the root mean square distance to the teacher's images from the same noise, with its 95 %
    interval; median: that of the images' own distances. floor: the least error that a last row could have with the
    best weights for each image by itself. Of a plan that is fitted to the law, rmse is the sliced Wasserstein distance
    of its images to the teacher's from other noises, floor what as many of the teacher's own are apart, and there is no
    median. deviation: the standard deviation of the pixels as a share of that of the teacher's. law: the law error, by
    `metric`, and that of the teacher's own images.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    images: int
    rmse: float
    low: float
    high: float
    deviation: float
    floor: float
    median: float | None = None
    metric: str = ""
    law: float | None = None
    teacher_law: float | None = None
    rivals: tuple[Rival, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FitRecord:
    """For what a plan was fitted, and how.

    network: a digest of the network; outputs: some of its outputs, by which it is known again on another backend.
    guidance, scale, clip, autoguided: how it was run, "" for none. alpha, sigma: the level at which the teacher began,
    whatever the plan's first time is. kind: "path", to end where the teacher ends from the same noise, or "law", with
    fresh noise. noises: of training, validation and judging. teacher_error: the teacher's own. training, validation:
    errors on those noises. evaluations: of the network, for the whole fit. stage: how far it got.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    network: str
    outputs: tuple[float, ...]
    guidance: str
    scale: float
    clip: str
    autoguided: bool
    alpha: float
    sigma: float
    kind: Literal["path", "law"]
    seed: int
    noises: tuple[int, int, int]
    teacher_error: float
    training: float
    validation: float
    evaluations: int
    stage: Literal["times", "all"]
    held_out: HeldOut | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)
