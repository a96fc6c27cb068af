"""The ONNX Runtime backend, CPU and CUDA; it never imports torch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool import bounded
from dtool.backends.allowance import CALL_SECONDS, seconds
from dtool.backends.bound_arrays import Arrays, Stock
from dtool.backends.fused_inputs import require_described
from dtool.backends.numpy_backend import HostNetwork
from dtool.backends.onnx_file import OnnxFile, inspect, refuse
from dtool.backends.onnx_interface import KINDS, interface
from dtool.backends.onnx_spec import spec_of
from dtool.backends.onnxruntime_session import (
    FailedRunError,
    device_of,
    failed_run,
    guarded_run,
    offers_cuda,
    open_session,
)  # fmt: skip
from dtool.errors import DtoolError
from dtool.networks.network import rows_for, warn_of_rounding
from dtool.networks.spec import NetworkSpec

SLOW = 0.5  # seconds of a call from which on it is worth a thread that can be stopped
CUDA_OPERATORS = frozenset({"NhwcConv", "GroupNorm", "SkipGroupNorm"})  # of com.microsoft; no CPU has them
ROUNDED = "the network takes whole times only: those between are rounded (--spacing trailing, --steps that divide T)"


@dataclass(frozen=True)
class Checked:
    """An ONNX file that may be run: its bytes, what was found in them, and its path for errors."""

    data: bytes
    found: OnnxFile
    source: str


def checked(path: Path) -> Checked:
    """Read a file; raises DtoolError if that cannot be done, or it must not be run (see `onnx_file.refuse`)."""
    data = bounded.model(path)
    found = inspect(data, str(path))
    refuse(found, str(path))
    require_described(found, str(path))
    return Checked(data, found, str(path))


def _require_cuda(file: Checked, device: str, provider: str | None) -> None:
    """Refuse a file that was fused for CUDA where there is none."""
    fused = sorted(name for domain, name in file.found.operators if domain and name in CUDA_OPERATORS)
    if fused and provider is None and (device == "cpu" or (device == "auto" and not offers_cuda())):
        raise DtoolError(
            f"{file.source} was fused for CUDA ({', '.join(fused)}): it runs on no CPU",
            "load the network that it was made of, or use --device cuda",
        )


class OnnxNetwork(HostNetwork):
    """An ONNX file with inputs x `(B, *shape)`, t `(B,)` or `()` and, if conditional, label `(B,)`."""

    backend: ClassVar[str] = "onnxruntime"

    def __init__(
        self,
        file: Path | Checked,
        spec: NetworkSpec | Mapping[str, Any] | None = None,
        device: str = "auto",
        *,
        provider: str | None = None,
        time_limit: float | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Check the file and load it; for the arguments see `dtool.load`. settings: see `open_session`.

        Raises DtoolError for a file that cannot or must not be run, and if the device or provider is not there.
        """
        file = checked(file) if isinstance(file, Path) else file
        self._called = interface(file.found, file.source)
        super().__init__(spec_of(file.found, self._called, spec, file.source))
        self._limit, self._source = seconds(time_limit, CALL_SECONDS), file.source
        _require_cuda(file, device, provider)
        more = {"settings": settings} if settings else {}
        self.session = open_session(file.data, file.source, device, provider, self._limit, **more)
        self.device = device_of(self.session)
        self.micro_batch = rows_for(self.shape, 512) if self.device == "cpu" else max(16, rows_for(self.shape, 8192))
        self.fixed_batch = self._called.batch
        self.micro_batch = self.fixed_batch or self.micro_batch
        self._endless = file.found.loops
        self._stock = Stock()
        self._guard = True  # the next call: not that of a network without loops whose last one was fast

    def predict(self, x: Any, t: Any, label: Any = None) -> NDArray[Any]:
        """Run the session once; answers in the dtype of `x`. Raises DtoolError if the session fails."""
        self._check(label)
        batch = self._called.batch
        if batch is None or len(x) == batch:
            output = self._run(x, t, label)
        else:
            rows = np.minimum(np.arange(-(-len(x) // batch) * batch), len(x) - 1).reshape(-1, batch)
            parts = [self._run(x[i], t[i], None if label is None else label[i]) for i in rows]
            output = np.concatenate(parts)[: len(x)]
        self.require_shape(output, x)
        return output.astype(x.dtype, copy=False)

    def _run(self, x: Any, t: Any, label: Any) -> NDArray[Any]:
        """One call of the session; if that fails, one of one image tells whether a batch is baked into the graph."""
        try:
            return self._called_with(x, t, label)
        except FailedRunError as error:
            if len(x) == 1 or not self._runs(x[:1], t[:1], None if label is None else label[:1]):
                raise
            guided = ", with --guidance 1 (guidance=1)" if self.classes else ""
            raise DtoolError(
                f"{self._source} says that it takes any batch, and takes one image at a time: {error.line}",
                f"use --batch-size 1 (batch_size=1){guided}; or export it again, with a dynamic batch",
            ) from error

    def _runs(self, x: Any, t: Any, label: Any) -> bool:
        try:
            return len(self._called_with(x, t, label)) == len(x)
        except DtoolError:
            return False

    def _called_with(self, x: Any, t: Any, label: Any) -> NDArray[Any]:
        """The session's output; in a thread that can be stopped if it may be long."""
        called = self._called
        feed = {called.x.name: x.astype(KINDS[called.x.kind], copy=False), called.t.name: self._times(t)}
        if called.label is not None:
            feed[called.label.name] = label.astype(KINDS[called.label.kind], copy=False)
        started = time.perf_counter()
        output: NDArray[Any]
        if self._guard:
            output = guarded_run(self.session, [called.output.name], feed, self._limit)[0]
        else:
            try:
                output = self.session.run([called.output.name], feed)[0]
            except Exception as error:
                raise failed_run(error) from error
        self._guard = self._endless or time.perf_counter() - started > SLOW
        return output

    def warn_of_times(self, times: NDArray[np.float64]) -> None:
        """As every network: of one whose input for them has half precision. Whole numbers are seen to at every call."""
        kind = KINDS[self._called.t.kind]
        if kind is np.float16:
            warn_of_rounding(times, times.astype(kind), "the network takes its times in half precision")

    def _times(self, t: Any) -> NDArray[Any]:
        if self._called.whole_times:
            whole = np.rint(t)
            if (whole != t).any():
                warnings.warn(ROUNDED, stacklevel=2)
            t = whole
        return self._called.times(t)

    def bound(self, like: Any, label: Any = None) -> Callable[[Any, Any], NDArray[Any]]:
        """`predict` in buffers that are bound to the session once: of a small network's call that saves some 2 %."""
        self._check(label)
        if not self.bindable:
            return super().bound(like, label)
        loan = self._stock.loan(len(like), self._arrays)
        binding, (own_x, own_t, *own_label), output = loan.arrays
        if label is not None:
            own_label[0][:] = label

        def predict(x: Any, t: Any) -> NDArray[Any]:
            if self._guard:
                return self.predict(x, t, label)
            if x is not own_x:
                np.positive(x, out=own_x, casting="same_kind")
            np.positive(t, out=own_t, casting="same_kind")
            started = time.perf_counter()
            try:
                self.session.run_with_iobinding(binding)
            except Exception:
                return self.predict(x, t, label)  # which says what is wrong
            self._guard = time.perf_counter() - started > SLOW
            return output if output.dtype == x.dtype else output.astype(x.dtype)

        predict.home = own_x  # type: ignore[attr-defined] # an x that lies there already is not copied
        predict.loan = loan  # type: ignore[attr-defined] # ends with this function
        return predict

    def _arrays(self, batch: int) -> Arrays:
        """A binding, and the arrays of a batch that it knows the addresses of."""
        called = self._called
        taken = [(called.x, (batch, *self.shape)), (called.t, called.times(np.zeros(batch)).shape)]
        taken += [] if called.label is None else [(called.label, (batch,))]
        inputs = [np.empty(shape, KINDS[value.kind]) for value, shape in taken]
        output = np.empty((batch, *self.spec.output_shape), KINDS[called.output.kind])
        binding = self.session.io_binding()
        for (value, _), array in zip(taken, inputs, strict=True):
            binding.bind_input(value.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        binding.bind_output(called.output.name, "cpu", 0, output.dtype, output.shape, output.ctypes.data)
        inputs[1] = inputs[1].reshape(-1)
        return binding, inputs, output

    @property
    def bindable(self) -> bool:
        """Whether it can be called in bound arrays: with any batch and any times, and without a guard at every call."""
        called = self._called
        return not (self._endless or called.batch is not None or called.one_time or called.whole_times)

    def _check(self, label: Any) -> None:
        if (label is None) != (self.classes == 0):
            raise DtoolError(
                "the network needs a label for each image" if self.classes else "the network takes no labels",
                "see net.classes",
            )
