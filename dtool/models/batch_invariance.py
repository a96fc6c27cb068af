"""Whether the images of a batch depend on one another: tried out before the first run of a network that is not ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.models.conditions import LABEL, make_trial_conditions
from dtool.models.micro_batch import choose_micro_batch
from dtool.models.network import Network

TRIAL_NUMBERS, MAX_TRIAL_IMAGES = 8192, 32  # of a trial: as many images as are cheap
GPU_ROUNDING = 1e-3  # that of TF32, in whose ten bits a GPU may multiply: kernels are chosen anew for each batch


class BatchWarning(UserWarning):
    """The images that are run together are not independent of one another."""


def check_batch_invariance(network: Network) -> None:
    """Find out, before the first run of a network that is not dtool's own, whether it mixes the images of a batch.

    Some images are run twice, at early and late times, beside others of another size and class. If their outputs depend
    on them a BatchWarning says so, once, and from then on each image is run alone, where the network takes batches of
    any size. Of a network that answers the same question in two ways, the warning says that.
    """
    if network.is_builtin or network.mixes is not None:
        return
    failure = next((trial for trial in _make_trials(_choose_size(network)) if _differ(network, trial)), None)
    network.mixes = failure is not None
    if failure is None:
        return
    if _differ(network, failure.repeat_first()):
        warnings.warn(
            "the network answers the same question in different ways: it draws random numbers, or keeps a state",
            BatchWarning,
            stacklevel=3,
        )
        return
    if network.one_size or network.fixed_batch:
        remedy = "an image is the same only among the same others"
    else:
        network.micro_batch = 1
        remedy = "each is run alone, but in a batch_size or with starts of your own"
    warnings.warn(f"the network mixes the images of a batch: {remedy}", BatchWarning, stacklevel=3)


@dataclass(frozen=True)
class _Trial:
    """Two batches that share the images at `kept` `(size,)`, at the same times: shares of the training time `(size,)`.

    varied: whether the images that are kept have every class but the first; else they have the first. others: by how
    much larger the images at the other places are in each batch; the larger ones have the last class, others the first.
    """

    kept: NDArray[np.bool_]
    times: NDArray[np.float64]
    varied: bool
    others: tuple[int, int] = (1, 3)

    def repeat_first(self) -> _Trial:
        """The first batch twice."""
        return replace(self, others=(1, 1))


def _choose_size(network: Network) -> int:
    """How many images a trial runs: at least three, so that there is one between the first and the last."""
    if network.one_size or network.fixed_batch:
        return network.fixed_batch or network.micro_batch
    return max(3, network.micro_batch, min(MAX_TRIAL_IMAGES, choose_micro_batch(network.shape, TRIAL_NUMBERS)))


def _make_trials(size: int) -> Iterator[_Trial]:
    """Every second pair is exchanged, but for the first and last image: what is kept has others before and after it."""
    kept = np.arange(size) % 4 % 3 == 0
    kept[2:][-1:] = True
    rising = np.linspace(0, 1, size)
    for times, varied in ((rising, True), (rising[::-1], False)) if size > 1 else ():
        yield _Trial(kept, times, varied)
        if size == 2:  # nothing lies between them: the other one is exchanged
            yield _Trial(~kept, times, varied)


def _differ(network: Network, trial: _Trial) -> bool:
    """Whether an image that is kept comes out otherwise in the second batch; on a GPU, by more than rounding."""
    last = network.schedule.T - 1
    times = np.round(trial.times * last)
    try:
        one, other = (_run_trial(network, trial, times, by) for by in trial.others)
    except Exception:  # it is told one time for all, say
        try:
            one, other = (_run_trial(network, trial, np.full_like(times, times[0]), by) for by in trial.others)
        except Exception:  # it takes one image at a time, say; what is wrong with it, the run will tell
            return False
    if network.device == "cpu":
        return not np.array_equal(one, other, equal_nan=True)
    return not np.allclose(one, other, rtol=GPU_ROUNDING, atol=GPU_ROUNDING, equal_nan=True)


def _run_trial(network: Network, trial: _Trial, times: NDArray[np.float64], by: int) -> NDArray[Any]:
    """What becomes of the images that are kept, among others that are `by` times as large."""
    size = len(times)
    random = np.random.default_rng(0)
    x = random.standard_normal((size, *network.shape), dtype=np.float32)
    x[~trial.kept] = by * random.standard_normal((size, *network.shape), dtype=np.float32)[~trial.kept]
    last = network.classes - 1
    own = 1 + np.arange(size) % last if trial.varied and last > 0 else np.zeros(size, np.int64)
    label = np.where(trial.kept, own, last if by > 1 else 0)
    told = make_trial_conditions(network.spec, size, random)
    if network.classes:
        told[LABEL] = label
    t = network.tell(times).astype(np.float32)
    output = network.predict(network.array(x), network.array(t), network.arrays(told))
    return network.numpy(output)[trial.kept].copy()
