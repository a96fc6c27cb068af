"""From what a user names to a network's ONNX graph: a checkpoint, a module, an exported file, the package's own."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool import bounded
from dtool.backends.load import load
from dtool.backends.onnx_file import inspect, refuse
from dtool.backends.onnx_interface import interface
from dtool.errors import DtoolError, UsageError
from dtool.export.size import module_size, require_small
from dtool.networks.batch_invariance import require_examined
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec

if TYPE_CHECKING:
    import onnx
    from torch import nn

KINDS = (".pt", ".pth", ".safetensors")


@dataclass(frozen=True)
class Source:
    """A network to be exported: its graph, its spec, and the PyTorch module, float32 on the CPU, if there is one.

    mixes: whether an image depends on the others in its batch.
    """

    proto: onnx.ModelProto
    spec: NetworkSpec
    module: nn.Module | None
    mixes: bool = False


def require_packages(*names: str) -> None:
    """Raise DtoolError unless all are installed; the hint names the extra that brings the first one missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            extra = "cpu" if name == "onnxruntime" else "export"
            hint = f"pip install 'dtool-diffusion[{extra}]'" + (", or leave out the check" if extra == "cpu" else "")
            raise DtoolError(f"{name} is needed for this export", hint)


def source(net: Any, said: NetworkSpec | Mapping[str, Any] | None = None) -> Source:
    """The network that `net` names: see `dtool.export`. `said`: what an ONNX file is that does not say so itself.

    Raises DtoolError for what cannot be exported.
    """
    if isinstance(net, (str, Path)) and Path(net).suffix.lower() == ".onnx":
        return _from_file(Path(net), said)
    if said is not None and (net is None or isinstance(net, (str, Path, Network))):
        if isinstance(net, (str, Path)):
            load(net, device="cpu", spec=said)  # which says what is wrong: it may be no network of dtool's
        raise UsageError(
            f"{'this network' if net else 'the network inside the package'} says itself what it was trained for",
            "leave out --schedule, --prediction and the like (spec=)",
        )
    if said is not None:
        net = (net, said)
    if net is None:
        with as_file(files("dtool.networks") / "digits.onnx") as path:
            return _from_file(path, None)
    require_packages("torch", "onnx", "onnxscript")
    from dtool.export.graph import alone, to_onnx

    module, spec = _module(net)
    require_small(module_size(module), str(net) if isinstance(net, (str, Path)) else "the network")
    module = copy.deepcopy(module).to("cpu").float().eval()
    for weight in module.parameters():  # not the module's own way, which one that is scripted in part does not have
        weight.requires_grad_(False)
    module = alone(module, spec)
    network = load(module, device="cpu", spec=spec)
    spec = _tried(network)
    graph = to_onnx(module, spec)
    return Source(graph, spec, module, not getattr(net, "ours", isinstance(net, (str, Path))) and _mixes(network))


def _from_file(path: Path, said: NetworkSpec | Mapping[str, Any] | None) -> Source:
    require_packages("onnx")
    import onnx

    from dtool.export.adapted import adapted, require_standard

    bounded.require_room_for(path, 1)
    require_small(path.stat().st_size, str(path))
    data = bounded.model(path)
    found = inspect(data, str(path))
    refuse(found, str(path))
    require_standard(found, str(path))
    try:
        network = load(path, device="cpu", spec=said)
    except DtoolError as error:
        if said is None and "dtool" not in found.metadata:
            hint = error.hint.replace("dtool sample", "dtool export --recipe ddim", 1)
            raise DtoolError(str(error), hint) from error
        raise
    if network.plan is not None:
        raise UsageError(f"{path} is a sampler already", "give the network's own file, or the checkpoint")
    called = interface(found, str(path))
    if called.batch is not None:
        raise DtoolError(
            f"{path} takes batches of {called.batch} only, and a sampler needs a free batch",
            "export the network again, with a dynamic batch; dtool sample runs it as it is",
        )
    return Source(adapted(onnx.load_model_from_string(data), called), _tried(network), None, _mixes(network))


def _tried(network: Network) -> NetworkSpec:
    """The network's spec, which says that there is no label for no class if one was tried and refused."""
    spec = network.spec
    if spec.classes and spec.null_class is None and not network.takes_null_label:
        return spec.model_copy(update={"null_class": False})
    return spec


def _mixes(network: Network) -> bool:
    """Whether an image depends on the others in its batch, which is warned of."""
    require_examined(network)
    return bool(network.mixes)


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
