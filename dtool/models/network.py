"""A network that can be called: what the sampling loop knows of it, whatever runs it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.codec import Codec
from dtool.models.conditions import LABEL, Conditions, as_conditions, make_trial_conditions
from dtool.models.origin import Origin
from dtool.models.picture_conditions import PictureConditions
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.models.text import TextEncoder
from dtool.plan.compiled_plan import Plan
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule


class Network(ABC):
    """A network on a backend. Arrays named `Any` are the backend's: numpy's, or torch tensors.

    `micro_batch`: how many images are run at a time, the last ones padded: the same image then comes out bit for bit
    the same in any batch (equal noise alone does not give equal bits). `invariant_sizes`: whether so many at a
    time, guided or not, leave every bit as it is, where that is known (`dtool.run.batch_size`). `mixes`: whether an
    image depends on the others in its batch; None until that is tried out.

    >>> network = dtool.network(lambda x, t: 0.3 * x, shape=(2,))
    >>> network.spec.shape, network.prediction, network.schedule.T
    ((2,), 'eps', 1000)
    """

    backend: ClassVar[str]
    device: str = "cpu"
    micro_batch: int = 1
    workers: int = 1  # how many micro-batches it may run at the same time
    one_size: bool = False  # it runs its micro-batch and no other number
    fixed_batch: int | None = None  # the only number of images that it takes at a time
    is_builtin: bool = False  # one of dtool's own kind, whose images are known not to depend on one another
    has_known_prediction: bool = False  # whether what it predicts has been tried out (`dtool.run.prediction_check`)
    plan: Plan | None = None  # of a sampler's file
    weak: Network | None = None  # a weaker one, which guidance compares with in the place of no conditions
    decodes: bool = False  # whether that gives pictures of the latents that it samples
    codec: Codec | None = None  # from its samples to pictures, where they are none themselves
    text: TextEncoder | None = None  # from prompts to conditions
    pictures: PictureConditions | None = None  # from pictures to conditions, where they are not taken as they are
    origin: Origin | None = None  # where it came from, and what its makers sample it with

    def __init__(self, spec: NetworkSpec) -> None:
        self.spec = spec
        self.invariant_sizes: dict[tuple[int, bool], bool] = {}
        self.mixes: bool | None = None

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule that the network was trained under."""
        return resolve_schedule(self.spec)

    @property
    def is_autoguided(self) -> bool:
        """Whether guidance compares with a weaker network (arXiv:2406.02507), whatever it is told."""
        return self.weak is not None

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

    def adopt(self, other: Network) -> Self:
        """This network, which computes the same as `other`, with what that has around it: codec, encoders, origin."""
        self.codec, self.text, self.pictures, self.origin = other.codec, other.text, other.pictures, other.origin
        self.weak = other.weak
        return self

    def stand_for(self, other: Network) -> Self:
        """This network, which calls `other`, on its device and with as many images; nothing is tried out again."""
        self.device, self.micro_batch, self.one_size = other.device, other.micro_batch, other.one_size
        self.invariant_sizes, self.mixes, self.has_known_prediction = other.invariant_sizes, bool(other.mixes), True
        return self

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """One sample's shape as a picture: what the codec decodes it to, or else as it is sampled."""
        return self.shape if self.codec is None else self.codec.picture_shape

    @property
    def picture_range(self) -> tuple[float, float]:
        """The range of those pictures' numbers."""
        return self.spec.data_range if self.codec is None else (-1.0, 1.0)

    @property
    def edited_shape(self) -> tuple[int, ...]:
        """The shape of what a run may begin at instead of noise: a picture."""
        return self.picture_shape

    @property
    def edited_range(self) -> tuple[float, float] | None:
        """The range of its numbers; None where there is none."""
        return self.picture_range if len(self.edited_shape) == 3 else None

    def require_edits(self, names: Sequence[str]) -> None:  # noqa: B027 - a sampler's file has more to say of it
        """Raise UsageError if a run cannot begin at an image; names: of image, mask, strength those that are given."""

    def to_pictures(self, samples: Any) -> NDArray[Any]:
        """Samples `(n, *shape)` as pictures `(n, *picture_shape)` in `picture_range`, decoded some at a time."""
        host = self.numpy(samples) if self.backend == "torch" and hasattr(samples, "detach") else np.asarray(samples)
        return host if self.codec is None else self.codec.decode(host)

    @property
    def classes(self) -> int:
        """How many classes it was trained on; 0 if it is not conditional."""
        return self.spec.classes

    def tell(self, times: NDArray[Any]) -> NDArray[np.float64]:
        """What the network is told for these indices into its schedule: what `predict` takes as t."""
        return self.spec.tell(self.schedule, times)

    def arrays(self, conditions: Conditions | None) -> dict[str, Any]:
        """Conditions on the host as this backend's arrays."""
        return {name: self.array(values) for name, values in (conditions or {}).items()}

    def warn_of_times(self, times: NDArray[np.float64]) -> None:
        """Warn if the network cannot hear one of these times as it is; most networks can."""
        del times

    def require_null_class(self, why: str) -> None:
        """Raise UsageError, beginning with `why`, unless the network has a label that means no class.

        Where its spec does not say so it is tried out, once: a network that takes such a label is believed, with a
        warning.
        """
        if self.spec.null_class is None and self.takes_null_label:
            warnings.warn(
                f"label {self.spec.null_label} is taken to mean no class: the network does not say", stacklevel=3
            )
        if not self.has_null_class:
            raise UsageError(
                f"{why}, and this network was not trained to know a label for it",
                "name classes, and leave out guidance",
            )

    @property
    def has_null_class(self) -> bool:
        """Whether the network has a label that means no class, as its spec says or else as it is tried out."""
        return self.takes_null_label if self.spec.null_class is None else self.spec.null_class

    @cached_property
    def takes_null_label(self) -> bool:
        """Whether a call with the label for no class succeeds: a class table of so many rows has none for it."""
        x = self.array(np.zeros((1, *self.shape), dtype=np.float32))
        t = self.array(self.tell(np.zeros(1)).astype(np.float32))
        trial = make_trial_conditions(self.spec, 1, np.random.default_rng(0))
        trial[LABEL] = np.full(1, self.spec.null_label, dtype=np.int64)
        try:
            self.predict(x, t, self.arrays(trial))
        except Exception:  # whatever it is that a stranger's function raises
            return False
        return True

    @abstractmethod
    def predict(self, x: Any, t: Any, conditions: Any = None) -> Any:
        """F(x, t[, conditions]): one bare call. x `(B, *shape)`, t `(B,)` as the network is told it (see `tell`).

        conditions: arrays by name, one entry per image, "label" `(B,)` int64 among them; or the labels alone.
        Returns `(B, *spec.output_shape)`, in the dtype of `x`, whatever the network computes in.
        """

    def bind(self, like: Any, conditions: Any = None) -> Callable[[Any, Any], Any]:
        """`predict` for these conditions and for arrays like `like`, prepared once for a whole run.

        What it returns may be overwritten by its next call, and by others' once it is deleted.
        """
        del like  # a backend that calls in prepared buffers needs it
        told = as_conditions(conditions)
        return (lambda x, t: self.predict(x, t, told)) if told else self.predict

    def run_trial(self, images: int, size: int, time: int, doubled: bool) -> NDArray[Any]:
        """The outputs for so many random images and classes, `size` of them per call, each twice in it if `doubled`."""
        random, times = np.random.default_rng(0), 1 + doubled
        x = self.array(random.standard_normal((images * times, *self.shape), dtype=np.float32))
        told = self.arrays(make_trial_conditions(self.spec, images * times, random))
        cuts = [slice(first, first + size * times) for first in range(0, images * times, size * times)]
        t = self.array(self.tell(np.full(size * times, time)).astype(np.float32))
        return np.concatenate(
            [self.numpy(self.predict(x[cut], t, {name: array[cut] for name, array in told.items()})) for cut in cuts]
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
        """`dtool.run.noise.Normals` on this backend: draw ↦ `count` draws from it on, `(count, B, *shape)`."""


def warn_of_rounding(times: NDArray[np.float64], rounded: NDArray[Any], why: str) -> None:
    """Warn of the first of the times that the network does not hear as it is, `why` it does not."""
    changed = np.flatnonzero(rounded.astype(np.float64) != times.astype(np.float32))
    if changed.size:
        first = changed[0]
        warnings.warn(f"{why}: t={times[first]:.6g} is heard as {float(rounded[first]):.6g}", stacklevel=5)
