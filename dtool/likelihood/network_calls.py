"""Calling a network on many images at many levels, so that no image's figures depend on the batch it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.batch_invariance import check_batch_invariance
from dtool.models.conditions import LABEL, Conditions, as_conditions, read_conditions
from dtool.models.labels import resolve_labels
from dtool.models.micro_batch import pad_calls, split_evenly
from dtool.models.network import Network
from dtool.run.batch_size import choose_call_sizes
from dtool.run.guided_conditions import Request
from dtool.run.noise import Normals, check_ids, counter_range, derive_key, squares
from dtool.run.repeated_conditions import repeat_conditions
from dtool.util.arguments import as_numbers
from dtool.util.arrays import Array

Classes = NDArray[np.int64]


def check_images(network: Network, images: Any) -> Array:
    """The images as float64 `(n, *shape)`; raises UsageError for others, and for a network that cannot be asked.

    That is one that is a whole sampler, or that needs a condition besides the class.
    """
    if network.plan is not None:
        raise UsageError(
            "this file is a whole sampler, and a likelihood needs the network alone",
            "export the network without a sampler, or give the model that it was made from",
        )
    data = as_numbers("images", images, "(n, *shape)", whole=True).astype(np.float64)
    if data.shape[1:] != network.shape or len(data) == 0:
        raise UsageError(f"images have shape {data.shape}; the network's are {network.shape}", "give (n, *shape)")
    check_batch_invariance(network)
    return data


def check_names(ids: Sequence[int] | NDArray[Any] | None, count: int) -> NDArray[np.uint64]:
    """`ids` `(n,)`, 0 … n-1 by default; raises UsageError if there are not `count` different ones."""
    names = check_ids(np.arange(count) if ids is None else ids)
    distinct = len(set(names.tolist()))
    if distinct != count or len(names) != count:
        raise UsageError(f"{distinct} distinct ids for {count} images", "give each image its own id")
    return names


def choose_dtype(network: Network) -> type[np.floating[Any]]:
    """The dtype that the network is called in: float64 if it computes in it, as functions do, else float32."""
    own = str(getattr(network, "dtype", "float32"))
    return np.float64 if network.backend == "numpy" or own in ("None", "torch.float64") else np.float32


def split_calls(network: Network, count: int, rows: int, batch_size: int | None) -> list[tuple[NDArray[np.intp], int]]:
    """(the images that a call runs, padded with the last; how many are not padding), for each call.

    Of sizes at which no image's bits depend on the others'. rows: calls per image. batch_size: images per call instead.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size {batch_size} is not a number of images", "use 1 or more")
    sizes = choose_call_sizes(network, count, np.zeros(rows, bool))
    if batch_size is not None:
        sizes = split_evenly(count, batch_size)
    return list(pad_calls(count, sizes))


class Caller:
    """F(x, t) of a network on float64 arrays; what it is told is that of the images at `place` `(B,)`.

    told: the conditions of all images by name, or their labels alone.
    """

    def __init__(self, network: Network, told: Conditions | Classes | None) -> None:
        self.network, self.told = network, as_conditions(told)
        self.dtype = choose_dtype(network)

    def arguments(self, x: Array, time: Array, place: NDArray[np.intp]) -> tuple[Any, ...]:
        """x `(B, *shape)`, times `(B,)` and the conditions of the images at `place`, as the network's arrays."""
        heard = self.network.tell(time)
        arrays = self.network.array(x.astype(self.dtype)), self.network.array(heard.astype(self.dtype))
        told = self.network.arrays({name: values[place] for name, values in self.told.items()})
        return (*arrays, told) if told else arrays

    def __call__(self, x: Array, time: Array, place: NDArray[np.intp]) -> Array:
        """The output `(B, *output_shape)` in float64; raises DtoolError if it is not finite."""
        output = self.network.numpy(self.network.predict(*self.arguments(x, time, place))).astype(np.float64)
        return require_finite_output(output)


def require_finite_output(output: Array) -> Array:
    """`output`; raises DtoolError if it is not finite."""
    if not np.isfinite(output).all():
        raise DtoolError("the network returned NaN or infinity", "look at its weights and at the images")
    return output


def tell_images(network: Network, labels: Any, request: Request, names: NDArray[np.uint64]) -> Conditions:
    """The conditions of the images with these ids: the labels, one for all or one each, and the rest in turn by id."""
    classes = resolve_labels(network, labels, len(names))
    given = repeat_conditions(network, replace(request, guidance=1.0)).take_given(names)
    told = dict(read_conditions(network.spec, given, len(names)))
    return told if classes is None else {LABEL: classes, **told}


def make_own_noise(noise: Any, draws: int, shape: tuple[int, ...]) -> Callable[[int, NDArray[np.intp]], Array]:
    """The user's noise: (draw, places) ↦ `(B, *shape)`; raises UsageError unless it is `(draws, n, *shape)`."""
    values = as_numbers("noise", noise, f"of shape {(draws, *shape)}").astype(np.float64)
    if values.shape != (draws, *shape):
        raise UsageError(f"noise has shape {values.shape}", f"give {(draws, *shape)}: a draw for each step")
    return lambda draw, place: np.asarray(values[draw][place])


def make_seeded_noise(
    seed: int, names: NDArray[np.uint64], shape: tuple[int, ...], first: int = 0
) -> Callable[[int, NDArray[np.intp]], Array]:
    """(draw, places) ↦ standard normal noise `(B, *shape)`, a function of the seed and of each image's id alone."""
    streams: dict[bytes, Normals] = {}

    def noise(draw: int, place: NDArray[np.intp]) -> Array:
        own = place.tobytes()
        if own not in streams:
            streams.clear()  # images come block by block, and the last block's arrays are not needed again
            streams[own] = Normals(seed, names[place], shape)
        return np.asarray(streams[own](first + draw)[0], dtype=np.float64)

    return noise


def draw_uniforms(seed: int, names: NDArray[np.uint64], draw: int, shape: tuple[int, ...]) -> Array:
    """Numbers in (0, 1), `(n, *shape)`: a function of seed, id, draw and place, by the generator of all noise."""
    size = int(np.prod(shape))
    low = np.arange(*counter_range(draw, 1, size), dtype=np.uint64)[:size]
    counters = ((names << np.uint64(32))[:, None] | low) * np.uint64(derive_key(seed))
    return np.asarray((squares(counters, derive_key(seed)) + 0.5) * 2.0**-32).reshape(len(names), *shape)


def split_blocks(count: int, size: int) -> Iterator[NDArray[np.intp]]:
    """0 … count-1 in blocks of at most `size`."""
    for first in range(0, count, size):
        yield np.arange(first, min(first + size, count))
