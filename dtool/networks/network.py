"""A network that can be called: what the sampling loop knows of it, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from math import inf, prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import NetworkSpec
from dtool.plan.plan import Plan
from dtool.samplers.rule import Prediction
from dtool.schedulers import schedule
from dtool.schedulers.schedule import Schedule, from_betas


class Network(ABC):
    """A network on a backend. Arrays named `Any` are the backend's: numpy's, or torch tensors.

    `micro_batch`: how many images are run at a time, the last ones padded: the same image then comes out bit for bit
    the same in any batch (equal noise alone does not give equal bits). `company`: whether so many at a
    time, guided or not, leave every bit as it is, where that is known (`dtool.backends.company`).
    """

    backend: ClassVar[str]
    device: str = "cpu"
    micro_batch: int = 1
    one_size: bool = False  # it runs its micro-batch and no other number
    threshold: float | None = None  # of a sampler's file that was made with dynamic thresholding
    plan: Plan | None = None  # of a sampler's file

    def __init__(self, spec: NetworkSpec) -> None:
        _require_sensible(spec)
        self.spec = spec
        self.company: dict[tuple[int, bool], bool] = {}

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule that the network was trained under."""
        return schedule_of(self.spec)

    @property
    def prediction(self) -> Prediction:
        """What the output means: eps, x0, v or flow."""
        return self.spec.prediction

    @property
    def shape(self) -> tuple[int, ...]:
        """One sample's shape, e.g. (1, 28, 28)."""
        return self.spec.shape

    def require_shape(self, output: Any, x: Any) -> None:
        """Raise DtoolError unless `output` is what the spec promises for `x`."""
        if tuple(output.shape) == (len(x), *self.spec.output_shape):
            return
        hint = "return one number for each number of x"
        if tuple(output.shape[1:]) == (2 * self.shape[0], *self.shape[1:]):
            hint = (
                "say --learned-variance (learned_variance=True) if the second half of the channels is for the variance"
            )
        elif self.spec.learned_variance:
            hint = "with learned_variance it has twice the channels of x"
        raise DtoolError(f"the network returned shape {tuple(output.shape)} for x of shape {tuple(x.shape)}", hint)

    @property
    def classes(self) -> int:
        """How many classes it was trained on; 0 if it is not conditional."""
        return self.spec.classes

    @abstractmethod
    def predict(self, x: Any, t: Any, label: Any = None) -> Any:
        """F(x, t[, label]): one bare call. x `(B, *shape)`, t `(B,)`, label `(B,)` int64.

        Returns `(B, *spec.output_shape)`, in the dtype of `x`, whatever the network computes in.
        """

    def bound(self, like: Any, label: Any = None) -> Callable[[Any, Any], Any]:
        """`predict` for these labels and for arrays like `like`, prepared once for a whole run.

        What it returns may be overwritten by its next call, and by others' once it is deleted.
        """
        del like  # a backend that calls in prepared buffers needs it
        return self.predict if label is None else lambda x, t: self.predict(x, t, label)

    def trial(self, images: int, size: int, time: int, doubled: bool) -> NDArray[Any]:
        """The outputs for so many random images and classes, `size` of them a call, each twice in it if `doubled`."""
        random, times = np.random.default_rng(0), 1 + doubled
        x = self.array(random.standard_normal((images * times, *self.shape), dtype=np.float32))
        label = self.array(random.integers(0, self.classes + 1, images * times)) if self.classes else None
        cuts = [slice(first, first + size * times) for first in range(0, images * times, size * times)]
        t = self.array(np.full(size * times, time, dtype=np.float32))
        return np.concatenate(
            [self.numpy(self.predict(x[cut], t, None if label is None else label[cut])) for cut in cuts]
        )

    @abstractmethod
    def array(self, values: NDArray[Any]) -> Any:
        """`values` on this backend and device."""

    @abstractmethod
    def numpy(self, values: Any) -> NDArray[Any]:
        """`values` as a numpy array on the host."""

    @abstractmethod
    def concatenate(self, parts: Sequence[Any]) -> Any:
        """The parts one after another along the batch."""

    @abstractmethod
    def noise(self, seed: int, ids: NDArray[np.uint64], count: int) -> Callable[[int], Any]:
        """`dtool.backends.noise.Normals` on this backend: draw ↦ `count` draws from it on, `(count, B, *shape)`."""


def _require_sensible(spec: NetworkSpec) -> None:
    """Refuse samples without numbers, and a range of the data without a width."""
    if min(spec.shape) < 1 or prod(spec.shape) >= 1 << 40:
        raise UsageError(f"samples cannot have the shape {spec.shape}", "give one of whole numbers from 1")
    low, high = spec.data_range
    if not -inf < low < high < inf:
        raise UsageError(f"the data cannot range from {low:g} to {high:g}", "give the lower end first: -1,1")


def schedule_of(spec: NetworkSpec) -> Schedule:
    """The training schedule that `spec` names or holds."""
    return schedule(spec.schedule) if spec.betas is None else from_betas(spec.betas)


def rows_for(shape: Sequence[int], numbers: int) -> int:
    """How many samples of `shape` make a micro-batch of about `numbers` numbers; at least one, and a power of two.

    Where a runtime computes a function of t `(B,)` some values at a time, the last few of any other number would come
    out otherwise than the same values in another place.
    """
    return 1 << (max(1, numbers // prod(shape)).bit_length() - 1)
