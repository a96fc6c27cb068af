"""Whether the images of a batch depend on one another: tried out before the first run of a network that is not ours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from dtool.networks.network import Network


class BatchWarning(UserWarning):
    """The images that are run together are not independent of one another."""


def require_examined(network: Network) -> None:
    """Find out, before the first run of a network that is not dtool's own, whether it mixes the images of a batch.

    One image is run twice, beside others of another size and class. If its output depends on them a BatchWarning says
    so, once, and from then on each image is run alone, where the network takes batches of any size.
    """
    if network.ours or network.mixes is not None:
        return
    network.mixes = _mixes(network)
    if not network.mixes:
        return
    if network.one_size or network.fixed_batch:
        remedy = "an image is the same only among the same others"
    else:
        network.micro_batch = 1
        remedy = "each is run alone, but in a batch_size or with starts of your own"
    warnings.warn(f"the network mixes the images of a batch: {remedy}", BatchWarning, stacklevel=3)


def _mixes(network: Network) -> bool:
    """Whether the first image's output depends on the others in its batch; on a GPU, by more than rounding."""
    size = network.micro_batch if network.one_size else max(2, network.micro_batch)
    if size == 1:
        return False
    random = np.random.default_rng(0)
    first = random.standard_normal((1, *network.shape), dtype=np.float32)
    others = [scale * random.standard_normal((size - 1, *network.shape), dtype=np.float32) for scale in (1, 3)]
    labels: list[tuple[Any, ...]] = [(), ()]
    if network.classes:
        labels = [(network.array(np.array([0, *[k % network.classes] * (size - 1)], np.int64)),) for k in (0, 1)]
    t = network.array(np.full(size, network.schedule.T // 2, dtype=np.float32))
    try:
        one, other = (
            network.numpy(network.predict(network.array(np.concatenate([first, rest])), t, *label))[0].copy()
            for rest, label in zip(others, labels, strict=True)
        )
    except Exception:  # it takes one image at a time, say; what is wrong with it, the run will tell
        return False
    if network.device == "cpu":
        return not np.array_equal(one, other, equal_nan=True)
    return not np.allclose(one, other, rtol=1e-3, atol=1e-3, equal_nan=True)
