"""From what a user names to a network's ONNX graph: a checkpoint, a module, an exported file, the package's own."""

from __future__ import annotations

import copy
import importlib.util
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.backends.load import load
from dtool.backends.onnx_file import inspect, refuse
from dtool.backends.onnx_interface import interface
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec

if TYPE_CHECKING:
    import onnx
    from torch import nn

KINDS = (".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class Source:
    """A network to be exported: its graph, its spec, and the PyTorch module, float32 on the CPU, if there is one."""

    proto: onnx.ModelProto
    spec: NetworkSpec
    module: nn.Module | None


def require_packages(*names: str) -> None:
    """Raise DtoolError unless all are installed; the hint names the extra that brings the first one missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            extra = "cpu" if name == "onnxruntime" else "export"
            hint = f"pip install 'dtool-diffusion[{extra}]'" + (", or leave out the check" if extra == "cpu" else "")
            raise DtoolError(f"{name} is needed for this export", hint)


def source(net: Any) -> Source:
    """The network that `net` names: see `dtool.export`. Raises DtoolError for what cannot be exported."""
    if net is None:
        with as_file(files("dtool.networks") / "digits.onnx") as path:
            return _from_file(path)
    if isinstance(net, (str, Path)) and Path(net).suffix.lower() == ".onnx":
        return _from_file(Path(net))
    require_packages("torch", "onnx", "onnxscript")
    from dtool.export.graph import to_onnx

    module, spec = _module(net)
    module = copy.deepcopy(module).to("cpu").float().eval()
    for weight in module.parameters():  # not the module's own way, which one that is scripted in part does not have
        weight.requires_grad_(False)
    return Source(to_onnx(module, spec), spec, module)


def _from_file(path: Path) -> Source:
    require_packages("onnx")
    import onnx

    try:
        data = path.read_bytes()
    except OSError as error:
        raise DtoolError(f"cannot read {path}: {error.strerror}", "check the path") from error
    found = inspect(data, str(path))
    refuse(found, str(path))
    if "dtool" not in found.metadata:
        raise DtoolError(f"{path} does not say what network it is", "give the checkpoint, or a file of dtool export")
    network = load(path, device="cpu")
    if network.plan is not None:
        raise UsageError(f"{path} is a sampler already", "give the network's own file, or the checkpoint")
    called = interface(found, str(path))
    floats = called.x.kind == called.t.kind == called.output.kind == onnx.TensorProto.FLOAT
    if not floats or called.one_time or called.batch is not None or len(called.t.dims or (0,)) != 1:
        raise DtoolError(
            f"{path} cannot be put into a sampler: that needs x and t in float32, t for each image, and a free batch",
            "give the checkpoint, or a file of dtool export",
        )
    proto = onnx.load_model_from_string(data)
    order = {value.name: i for i, value in enumerate((called.x, called.t, called.label)) if value is not None}
    inputs = sorted((v for v in proto.graph.input if v.name in order), key=lambda v: order[v.name])
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    return Source(proto, network.spec, None)


def _module(net: Any) -> tuple[nn.Module, NetworkSpec]:
    """The module and what is known of it."""
    from torch import nn

    if isinstance(net, str | Path):
        net = load(net, device="cpu")
    if isinstance(net, nn.Module):
        raise UsageError("a module alone does not say what it was trained for", "give (module, NetworkSpec(...))")
    module, spec = (
        net if isinstance(net, tuple) and len(net) == 2 else (getattr(net, "module", None), getattr(net, "spec", None))
    )
    if not isinstance(module, nn.Module) or not isinstance(spec, NetworkSpec):
        hint = "give a checkpoint's path, a network loaded from one, or (module, NetworkSpec(...))"
        if isinstance(net, Network) and net.backend == "onnxruntime":
            hint = "give the path of its file"
        raise UsageError(f"a {type(net).__name__} cannot be exported: it holds no PyTorch module", hint)
    return module, spec
