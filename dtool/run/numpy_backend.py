"""The numpy backend: networks that are Python functions, closed forms above all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.models.conditions import split_label
from dtool.models.micro_batch import choose_function_micro_batch
from dtool.models.network import Network
from dtool.models.spec import NetworkSpec
from dtool.run.noise import Normals
from dtool.run.returned_arrays import extract_array, failed_call_error, not_real_error


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
    """`fn(x, t[, label], **conditions)` on numpy arrays: label if the spec has classes, the others by their names."""

    backend: ClassVar[str] = "numpy"

    def __init__(self, fn: Callable[..., Any], spec: NetworkSpec) -> None:
        super().__init__(spec)
        self.fn = fn
        self.micro_batch = choose_function_micro_batch(spec.shape)

    def predict(self, x: Any, t: Any, conditions: Any = None) -> NDArray[Any]:
        """Call the function; raises DtoolError if it fails, or its result is not what the spec promises."""
        label, others = split_label(conditions)
        try:
            output = self.fn(x, t, *label, **others)
        except Exception as error:
            failure = failed_call_error(error, on_numpy=True)
            if failure is None:
                raise
            raise failure from error
        if type(output) is not np.ndarray:
            output = _convert_output(output)
        if output.dtype.kind != "f":
            raise not_real_error(output.dtype)
        self.require_shape(output, x)
        answer: NDArray[Any] = output.astype(x.dtype, copy=False)
        return answer


def _convert_output(output: Any) -> NDArray[Any]:
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
    array: NDArray[Any] = extract_array(output, np.ndarray, "an array")
    return array
