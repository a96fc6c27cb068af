"""The ONNX Runtime backend, CPU and CUDA. The only file that imports onnxruntime; it never imports torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from dtool.backends.numpy_backend import HostNetwork
from dtool.backends.onnx_file import inspect, refuse
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import rows_for
from dtool.networks.spec import NetworkSpec

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
          "tensor(int64)": np.int64, "tensor(int32)": np.int32}  # fmt: skip


class OnnxNetwork(HostNetwork):
    """An ONNX file with inputs x `(B, *shape)`, t `(B,)` and, if conditional, label `(B,)`."""

    backend: ClassVar[str] = "onnxruntime"

    def __init__(self, path: Path, spec: NetworkSpec | None = None, device: str = "auto") -> None:
        """Check the file (see `onnx_file.refuse`) and load it; `spec` is for a file without dtool's metadata.

        Raises DtoolError for a file that cannot or must not be run, and if `device` is not there.
        """
        data = _read(path)
        found = inspect(data, str(path))
        refuse(found, str(path))
        super().__init__(spec or _spec(found.metadata, path))
        self.session = _session(data, path, device)
        self.device = "cuda" if self.session.get_providers()[0] == _PROVIDERS["cuda"] else "cpu"
        self.micro_batch = rows_for(self.shape, 512) if self.device == "cpu" else max(16, rows_for(self.shape, 8192))
        names = [(node.name, _TYPES.get(node.type)) for node in self.session.get_inputs()]
        if len(names) != (3 if self.classes else 2) or any(kind is None for _, kind in names):
            raise DtoolError(
                f"{path} has the inputs {', '.join(name for name, _ in names)}; expected x, t"
                + ", label" * bool(self.classes),
                "export the network alone, with dtool export",
            )
        self._inputs = [(name, np.dtype(kind)) for name, kind in names]
        answer = self.session.get_outputs()[0]
        self._output = answer.name, np.dtype(_TYPES.get(answer.type, np.float32))

    def predict(self, x: Any, t: Any, label: Any = None) -> NDArray[Any]:
        """Run the session once; answers in the dtype of `x`. Raises DtoolError if the session fails."""
        self._check(label)
        values = (x, t) if label is None else (x, t, label)
        feed = {name: value.astype(kind, copy=False) for (name, kind), value in zip(self._inputs, values, strict=True)}
        try:
            output: NDArray[Any] = self.session.run(None, feed)[0]
        except Exception as error:
            reason = str(error).splitlines()[0][:200]
            raise DtoolError(f"ONNX Runtime cannot run the network: {reason}", "export it again") from error
        self.require_shape(output, x)
        return output.astype(x.dtype, copy=False)

    def bound(self, like: Any, label: Any = None) -> Callable[[Any, Any], NDArray[Any]]:
        """`predict` in buffers that are bound to the session once: of a small network's call that saves some 2 %."""
        self._check(label)
        shapes = [like.shape, (len(like),), (len(like),)]
        inputs = [np.empty(shape, kind) for (_, kind), shape in zip(self._inputs, shapes, strict=False)]
        output = np.empty((len(like), *self.spec.output_shape), self._output[1])
        binding = self.session.io_binding()
        for (name, kind), values in zip(self._inputs, inputs, strict=True):
            binding.bind_input(name, "cpu", 0, kind, values.shape, values.ctypes.data)
        binding.bind_output(self._output[0], "cpu", 0, self._output[1], output.shape, output.ctypes.data)
        if label is not None:
            inputs[2][:] = label

        def predict(x: Any, t: Any) -> NDArray[Any]:
            inputs[0][:], inputs[1][:] = x, t  # the binding knows addresses only: this also keeps the arrays alive
            try:
                self.session.run_with_iobinding(binding)
            except Exception:
                return self.predict(x, t, label)  # which says what is wrong
            return output if output.dtype == x.dtype else output.astype(x.dtype)

        return predict

    def _check(self, label: Any) -> None:
        if (label is None) != (self.classes == 0):
            raise DtoolError(
                "the network needs a label for each image" if self.classes else "the network takes no labels",
                "see net.classes",
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DtoolError(f"cannot read {path}: {error.strerror}", "check the path") from error


def _spec(metadata: dict[str, str], path: Path) -> NetworkSpec:
    """The spec in the file's metadata."""
    if "dtool" not in metadata:
        raise DtoolError(
            f"{path} does not say what network it is: it has no dtool metadata",
            "export it with dtool export, or load it in Python with spec=NetworkSpec(…)",
        )
    try:
        described = json.dumps(json.loads(metadata["dtool"])["spec"])
    except (ValueError, KeyError, TypeError) as error:
        raise DtoolError(f"{path}: its dtool metadata cannot be read", "export it again") from error
    return NetworkSpec.read(described, str(path))


def providers() -> list[str]:
    """The execution providers that this installation of ONNX Runtime has."""
    return list(ort.get_available_providers())


def _session(data: bytes, path: Path, device: str) -> ort.InferenceSession:
    """A session whose first provider is the one asked for: ONNX Runtime itself would fall back without a word."""
    kind = device.partition(":")[0]
    if kind not in ("auto", *_PROVIDERS):
        raise UsageError(f"there is no device {device!r}", "use auto, cpu or cuda")
    available = providers()
    if kind == "cuda" and _PROVIDERS["cuda"] not in available:
        raise DtoolError(
            "device cuda is not there: this ONNX Runtime is built without CUDA",
            "pip uninstall onnxruntime; pip install 'dtool-diffusion[gpu]'; or use --device cpu",
        )
    wanted: list[Any] = [_PROVIDERS["cpu"]]
    if kind != "cpu" and _PROVIDERS["cuda"] in available:
        ort.preload_dlls()
        number = int(device.partition(":")[2] or 0)
        wanted.insert(0, (_PROVIDERS["cuda"], {"device_id": number, "use_tf32": 0}))
    options = ort.SessionOptions()
    options.log_severity_level = 4 if kind == "auto" else 3
    try:
        session = ort.InferenceSession(data, options, providers=wanted)
    except Exception as error:
        reason = str(error).splitlines()[0][:200]
        raise DtoolError(f"ONNX Runtime cannot load {path}: {reason}", "export it again, at opset 20") from error
    if kind == "cuda" and session.get_providers()[0] != _PROVIDERS["cuda"]:
        raise DtoolError(
            "device cuda is not there: ONNX Runtime could not start its CUDA provider",
            "install a driver and pip install 'dtool-diffusion[gpu]'; or use --device cpu",
        )
    return session
