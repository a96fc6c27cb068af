"""From what a user names to a network's ONNX graph: a checkpoint, a module, an exported file, the package's own."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import DtoolError, UsageError
from dtool.export.network.opset_numbers import OLDEST_OPSET, OPSET
from dtool.export.size_limit import module_size, require_exportable
from dtool.models.batch_invariance import check_batch_invariance
from dtool.models.codec import Codec
from dtool.models.description import UNDESCRIBED, Description
from dtool.models.network import Network
from dtool.models.picture_conditions import PictureConditions
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.models.text import TextEncoder
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.interface import identify_inputs
from dtool.run.load import open_source
from dtool.util import bounded_reading

if TYPE_CHECKING:
    import onnx
    from torch import nn

KINDS = (".pt", ".pth", ".safetensors")
ON_CPU = Runtime(device="cpu")


@dataclass(frozen=True, kw_only=True)
class SourceNetwork:
    """A network to be exported: its graph, its spec, and the PyTorch module, float32 on the CPU, if there is one.

    mixes: whether an image depends on the others in its batch. codec, text, pictures: what is around it, if anything.
    weak: another network's graph, which guidance compares with.
    """

    proto: onnx.ModelProto
    spec: NetworkSpec
    module: nn.Module | None
    mixes: bool = False
    codec: Codec | None = None
    text: TextEncoder | None = None
    pictures: PictureConditions | None = None
    weak: onnx.ModelProto | None = None


def require_packages(*names: str) -> None:
    """Raise DtoolError unless all are installed; the hint names the extra that brings the first one missing."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            extra = "cpu" if name == "onnxruntime" else "export"
            hint = f"pip install 'dtool-diffusion[{extra}]'" + (", or leave out the check" if extra == "cpu" else "")
            raise DtoolError(f"{name} is needed for this export", hint)


def resolve_source(
    net: Any, description: NetworkSpec | Description = UNDESCRIBED, *, large: bool = False
) -> SourceNetwork:
    """The network that `net` names: see `dtool.export`. `description`: of an ONNX file that has none itself.
    large: whether it may have more weights than an ONNX file holds.

    Raises DtoolError for what cannot be exported.
    """
    if isinstance(net, (str, Path)) and Path(net).suffix.lower() == ".onnx":
        return _load_onnx(Path(net), description)
    described = isinstance(description, NetworkSpec) or not description.is_empty
    if described and (net is None or isinstance(net, (str, Path, Network))):
        if isinstance(net, (str, Path)):
            open_source(net, description, ON_CPU)  # which says what is wrong: it may be no network of dtool's
        raise UsageError(
            f"{'this network' if net else 'the network inside the package'} says itself what it was trained for",
            "leave out --schedule, --prediction and the like (spec=)",
        )
    if described:
        net = (net, description)
    if net is None:
        with as_file(files("dtool.models") / "digits.onnx") as path:
            return _load_onnx(path)
    return _export_module(net, large)


def _export_module(net: Any, large: bool) -> SourceNetwork:
    """The graph of a network on PyTorch: of a file, a factory's name, a module or a function with its spec."""
    require_packages("torch", "onnx", "onnxscript")
    from torch import nn

    from dtool.export.network.function_module import FunctionModule
    from dtool.export.network.graph import to_onnx
    from dtool.export.network.inputs import unwrap_output

    around = open_source(net, runtime=ON_CPU) if isinstance(net, (str, Path)) else net
    if getattr(around, "backend", None) == "onnxruntime" and isinstance(net, (str, Path)):
        return _load_parts(around, str(net))
    module, spec = _unpack_module(around)
    if isinstance(module, nn.Module) and not large:
        require_exportable(module_size(module), str(net) if isinstance(net, (str, Path)) else "the network")
    module = copy.deepcopy(module) if isinstance(module, nn.Module) else FunctionModule(module)
    module = module.to("cpu").float().eval()
    for weight in module.parameters():  # not the module's own way, which one that is scripted in part does not have
        weight.requires_grad_(False)
    module = unwrap_output(module, spec)
    network = open_source(module, spec, ON_CPU)
    spec = _resolve_null_class(network)
    graph = to_onnx(module, spec, large)
    return SourceNetwork(
        proto=graph,
        spec=spec,
        module=module,
        mixes=not getattr(net, "is_builtin", isinstance(net, (str, Path))) and _check_mixing(network),
        codec=getattr(around, "codec", None),
        text=getattr(around, "text", None),
        pictures=getattr(around, "pictures", None),
    )


def _load_parts(network: Network, source: str) -> SourceNetwork:
    """The network of a folder of ONNX files, in the operator set of exports, with what is around it."""
    from dtool.run.onnxruntime_backend import OnnxNetwork

    if not isinstance(network, OnnxNetwork):
        raise UsageError(f"{source} holds a sampler already", "give the folder that it was made of")
    found = _load_onnx(network.path, network.spec, OPSET)
    return replace(found, codec=network.codec, text=network.text)


def _load_onnx(
    path: Path, description: NetworkSpec | Description = UNDESCRIBED, opset: int = OLDEST_OPSET
) -> SourceNetwork:
    """The network of a file; of an operator set older than `opset` it is converted."""
    require_packages("onnx")
    import onnx

    from dtool.export.network.adapter import adapt_interface, embed_weights, require_standard
    from dtool.export.network.opset import convert_opset

    bounded_reading.require_room_for(path, 1)
    require_exportable(path.stat().st_size, str(path))
    checked = read_checked_file(path)
    file = checked.graph
    require_exportable(checked.size, str(path))
    require_standard(file, str(path))
    try:
        network = open_source(path, description, ON_CPU)
    except DtoolError as error:
        if description == UNDESCRIBED and "dtool" not in file.metadata:
            hint = error.hint.replace("dtool sample", "dtool export --recipe ddim", 1)
            raise DtoolError(str(error), hint) from error
        raise
    if network.plan is not None:
        raise UsageError(f"{path} is a sampler already", "give the network's own file, or the checkpoint")
    called = identify_inputs(file, str(path), [one.name for one in network.spec.conditions])
    if called.one_for_all:
        raise UsageError(
            f"{path} takes one of its conditions for a whole batch, and a sampler's file gives each image its own",
            "dtool sample runs it as it is",
        )
    if called.batch is not None:
        raise DtoolError(
            f"{path} takes batches of {called.batch} only, and a sampler needs a free batch",
            "export the network again, with a dynamic batch; dtool sample runs it as it is",
        )
    proto = embed_weights(onnx.load_model_from_string(checked.data), checked.weights)
    proto = convert_opset(proto, str(path), opset)
    return SourceNetwork(
        proto=adapt_interface(proto, called, network.spec),
        spec=_resolve_null_class(network),
        module=None,
        mixes=_check_mixing(network),
    )


def _resolve_null_class(network: Network) -> NetworkSpec:
    """The network's spec, which says that there is no label for no class if one was tried and refused."""
    spec = network.spec
    if spec.classes and spec.null_class is None and not network.takes_null_label:
        return spec.model_copy(update={"null_class": False})
    return spec


def _check_mixing(network: Network) -> bool:
    """Whether an image depends on the others in its batch, which is warned of."""
    check_batch_invariance(network)
    return bool(network.mixes)


def _unpack_module(net: Any) -> tuple[Callable[..., Any], NetworkSpec]:
    """The module, or the function of tensors, and what is known of it."""
    from torch import nn

    if isinstance(net, nn.Module):
        raise UsageError("a module alone does not say what it was trained for", "give (module, NetworkSpec(...))")
    module, spec = (
        net if isinstance(net, tuple) and len(net) == 2 else (getattr(net, "module", None), getattr(net, "spec", None))
    )
    if not callable(module) or not isinstance(spec, NetworkSpec):
        hint = "give a checkpoint's path, a network loaded from one, or (module, NetworkSpec(...))"
        if isinstance(net, Network) and net.backend == "onnxruntime":
            hint = "give the path of its file"
        raise UsageError(f"a {type(net).__name__} cannot be exported: it holds no PyTorch module", hint)
    return module, spec
