"""The ONNX Runtime backend, CPU and CUDA; it never imports torch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.conditions import LABEL, Conditions, as_conditions, make_trial_conditions, take_entries
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.micro_batch import choose_default_micro_batch, pad_calls, split_evenly
from dtool.models.network import warn_of_rounding
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.models.spec import NetworkSpec
from dtool.onnx.bound_arrays import Arrays, BufferPool, bind_arrays
from dtool.onnx.checked_file import CheckedFile, read_checked_file
from dtool.onnx.fused_for_cuda import require_cuda
from dtool.onnx.interface import KINDS, identify_inputs
from dtool.onnx.limits import CALL_SECONDS, resolve_time_limit
from dtool.onnx.parallel_session import KEEP_BOTH
from dtool.onnx.process_guard import run_together
from dtool.onnx.session import (
    FailedRunError,
    failed_run_error,
    find_device,
    open_session,
    run_session,
    run_session_together,
)  # fmt: skip
from dtool.onnx.spec import KEY, determine_spec, list_known_conditions
from dtool.run.numpy_backend import HostNetwork
from dtool.run.rewritten_session import SessionChoice, choose_session
from dtool.run.side_by_side_calls import Feed, SideBySideCalls, split_batch
from dtool.util.cores import count_cores

if TYPE_CHECKING:
    import onnxruntime as ort

CPU = "CPUExecutionProvider"
SLOW = 0.5  # seconds of a call from which on it is worth a thread that can be stopped
ROUNDED = "the network takes whole times only: those between are rounded (--spacing trailing, --steps that divide T)"


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
        self.message = file.data  # which its session holds
        self._interface = identify_inputs(file.graph, file.source, list_known_conditions(file.graph, description))
        super().__init__(determine_spec(file.graph, self._interface, description, file.source))
        self.has_known_prediction = KEY in file.graph.metadata  # it says itself what it was trained for
        self._limit, self._source = resolve_time_limit(runtime.time_limit, CALL_SECONDS), file.source
        require_cuda(file, runtime)
        self.session = open_session(self.message, file.source, runtime, settings, weights=file.weights)
        self.device = find_device(self.session)
        self.fixed_batch = self._interface.batch
        self.micro_batch = self.fixed_batch or choose_default_micro_batch(self.shape, self.device)
        self._endless = file.graph.loops
        self._stock = BufferPool()
        self._guard = True  # the next call: not that of a network without loops whose last one was fast

        def reopen(data: bytes, threads: int | None = None) -> ort.InferenceSession:
            return open_session(data, file.source, runtime, weights=file.weights, threads=threads)

        self._side_by_side = SideBySideCalls(lambda: reopen(self.message, 1), self._run_feeds, self._make_trial_feed)
        on_cpu = settings is None and self.session.get_providers()[0] == CPU
        self._choice = SessionChoice((lambda: choose_session(self, file, reopen)) if on_cpu else None)
        if on_cpu and self.bindable and file.weights is None and file.size <= KEEP_BOTH:
            self._side_by_side.workers = count_cores()

    @property
    def path(self) -> Path:
        """The network's file."""
        return Path(self._source)

    def predict(self, x: Any, t: Any, conditions: Any = None) -> NDArray[Any]:
        """Run the session once; answers in the dtype of `x`. Raises DtoolError if the session fails."""
        self._choice.make()
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
        parts = self._side_by_side.split(len(x))
        started = time.perf_counter()
        output: NDArray[Any]
        if len(parts) > 1:
            output = self._side_by_side.run(feed, parts)
        elif self._guard:
            output = run_session(self.session, [interface.output.name], feed, self._limit)[0]
        else:
            try:
                output = self.session.run([interface.output.name], feed)[0]
            except Exception as error:
                raise failed_run_error(error) from error
        self._guard = self._endless or time.perf_counter() - started > SLOW
        self._side_by_side.note(len(x))
        return output

    def _run_feeds(self, feeds: Sequence[Feed], alone: ort.InferenceSession | None) -> list[NDArray[Any]]:
        """The outputs of calls at the same time, of one thread each; without its session, of one with all threads."""
        session = alone or self.session
        return [one[0] for one in run_session_together(session, [self._interface.output.name], feeds, self._limit)]

    def _make_trial_feed(self, batch: int) -> Feed:
        """Random inputs of the session."""
        random, interface = np.random.default_rng(0), self._interface
        told = make_trial_conditions(self.spec, batch, random)
        x = random.standard_normal((batch, *self.shape)).astype(KINDS[interface.x.kind])
        t = self._times(self.tell(random.uniform(0, self.schedule.T - 1, batch)).astype(np.float32))
        feed = {interface.x.name: x, interface.t.name: t}
        return feed | {value.name: interface.tell(name, told[name]) for name, value in interface.conditions.items()}

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
        self._choice.make()
        if not self.bindable:
            return super().bind(like, told)
        loan = self._stock.lend((len(like), len(self._side_by_side.split(len(like)))), self._arrays)
        runs, (own_x, own_t, *own_conditions), output = loan.arrays
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
                run_together(runs)
            except Exception:
                return self.predict(x, t, told)  # which says what is wrong
            self._guard = time.perf_counter() - started > SLOW
            self._side_by_side.note(len(output))
            return output if output.dtype == x.dtype else output.astype(x.dtype)

        predict.home = own_x  # type: ignore[attr-defined] # an x that lies there already is not copied
        predict.loan = loan  # type: ignore[attr-defined] # ends with this function
        return predict

    def _arrays(self, way: tuple[int, int]) -> Arrays:
        """The arrays of a batch, and the runs that know their addresses: one, or one for each of so many parts."""
        batch, workers = way
        interface = self._interface
        arrays = [(interface.x, (batch, *self.shape)), (interface.t, interface.times(np.zeros(batch)).shape)]
        fixed = {one.name: one.shape for one in self.spec.conditions}
        arrays += [(value, (batch, *fixed.get(name, ()))) for name, value in interface.conditions.items()]
        inputs = [np.empty(shape, KINDS[value.kind]) for value, shape in arrays]
        output = np.empty((batch, *self.spec.output_shape), KINDS[interface.output.kind])
        session = self.session if workers == 1 else self._side_by_side.session
        names, name = [value.name for value, _ in arrays], interface.output.name
        runs = [
            bind_arrays(session, {k: each[part] for k, each in zip(names, inputs, strict=True)}, name, output[part])
            for part in split_batch(batch, workers)
        ]
        inputs[1] = inputs[1].reshape(-1)
        return runs, inputs, output

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
