"""The numpy backend: networks that are Python functions, closed forms above all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.backends.noise import Normals
from dtool.backends.outputs import array_in, failed_call, not_real
from dtool.networks.network import Network, rows_for
from dtool.networks.spec import NetworkSpec


class HostNetwork(Network):
    """What every network on numpy arrays has in common."""

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """numpy arrays stay as they are."""
        return values

    def numpy(self, values: Any) -> NDArray[Any]:
        """numpy arrays stay as they are."""
        return np.asarray(values)

    def concatenate(self, parts: Sequence[Any]) -> NDArray[Any]:
        """The parts one after another along the batch."""
        return np.concatenate(parts)

    def noise(self, seed: int, ids: NDArray[np.uint64], count: int) -> Normals:
        """Standard normal noise, `count` draws at a time."""
        return Normals(seed, ids, self.shape, count)


class FunctionNetwork(HostNetwork):
    """`fn(x, t)`, or `fn(x, t, label)` if the spec has classes, on numpy arrays."""

    backend: ClassVar[str] = "numpy"

    def __init__(self, fn: Callable[..., Any], spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.fn = fn
        self.micro_batch = min(64, rows_for(spec.shape, 8192))

    def predict(self, x: Any, t: Any, label: Any = None) -> NDArray[Any]:
        """Call the function; raises DtoolError if it fails, or its result is not what the spec promises."""
        try:
            output = self.fn(x, t) if label is None else self.fn(x, t, label)
        except Exception as error:
            failure = failed_call(error, on_numpy=True)
            if failure is None:
                raise
            raise failure from error
        if type(output) is not np.ndarray:
            output = _array(output)
        if output.dtype.kind != "f":
            raise not_real(output.dtype)
        self.require_shape(output, x)
        answer: NDArray[Any] = output.astype(x.dtype, copy=False)
        return answer


def _array(output: Any) -> NDArray[Any]:
    """What a function returned that is no numpy array: a tensor, a list of numbers, or an output that holds one."""
    if isinstance(output, (tuple, list)) and output and hasattr(output[0], "ndim"):
        output = output[0]
    if callable(getattr(output, "detach", None)):  # a tensor
        output = output.detach().cpu()
    if isinstance(output, list) or hasattr(output, "__array__"):
        try:
            return np.asarray(output)
        except (ValueError, TypeError):  # lists of different lengths
            pass
    found: NDArray[Any] = array_in(output, np.ndarray, "an array")
    return found
