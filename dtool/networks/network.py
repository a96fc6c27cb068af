"""A network that can be called: what the sampling loop knows of it, whatever runs it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import NetworkSpec, schedule_of
from dtool.plan.plan import Plan
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule


class Network(ABC):
    """A network on a backend. Arrays named `Any` are the backend's: numpy's, or torch tensors.

    `micro_batch`: how many images are run at a time, the last ones padded: the same image then comes out bit for bit
    the same in any batch (equal noise alone does not give equal bits). `company`: whether so many at a
    time, guided or not, leave every bit as it is, where that is known (`dtool.backends.company`). `mixes`: whether an
    image depends on the others in its batch; None until that is tried out.
    """

    backend: ClassVar[str]
    device: str = "cpu"
    micro_batch: int = 1
    one_size: bool = False  # it runs its micro-batch and no other number
    fixed_batch: int | None = None  # the only number of images that it takes at a time
    ours: bool = False  # one of dtool's own kind, whose images are known not to depend on one another
    threshold: float | None = None  # of a sampler's file that was made with dynamic thresholding
    plan: Plan | None = None  # of a sampler's file

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec
        self.company: dict[tuple[int, bool], bool] = {}
        self.mixes: bool | None = None

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

    def warn_of_times(self, times: NDArray[np.float64]) -> None:
        """Warn if the network cannot hear one of these times as it is; most networks can."""
        del times

    def require_null_class(self, why: str) -> None:
        """Raise UsageError, beginning with `why`, unless the network has a label that means no class.

        Where its spec does not say so it is tried out, once: a network that takes such a label is believed, with a
        warning.
        """
        if self.spec.null_class is not None:
            known = self.spec.null_class
        elif known := self.takes_null_label:
            warnings.warn(f"label {self.classes} is taken to mean no class: the network does not say", stacklevel=3)
        if not known:
            raise UsageError(
                f"{why}, and this network was not trained to know a label for it",
                "name classes, and leave out guidance",
            )

    @cached_property
    def takes_null_label(self) -> bool:
        """Whether a call with the label `classes` succeeds: a class table of so many rows has none for it."""
        x = self.array(np.zeros((1, *self.shape), dtype=np.float32))
        t = self.array(np.zeros(1, dtype=np.float32))
        try:
            self.predict(x, t, self.array(np.full(1, self.classes, dtype=np.int64)))
        except Exception:  # whatever it is that a stranger's function raises
            return False
        return True

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
        label = self.array(random.integers(0, self.spec.labels, images * times)) if self.classes else None
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


def warn_of_rounding(times: NDArray[np.float64], heard: NDArray[Any], why: str) -> None:
    """Warn of the first of the times that the network does not hear as it is, `why` it does not."""
    changed = np.flatnonzero(heard.astype(np.float64) != times.astype(np.float32))
    if changed.size:
        first = changed[0]
        warnings.warn(f"{why}: t={times[first]:.6g} is heard as {float(heard[first]):.6g}", stacklevel=5)


def rows_for(shape: Sequence[int], numbers: int) -> int:
    """How many samples of `shape` make a micro-batch of about `numbers` numbers; at least one, and a power of two.

    Where a runtime computes a function of t `(B,)` some values at a time, the last few of any other number would come
    out otherwise than the same values in another place.
    """
    return 1 << (max(1, numbers // prod(shape)).bit_length() - 1)
