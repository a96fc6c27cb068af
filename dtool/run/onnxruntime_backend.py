"""The ONNX Runtime backend, CPU and CUDA; it never imports torch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.conditions import LABEL, Conditions, as_conditions, take_entries
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.micro_batch import choose_default_micro_batch, pad_calls, split_evenly
from dtool.models.network import warn_of_rounding
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.models.spec import NetworkSpec
from dtool.onnx.bound_arrays import Arrays, BufferPool
from dtool.onnx.checked_file import CheckedFile, read_checked_file
from dtool.onnx.interface import KINDS, identify_inputs
from dtool.onnx.limits import CALL_SECONDS, resolve_time_limit
from dtool.onnx.session import (
    FailedRunError,
    failed_run_error,
    find_device,
    offers_cuda,
    open_session,
    run_session,
)  # fmt: skip
from dtool.onnx.spec import KEY, determine_spec, list_known_conditions
from dtool.run.numpy_backend import HostNetwork

SLOW = 0.5  # seconds of a call from which on it is worth a thread that can be stopped
CUDA_OPERATORS = frozenset({"NhwcConv", "GroupNorm", "SkipGroupNorm"})  # of com.microsoft; no CPU has them
ROUNDED = "the network takes whole times only: those between are rounded (--spacing trailing, --steps that divide T)"


def _require_cuda(file: CheckedFile, runtime: Runtime) -> None:
    """Refuse a file that was fused for CUDA where there is none."""
    fused = sorted(name for domain, name in file.graph.operators if domain and name in CUDA_OPERATORS)
    on_cpu = runtime.device == "cpu" or (runtime.device == "auto" and not offers_cuda())
    if fused and runtime.provider is None and on_cpu:
        raise DtoolError(
            f"{file.source} was fused for CUDA ({', '.join(fused)}): it runs on no CPU",
            "load the network that it was made of, or use --device cuda",
        )


class OnnxNetwork(HostNetwork):
    """An ONNX file with inputs x `(B, *shape)`, t `(B,)` or `()` and, if conditional, label `(B,)`."""

    backend: ClassVar[str] = "onnxruntime"

    def __init__(
        self,
        file: Path | CheckedFile,
        description: NetworkSpec | Description = UNDESCRIBED,
        runtime: Runtime = ANYWHERE,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Check the file and load it. settings: see `open_session`.

        Raises DtoolError for a file that cannot or must not be run, and if the device or provider is not there.
        """
        file = read_checked_file(file) if isinstance(file, Path) else file
        self._interface = identify_inputs(file.graph, file.source, list_known_conditions(file.graph, description))
        super().__init__(determine_spec(file.graph, self._interface, description, file.source))
        self.has_known_prediction = KEY in file.graph.metadata  # it says itself what it was trained for
        self._limit, self._source = resolve_time_limit(runtime.time_limit, CALL_SECONDS), file.source
        _require_cuda(file, runtime)
        self.session = open_session(file.data, file.source, runtime, settings, weights=file.weights)
        self.device = find_device(self.session)
        self.fixed_batch = self._interface.batch
        self.micro_batch = self.fixed_batch or choose_default_micro_batch(self.shape, self.device)
        self._endless = file.graph.loops
        self._stock = BufferPool()
        self._guard = True  # the next call: not that of a network without loops whose last one was fast

    @property
    def path(self) -> Path:
        """The network's file."""
        return Path(self._source)

    def predict(self, x: Any, t: Any, conditions: Any = None) -> NDArray[Any]:
        """Run the session once; answers in the dtype of `x`. Raises DtoolError if the session fails."""
        told = self._check_conditions(conditions)
        batch = self._interface.batch
        if batch is None or len(x) == batch:
            output = self._run(x, t, told)
        else:
            calls = pad_calls(len(x), split_evenly(len(x), batch))
            parts = [self._run(x[i], t[i], take_entries(told, i)) for i, _ in calls]
            output = np.concatenate(parts)[: len(x)]
        self.require_shape(output, x)
        return output.astype(x.dtype, copy=False)

    def _run(self, x: Any, t: Any, told: Conditions) -> NDArray[Any]:
        """One call of the session; if that fails, one of one image tells whether a batch is baked into the graph."""
        try:
            return self._call_session(x, t, told)
        except FailedRunError as error:
            if len(x) == 1 or not self._can_run(x[:1], t[:1], take_entries(told, slice(1))):
                raise
            guided = ", with --guidance 1 (guidance=1)" if self.spec.is_conditional else ""
            raise DtoolError(
                f"{self._source} says that it takes any batch, and takes one image at a time: {error.line}",
                f"use --batch-size 1 (batch_size=1){guided}; or export it again, with a dynamic batch",
            ) from error

    def _can_run(self, x: Any, t: Any, told: Conditions) -> bool:
        try:
            return len(self._call_session(x, t, told)) == len(x)
        except DtoolError:
            return False

    def _call_session(self, x: Any, t: Any, told: Conditions) -> NDArray[Any]:
        """The session's output; in a thread that can be stopped if it may be long."""
        interface = self._interface
        feed = {interface.x.name: x.astype(KINDS[interface.x.kind], copy=False), interface.t.name: self._times(t)}
        for name, value in interface.conditions.items():
            feed[value.name] = interface.tell(name, told[name])
        started = time.perf_counter()
        output: NDArray[Any]
        if self._guard:
            output = run_session(self.session, [interface.output.name], feed, self._limit)[0]
        else:
            try:
                output = self.session.run([interface.output.name], feed)[0]
            except Exception as error:
                raise failed_run_error(error) from error
        self._guard = self._endless or time.perf_counter() - started > SLOW
        return output

    def warn_of_times(self, times: NDArray[np.float64]) -> None:
        """As every network: of one whose input for them has half precision. Whole numbers are seen to at every call."""
        kind = KINDS[self._interface.t.kind]
        if kind is np.float16:
            warn_of_rounding(times, times.astype(kind), "the network takes its times in half precision")

    def _times(self, t: Any) -> NDArray[Any]:
        if self._interface.whole_times:
            whole = np.rint(t)
            if (whole != t).any():
                warnings.warn(ROUNDED, stacklevel=2)
            t = whole
        return self._interface.times(t)

    def bind(self, like: Any, conditions: Any = None) -> Callable[[Any, Any], NDArray[Any]]:
        """`predict` in buffers that are bound to the session once: of a small network's call that saves some 2 %."""
        told = self._check_conditions(conditions)
        if not self.bindable:
            return super().bind(like, told)
        loan = self._stock.lend(len(like), self._arrays)
        binding, (own_x, own_t, *own_conditions), output = loan.arrays
        for own, name in zip(own_conditions, self._interface.conditions, strict=True):
            own[:] = told[name]

        def predict(x: Any, t: Any) -> NDArray[Any]:
            if self._guard:
                return self.predict(x, t, told)
            if x is not own_x:
                np.positive(x, out=own_x, casting="same_kind")
            np.positive(t, out=own_t, casting="same_kind")
            started = time.perf_counter()
            try:
                self.session.run_with_iobinding(binding)
            except Exception:
                return self.predict(x, t, told)  # which says what is wrong
            self._guard = time.perf_counter() - started > SLOW
            return output if output.dtype == x.dtype else output.astype(x.dtype)

        predict.home = own_x  # type: ignore[attr-defined] # an x that lies there already is not copied
        predict.loan = loan  # type: ignore[attr-defined] # ends with this function
        return predict

    def _arrays(self, batch: int) -> Arrays:
        """A binding, and the arrays of a batch that it knows the addresses of."""
        interface = self._interface
        arrays = [(interface.x, (batch, *self.shape)), (interface.t, interface.times(np.zeros(batch)).shape)]
        fixed = {one.name: one.shape for one in self.spec.conditions}
        arrays += [(value, (batch, *fixed.get(name, ()))) for name, value in interface.conditions.items()]
        inputs = [np.empty(shape, KINDS[value.kind]) for value, shape in arrays]
        output = np.empty((batch, *self.spec.output_shape), KINDS[interface.output.kind])
        binding = self.session.io_binding()
        for (value, _), array in zip(arrays, inputs, strict=True):
            binding.bind_input(value.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        binding.bind_output(interface.output.name, "cpu", 0, output.dtype, output.shape, output.ctypes.data)
        inputs[1] = inputs[1].reshape(-1)
        return binding, inputs, output

    @property
    def bindable(self) -> bool:
        """Whether it can be called in bound arrays: with any batch and any times, and without a guard at every call."""
        interface = self._interface
        varies = interface.one_for_all or any(None in one.shape for one in self.spec.conditions)
        return not (
            self._endless or interface.batch is not None or interface.one_time or interface.whole_times or varies
        )

    def _check_conditions(self, conditions: Any) -> Conditions:
        """The conditions by name; raises DtoolError unless they are those that the file takes."""
        told = as_conditions(conditions)
        if (LABEL in told) != bool(self.classes):
            raise DtoolError(
                "the network needs a label for each image" if self.classes else "the network takes no labels",
                "see net.classes",
            )
        missing = [name for name in self._interface.conditions if name not in told]
        if missing or len(told) > len(self._interface.conditions):
            names = ", ".join(self._interface.conditions) or "none"
            raise DtoolError(
                f"the network takes the conditions {names}; got {', '.join(told) or 'none'}", "see net.spec"
            )
        return told
