"""An ONNX file of one floating-point input and one output, as a function of arrays: a decoder, say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.interface import KINDS
from dtool.onnx.limits import CALL_SECONDS, resolve_time_limit
from dtool.onnx.session import open_session, run_session

FLOATS = (1, 10, 11)  # onnx's numbers of float32, float16 and float64


class OnnxFunction:
    """The function, checked as every ONNX file is. `batch`: the only one that it takes, or None; `dims`: of one entry.

    Raises DtoolError for a file that must not or cannot be run, UsageError for one of other inputs.
    """

    def __init__(self, path: Path, runtime: Runtime = ANYWHERE) -> None:
        file = read_checked_file(path)
        graph = file.graph
        values = [value for value in graph.inputs if value.name not in graph.defaults]
        if len(values) != 1 or values[0].kind not in FLOATS or not values[0].dims:
            names = ", ".join(value.name for value in values) or "none"
            raise UsageError(f"{path} has the inputs {names}", "a decoder has one, of floating-point numbers: latents")
        [self._input], self._output = values, graph.outputs[0].name
        first, *rest = self._input.dims or ()
        self.batch = first if isinstance(first, int) and first > 0 else None
        self.dims = tuple(each if isinstance(each, int) and each > 0 else None for each in rest)
        self._limit = resolve_time_limit(runtime.time_limit, CALL_SECONDS)
        self._session = open_session(file.data, str(path), runtime, weights=file.weights)

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The output in float32; raises DtoolError if the run fails."""
        feed = {self._input.name: values.astype(KINDS[self._input.kind], copy=False)}
        output = run_session(self._session, [self._output], feed, self._limit)[0]
        if output.dtype.kind != "f":
            raise DtoolError(
                f"the file returned numbers of type {output.dtype}", "it must return floating-point numbers"
            )
        return output.astype(np.float32, copy=False)
