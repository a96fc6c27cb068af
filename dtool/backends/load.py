"""dtool.load(...) and dtool.network(...): from files, modules and functions to networks."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dtool.arguments import checks_arguments
from dtool.backends.asked import refuse_for_onnx, refuse_said, require_place, require_sense
from dtool.backends.numpy_backend import FunctionNetwork
from dtool.errors import DtoolError, UsageError, shown
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec, described_schedule, warn_of_scaling
from dtool.options import complaint
from dtool.samplers.rule import Prediction
from dtool.schedulers import schedule as schedule_named
from dtool.schedulers.schedule import Schedule


@checks_arguments
def load(
    source: str | Path | Any,
    *,
    device: str = "auto",
    backend: str | None = None,
    spec: NetworkSpec | Mapping[str, Any] | None = None,
    provider: str | None = None,
    time_limit: float | None = None,
    compile: bool = False,  # noqa: A002 - PyTorch's own word for it
    cuda_graph: bool = False,
) -> Network:
    """A network, ready to sample from.

    source: a checkpoint of `dtool train` (.pt, .safetensors), an exported .onnx file, an nn.Module with its `spec`, or
    "package.module:factory", which is imported and called: it runs that code, and returns a Network or (module, spec).
    device: auto, cpu, cuda or cuda:1. backend: "torch" or "onnxruntime", to insist on one.
    spec: of a module, or of an ONNX file that does not say what it is; of that, a dict of those fields will do that
    the file does not show: `{"schedule": "linear", "prediction": "eps"}`, `shape` and `classes` if it asks for them.
    provider: an execution provider of ONNX Runtime, with options, instead of a device: "OpenVINO:device_type=GPU".
    time_limit: seconds after which a call of an ONNX file is stopped; 0: never [default: 120, and 1200 for a file that
    holds a whole sampler].
    compile: of a network on PyTorch, through `torch.compile`: CUDA graphs on CUDA, kernels of its own on the CPU.
    cuda_graph: of an ONNX file on CUDA, with PyTorch beside it: the network's calls as one CUDA graph.
    Raises DtoolError for a file that is missing, broken, foreign or unsafe, and for a device that is not there.
    """
    if backend not in (None, "torch", "onnxruntime"):
        raise UsageError(f"there is no backend {backend!r}", "use torch or onnxruntime")
    if compile or cuda_graph:
        require_sense(source, compile, cuda_graph)
    found = _loaded(source, device, backend, spec, provider, time_limit, cuda_graph)
    return compiled(found) if compile else found


def _loaded(
    source: str | Path | Any,
    device: str,
    backend: str | None,
    spec: NetworkSpec | Mapping[str, Any] | None,
    provider: str | None,
    time_limit: float | None,
    cuda_graph: bool,
) -> Network:
    if not isinstance(source, (str, Path)):
        return _of_module(source, spec, device, backend, provider, time_limit)
    if re.fullmatch(r"[\w.]+:\w+", str(source)):
        refuse_said(str(source), spec)
        made = _from_factory(str(source), device)
        refuse_for_onnx(str(source), made.backend, provider, time_limit)
        require_place(str(source), made, device, backend)
        return made
    path = Path(source)
    kind = path.suffix.lower()
    if kind not in (".pt", ".pth", ".safetensors", ".onnx"):
        raise UsageError(f"{path} is neither a checkpoint nor an ONNX file", "give a .pt, .safetensors or .onnx file")
    if not path.exists():
        raise DtoolError(f"there is no file {path}", "check the path")
    native = "onnxruntime" if kind == ".onnx" else "torch"
    if backend not in (None, native):
        hint = f"dtool export {path}" if native == "torch" else "leave out --backend (backend=)"
        raise UsageError(f"{path} runs on {native}, not on {backend}", hint)
    if native == "onnxruntime":
        return _onnx().open_onnx(path, spec, device, provider, time_limit, cuda_graph)  # type: ignore[no-any-return]
    torch_backend = _torch()
    from dtool.networks import checkpoint

    refuse_for_onnx(str(path), native, provider, time_limit)
    read = checkpoint.read(path)  # before anything is said of what it says: it may be foreign
    refuse_said(str(path), spec)
    own: Network = torch_backend.TorchNetwork(read.build(), read.spec, device)
    own.ours = True
    return own


def _of_module(
    source: Any, spec: Any, device: str, backend: str | None, provider: str | None, time_limit: float | None
) -> Network:
    """A module, or a function on tensors, with its spec."""
    if not isinstance(spec, NetworkSpec):
        hint = "give a file's path, or a module with spec=NetworkSpec(shape=…, schedule=…)"
        raise UsageError(f"source={shown(source)} does not say what it predicts", hint)
    if not callable(source):
        raise UsageError(f"source={shown(source)} is no network", "give a file's path, or a module with its spec")
    if backend not in (None, "torch"):
        raise UsageError(f"a module runs on torch, not on {backend}", "export it first: dtool.export((module, spec))")
    refuse_for_onnx("a module", "torch", provider, time_limit)
    return _torch().TorchNetwork(source, spec, device)  # type: ignore[no-any-return]


def compiled(network: Network) -> Network:
    """The same network on PyTorch, compiled; raises UsageError for one that does not run there."""
    if network.backend != "torch":
        hint = "leave out --compile (compile=True)"
        raise UsageError(f"the network runs on {network.backend}, and only PyTorch compiles", hint)
    module: Any = getattr(network, "module")  # noqa: B009 - what a network on PyTorch has
    return _torch().TorchNetwork(module, network.spec, network.device, compile=True)  # type: ignore[no-any-return]


def _from_factory(name: str, device: str) -> Network:
    """What `package.module:factory` returns; modules in the working directory are found too."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except DtoolError:  # which says itself what is wrong
        raise
    except Exception as error:
        cause = f"{name} cannot be called ({type(error).__name__}: {error})"
        raise DtoolError(cause, "mend it, or check the name") from error
    if isinstance(made, Network):
        return made
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], NetworkSpec):
        return load(made[0], device=device, spec=made[1])
    raise DtoolError(f"{name} returned a {type(made).__name__}", "return dtool.network(…), or (module, NetworkSpec(…))")


@checks_arguments
def default_network(
    device: str = "auto", *, provider: str | None = None, time_limit: float | None = None, cuda_graph: bool = False
) -> Network:
    """The small class-conditional network of handwritten digits inside the package; runs on ONNX Runtime."""
    with as_file(files("dtool.networks") / "digits.onnx") as path:
        made = load(path, device=device, provider=provider, time_limit=time_limit, cuda_graph=cuda_graph)
    made.ours = True
    return made


@checks_arguments
def network(
    fn: Callable[..., Any],
    *,
    shape: tuple[int, ...],
    schedule: str | Schedule = "linear",
    prediction: Prediction = "eps",
    classes: int = 0,
    data_range: tuple[float, float] = (-1.0, 1.0),
    clip: bool = False,
    guidance: float = 1.0,
    learned_variance: bool = False,
    null_class: bool | None = None,
    backend: str = "numpy",
    device: str = "cpu",
) -> Network:
    """Any callable `fn(x, t)` as a network; `fn(x, t, label)` if `classes` > 0, label `(B,)` in 0 … classes-1.

    null_class: whether label = classes means no class, which guidance needs [default: so it is for a function; an
    nn.Module is tried out, with a warning].

    x `(B, *shape)`, t `(B,)`, an index (it may be fractional) into the training `schedule`; returns `(B, *shape)`, with
    learned_variance twice the channels, the second half for the noise's variance (arXiv:2102.09672, eq. 15).
    An nn.Module, or any function with backend="torch", is called with tensors; others with numpy arrays, unless the
    start given to `sample` is a tensor.
    """
    if not callable(fn):
        raise UsageError(f"fn={shown(fn)} is no function", "give a function fn(x, t), or a module")
    made = schedule_named(schedule) if isinstance(schedule, str) else schedule
    if isinstance(schedule, str):
        warn_of_scaling(made)
    module = "torch" in sys.modules and _torch().is_module(fn)
    spec = _spec(
        shape=shape, **described_schedule(made), prediction=prediction, classes=classes,
        data_range=data_range, clip=clip, guidance=guidance, learned_variance=learned_variance,
        null_class=True if null_class is None and not module else null_class,
    )  # fmt: skip
    if backend == "torch" or module:
        return _torch().TorchNetwork(fn, spec, device)  # type: ignore[no-any-return]
    if backend != "numpy" or device != "cpu":
        raise UsageError(f"a function runs on numpy or torch; got {backend} on {device}", "use backend='torch'")
    return FunctionNetwork(fn, spec)


def _spec(**fields: Any) -> NetworkSpec:
    """The spec of these fields; raises UsageError that names the one that is refused."""
    try:
        return NetworkSpec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise UsageError(f"the network cannot be so: {complaint(first)}", "see help(dtool.NetworkSpec)") from error
        name = str(first["loc"][0])
        raise UsageError(f"{name}={shown(fields.get(name))} is refused", complaint(first)) from error


def with_tensors(network: Network) -> Network:
    """The same function on tensors, for a start that is one."""
    if isinstance(network, FunctionNetwork):
        return _torch().TorchNetwork(network.fn, network.spec)  # type: ignore[no-any-return]
    return network


def _torch() -> Any:
    _need("torch", "train", "run PyTorch networks")
    from dtool.backends import torch_backend

    return torch_backend


def _onnx() -> Any:
    """The module that opens ONNX files; raises DtoolError if ONNX Runtime is not there, or not all of it."""
    from dtool.backends.installation import breakage, installed

    try:
        import dtool.backends.onnxruntime_session  # noqa: F401 - its only import that may fail is ONNX Runtime
    except ImportError as error:
        if installed():
            raise DtoolError(*breakage(str(error))) from error
        raise DtoolError("onnxruntime is needed to run ONNX files", "pip install 'dtool-diffusion[cpu]'") from error
    from dtool.backends import onnx_open

    return onnx_open


def _need(module: str, extra: str, purpose: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise DtoolError(f"{module} is needed to {purpose}", f"pip install 'dtool-diffusion[{extra}]'")
