"""Calling a network on many images at many levels, so that no image's figures depend on its company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.arguments import numbers
from dtool.backends import company
from dtool.backends.noise import Normals, checked_ids, key, span, squares
from dtool.errors import DtoolError, UsageError
from dtool.networks.batch_invariance import require_examined
from dtool.networks.network import Network
from dtool.schedulers.schedule import Array

Classes = NDArray[np.int64]


def checked_images(network: Network, images: Any) -> Array:
    """The images as float64 `(n, *shape)`; raises UsageError for others, and for a network that is a whole sampler."""
    if network.plan is not None:
        raise UsageError(
            "this file holds a whole sampler, and a likelihood needs its network alone",
            "export the network without a sampler, or give the model that it was made from",
        )
    data = numbers("images", images, "(n, *shape)", whole=True).astype(np.float64)
    if data.shape[1:] != network.shape or len(data) == 0:
        raise UsageError(f"images have shape {data.shape}; the network's are {network.shape}", "give (n, *shape)")
    require_examined(network)
    return data


def checked_names(ids: Sequence[int] | NDArray[Any] | None, count: int) -> NDArray[np.uint64]:
    """`ids` `(n,)`, 0 … n-1 by default; raises UsageError if there are not `count` different ones."""
    names = checked_ids(np.arange(count) if ids is None else ids)
    if len(set(names.tolist())) != count or len(names) != count:
        raise UsageError(f"{len(names)} ids for {count} images", "give each image an id of its own")
    return names


def precision(network: Network) -> type[np.floating[Any]]:
    """The dtype that the network is called in: float64 if it computes in it, as functions do, else float32."""
    own = str(getattr(network, "dtype", "float32"))
    return np.float64 if network.backend == "numpy" or own in ("None", "torch.float64") else np.float32


def cuts(network: Network, count: int, rows: int, batch_size: int | None) -> list[tuple[NDArray[np.intp], int]]:
    """(which images a call runs, padded with the last; how many are no padding), call by call.

    Of sizes at which no image's bits depend on the others'. rows: calls an image. batch_size: so many instead.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size {batch_size} is not a number of images", "use 1 or more")
    sizes = company.sizes(network, count, rows, False)
    if batch_size is not None:
        sizes = [batch_size] * -(-count // batch_size)
    ends = np.cumsum(sizes)
    return [
        (np.minimum(np.arange(end - size, end), count - 1), int(min(end, count) - (end - size)))
        for size, end in zip(sizes, ends, strict=True)
    ]


class Caller:
    """F(x, t) of a network on float64 arrays; the images' labels are told apart by their place `(B,)`."""

    def __init__(self, network: Network, classes: Classes | None) -> None:
        self.network, self.classes = network, classes
        self.dtype = precision(network)

    def arguments(self, x: Array, time: Array, place: NDArray[np.intp]) -> tuple[Any, ...]:
        """x `(B, *shape)`, times `(B,)` and the labels of the images at `place`, as the network's arrays."""
        arrays = self.network.array(x.astype(self.dtype)), self.network.array(time.astype(self.dtype))
        return arrays if self.classes is None else (*arrays, self.network.array(self.classes[place]))

    def __call__(self, x: Array, time: Array, place: NDArray[np.intp]) -> Array:
        """The output `(B, *output_shape)` in float64; raises DtoolError if it is not finite."""
        output = self.network.numpy(self.network.predict(*self.arguments(x, time, place))).astype(np.float64)
        return finite(output)


def finite(output: Array) -> Array:
    """`output`; raises DtoolError if it is not finite."""
    if not np.isfinite(output).all():
        raise DtoolError("the network gave numbers that are not finite", "look at its weights and at the images")
    return output


def own_noise(noise: Any, draws: int, shape: tuple[int, ...]) -> Callable[[int, NDArray[np.intp]], Array]:
    """The user's noise: (draw, places) ↦ `(B, *shape)`; raises UsageError unless it is `(draws, n, *shape)`."""
    values = numbers("noise", noise, f"of shape {(draws, *shape)}").astype(np.float64)
    if values.shape != (draws, *shape):
        raise UsageError(f"noise has shape {values.shape}", f"give {(draws, *shape)}: a draw for each step")
    return lambda draw, place: np.asarray(values[draw][place])


def seeded_noise(
    seed: int, names: NDArray[np.uint64], shape: tuple[int, ...], first: int = 0
) -> Callable[[int, NDArray[np.intp]], Array]:
    """(draw, places) ↦ standard normal noise `(B, *shape)`, a function of the seed and of each image's id alone."""
    made: dict[bytes, Normals] = {}

    def noise(draw: int, place: NDArray[np.intp]) -> Array:
        own = place.tobytes()
        if own not in made:
            made.clear()  # images come block by block: the last block's arrays are not needed again
            made[own] = Normals(seed, names[place], shape)
        return np.asarray(made[own](first + draw)[0], dtype=np.float64)

    return noise


def uniforms(seed: int, names: NDArray[np.uint64], draw: int, shape: tuple[int, ...]) -> Array:
    """Numbers in (0, 1), `(n, *shape)`: a function of seed, id, draw and place, by the generator of all noise."""
    size = int(np.prod(shape))
    low = np.arange(*span(draw, 1, size), dtype=np.uint64)[:size]
    counters = ((names << np.uint64(32))[:, None] | low) * np.uint64(key(seed))
    return np.asarray((squares(counters, key(seed)) + 0.5) * 2.0**-32).reshape(len(names), *shape)


def blocks(count: int, size: int) -> Iterator[NDArray[np.intp]]:
    """0 … count-1 in blocks of at most `size`."""
    for first in range(0, count, size):
        yield np.arange(first, min(first + size, count))
