"""An ONNX file whose whole run stays on its device: x, history and noise are tensors there.

The network is ONNX Runtime's, called in arrays that lie at fixed addresses of the device. The step around it is the
loop of every backend, on PyTorch's tensors, which share those addresses: so each plan, clipping, guidance and learned
variance runs here as it does elsewhere. The other way was a second session for the step, without PyTorch; but ONNX
Runtime gives each session a stream of its own, and something must make the two wait for each other. PyTorch's events do
that on the device, so that the host goes on: what a call returns may not be computed yet.

With `cuda_graph`, ONNX Runtime records the network's kernels once for each batch size, and repeats them as one CUDA
graph. Some of its releases wait on the host after each repetition, which no setting of theirs changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.conditions import as_conditions
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.onnx.checked_file import CheckedFile
from dtool.onnx.interface import KINDS
from dtool.onnx.session import failed_run_error, make_run_options, run_bound_session
from dtool.run.onnxruntime_backend import OnnxNetwork
from dtool.run.torch_backend import TensorNetwork, is_tensor

SLOTS = 8  # batch sizes whose arrays are kept
GRAPHS = 32  # of a network; ONNX Runtime forgets none, so that further batch sizes run without
NOT_RECORDED = "-1"
ON_CUDA = Runtime(device="cuda")


class DeviceNetwork(TensorNetwork, OnnxNetwork):  # type: ignore[misc]  # tensors instead of arrays
    """`OnnxNetwork` on tensors. With arrays of numpy it answers in arrays of numpy.

    A network that cannot be bound (see `OnnxNetwork.bindable`) is called from the host, as ever.
    """

    def __init__(
        self,
        file: CheckedFile,
        description: NetworkSpec | Description = UNDESCRIBED,
        runtime: Runtime = ON_CUDA,
    ) -> None:
        """runtime: its device is cuda or cuda:1; cpu too, which is how it is tested.

        Raises what `OnnxNetwork` raises, and UsageError for a graph of a network that cannot be bound.
        """
        graph = runtime.cuda_graph
        if graph and file.graph.loops:  # ONNX Runtime would refuse it in words of its own
            raise _no_graph_error(file.source)
        place = torch.device(runtime.device)
        self._stream = None
        settings: dict[str, str] = {}
        if place.type == "cuda":
            place = torch.device("cuda", place.index or 0)  # ONNX Runtime's device 0, whatever PyTorch's current one is
            self._stream = torch.cuda.Stream(place)  # type: ignore[no-untyped-call]
            settings = {
                "user_compute_stream": str(self._stream.cuda_stream),
                "enable_cuda_graph": str(int(runtime.cuda_graph)),
            }
        OnnxNetwork.__init__(self, file, description, runtime, settings=settings)
        self.place, self._graph = str(place), graph
        if graph and not self.bindable:
            raise _no_graph_error(file.source)
        self._slots: dict[int, _Slot] = {}
        self._numbers = count(1)

    def predict(self, x: Any, t: Any, conditions: Any = None) -> Any:
        """One call; answers in an array of its own, of the kind and dtype of `x`."""
        if self.bindable:
            output = self.bind(x, conditions)(x, t)
            return output.clone() if is_tensor(output) else output.copy()
        told = {name: self._to_host(values) for name, values in as_conditions(conditions).items()}
        host = OnnxNetwork.predict(self, self._to_host(x), self._to_host(t), told)
        return self.array(host) if is_tensor(x) else host

    def bind(self, like: Any, conditions: Any = None) -> Callable[[Any, Any], Any]:
        """`predict` for these conditions and arrays like `like`; the next call of that size overwrites its answer."""
        told = self._check_conditions(conditions)
        if not self.bindable:
            return lambda x, t: self.predict(x, t, told)
        others = [self._to_device(told[name]) for name in self._interface.conditions]
        slot = self._slot(len(like))

        def predict(x: Any, t: Any) -> Any:
            output = slot(self._to_device(x), self._to_device(t), *others)
            self.require_shape(output, x)
            return output.to(x.dtype) if is_tensor(x) else self.numpy(output).astype(x.dtype, copy=False)

        return predict

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """The parts one after another along the batch."""
        return torch.cat(list(parts)) if is_tensor(parts[0]) else np.concatenate(parts)

    def numpy(self, values: Any) -> NDArray[Any]:
        """Values as a numpy array on the host, which waits for the device."""
        return self._to_host(values)

    def _to_device(self, values: Any) -> torch.Tensor:
        return values if is_tensor(values) else self.array(values)

    def _to_host(self, values: Any) -> NDArray[Any]:
        return TensorNetwork.numpy(self, values) if is_tensor(values) else np.asarray(values)

    def _slot(self, batch: int) -> _Slot:
        """The arrays for this batch size, made once; of those that were not used for long some go."""
        slot = self._slots.pop(batch, None) or _Slot(self, batch, next(self._numbers))
        self._slots[batch] = slot
        while len(self._slots) > SLOTS:
            del self._slots[next(iter(self._slots))]
        return slot


def _no_graph_error(source: str) -> UsageError:
    return UsageError(
        f"{source} takes one batch size, one time or whole times, or holds a loop: no CUDA graph",
        "leave out --cuda-graph (cuda_graph=True)",
    )


class _Slot:
    """The network's inputs and output for one batch size, at addresses that stay, and the binding that knows them."""

    def __init__(self, network: DeviceNetwork, batch: int, number: int) -> None:
        interface = network._interface
        times = interface.times(np.zeros(batch)).shape
        inputs = [(interface.x, (batch, *network.shape)), (interface.t, times)]
        fixed = {one.name: one.shape for one in network.spec.conditions}
        inputs += [(value, (batch, *fixed.get(name, ()))) for name, value in interface.conditions.items()]
        self._network, self._binding = network, network.session.io_binding()
        self._inputs = [self._bind_tensor(self._binding.bind_input, value, shape) for value, shape in inputs]
        output_shape = (batch, *network.spec.output_shape)
        self._output = self._bind_tensor(self._binding.bind_output, interface.output, output_shape)
        recorded = network._graph and number <= GRAPHS
        self._options = make_run_options(
            gpu_graph_id=str(number) if recorded else NOT_RECORDED, disable_synchronize_execution_providers="1"
        )
        self._warm = False

    def _bind_tensor(self, bind: Callable[..., None], value: Any, shape: tuple[int, ...]) -> torch.Tensor:
        """A tensor of this shape, bound to an input or an output. The binding does not keep it alive: the slot does."""
        kind = np.dtype(KINDS[value.kind])
        tensor = torch.zeros(shape, dtype=torch.from_numpy(np.empty(0, kind)).dtype, device=self._network.place)
        place = torch.device(self._network.place)
        bind(value.name, place.type, place.index or 0, kind, shape, tensor.data_ptr())
        return tensor

    def __call__(self, *values: torch.Tensor) -> torch.Tensor:
        """The output for x `(B, *shape)`, t `(B,)` and the conditions `(B, *)`; it may still be on its way."""
        for mine, value in zip(self._inputs, values, strict=True):
            mine.copy_(value.reshape(mine.shape))
        stream = self._network._stream
        if stream is None:
            self._run()
        else:  # both wait on the device: the host goes on
            here = torch.cuda.current_stream(self._network.place)
            stream.wait_stream(here)
            self._run()
            here.wait_stream(stream)
        return self._output

    def _run(self) -> None:
        network = self._network
        if self._warm:
            try:
                network.session.run_with_iobinding(self._binding, self._options)
            except RuntimeError as error:
                raise failed_run_error(error) from error
        else:  # the first run of a size chooses kernels and takes memory: it is not recorded, and it can be stopped
            options = make_run_options(gpu_graph_id=NOT_RECORDED)
            run_bound_session(network.session, self._binding, options, network._limit)
            self._warm = True
