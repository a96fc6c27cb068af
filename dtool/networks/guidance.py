"""Classifier-free guidance: a network that wraps a network, so that no sampler has heard of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.networks.network import Network


def guided(network: Network, labels: NDArray[np.int64] | None, scale: float, like: Any) -> Callable[[Any, Any], Any]:
    """F(x, t) for these labels `(B,)`, guided: F_none + scale·(F_class - F_none) (arXiv:2207.12598, eq. 6, w+1).

    like: an array like every x. labels None: the network is not conditional. scale 1 is the conditional network and
    scale 0 the unconditional one, each one call; any other scale evaluates both in one call of twice the batch, in two
    calls of a network that mixes the images of a batch. Of a network with a learned variance, the half that is the
    variance is the conditional one's.
    """
    if labels is None:
        return network.bound(like)
    count = len(labels)
    none = np.full(count, network.classes, dtype=np.int64)
    if scale in (0, 1):
        return network.bound(like, network.array(labels if scale == 1 else none))
    if network.mixes:
        both = _apart(network, none, labels)
    else:
        both = network.bound(network.concatenate([like, like]), network.array(np.concatenate([none, labels])))

    def predict(x: Any, t: Any) -> Any:
        output = both(network.concatenate([x, x]), network.concatenate([t, t]))
        without, with_class = output[:count], output[count:]
        return without + scale * (with_class - without)

    def with_variance(x: Any, t: Any) -> Any:
        output = both(network.concatenate([x, x]), network.concatenate([t, t]))
        channels = network.shape[0]
        without, with_class = output[:count, :channels], output[count:]
        with_class[:, :channels] = without + scale * (with_class[:, :channels] - without)
        return with_class

    return with_variance if network.spec.learned_variance else predict


def _apart(network: Network, none: NDArray[np.int64], labels: NDArray[np.int64]) -> Callable[[Any, Any], Any]:
    """F of twice the batch in two calls, so that no image meets itself without a class."""
    without, with_class = network.array(none), network.array(labels)
    count = len(labels)

    def both(x: Any, t: Any) -> Any:
        first = network.predict(x[:count], t[:count], without)
        return network.concatenate([first, network.predict(x[count:], t[count:], with_class)])

    return both
