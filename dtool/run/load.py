"""dtool.load(...): from files, modules and factories to networks."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Unpack

from dtool.errors import DtoolError, UsageError, format_value
from dtool.models.description import UNDESCRIBED, Description, describe_source
from dtool.models.find_reader import find_reader, open_with
from dtool.models.network import Network
from dtool.models.requirements import (
    check_backend_options,
    check_placement,
    refuse_onnx_options,
    refuse_spec,
    refuse_torch,
)  # fmt: skip
from dtool.models.runtime import ANYWHERE, Runtime, RuntimeOptions
from dtool.models.sidecar import add_remembered
from dtool.models.spec import NetworkSpec
from dtool.plugins.registry import get_registry
from dtool.run.backend_modules import import_onnx_backend, import_torch_backend
from dtool.run.sentence_text import SentenceText, open_for_checkpoint
from dtool.util.arguments import check_arguments


@check_arguments
def load(
    source: str | Path | Any,
    *,
    spec: NetworkSpec | Mapping[str, Any] | None = None,
    device: str = "auto",
    **options: Unpack[RuntimeOptions],
) -> Network:
    """A network, ready to sample from.

    source: a checkpoint of `dtool train` (.pt, .safetensors), an exported .onnx file, an nn.Module with its `spec`, or
    "package.module:factory", a function that is imported and called, and returns a Network or (module, spec).
    spec: of a module, or of an ONNX file without dtool's metadata, for which a dict of what the file does not show is
    enough: `{"schedule": "linear", "prediction": "eps"}`, and `shape` and `classes` if an error asks for them.
    device: auto, cpu, cuda or cuda:1. options: how it runs, the other fields of `dtool.Runtime`:
    `backend`, `provider`, `time_limit`, `compile`, `cuda_graph`, `text_encoder`.
    Raises DtoolError for a file that is missing, broken, foreign or unsafe, and for a device that is not there.

    >>> from importlib.resources import files
    >>> network = dtool.load(files("dtool.models") / "digits.onnx", device="cpu")
    >>> network.spec.classes, network.spec.prediction
    (10, 'eps')
    """
    return open_source(source, describe_source(spec), Runtime(device=device, **options))


def open_source(
    source: str | Path | Any, description: NetworkSpec | Description = UNDESCRIBED, runtime: Runtime = ANYWHERE
) -> Network:
    """`load`, with what is known of the network, and where it runs, each as one object."""
    check_backend_options(source, runtime)
    if isinstance(source, (str, Path)) and re.fullmatch(r"[\w.]+:\w+", str(source)):
        network = _open_factory(str(source), description, runtime)
    elif isinstance(source, (str, Path)):
        path = Path(source)
        network = _open_path(path, add_remembered(path, description), runtime)
    elif isinstance(description, NetworkSpec) or (reader := find_reader(source)) is None:
        network = _wrap_module(source, description, runtime)
    else:
        network = open_with(reader, source, description, runtime)
    if runtime.text_encoder is not None and not isinstance(network.text, SentenceText):
        raise UsageError(
            f"{source if isinstance(source, (str, Path)) else 'this network'} was not trained with a sentence encoder",
            "leave out --text-encoder (text_encoder=)",
        )
    return compile_network(network) if runtime.compile else network


def _open_path(path: Path, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """What a reader makes of a file or folder, and of a file that none knows what dtool makes of it."""
    reader = find_reader(path) if path.exists() else None
    if reader is not None:
        return open_with(reader, path, description, runtime)
    if path.is_dir():
        known = ", ".join(get_registry().readers.names())
        raise DtoolError(f"{path} is a folder that no reader knows ({known})", "give a file, or a model's whole folder")
    return _open_file(path, description, runtime)


def _open_factory(name: str, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    refuse_spec(name, description)
    network = _call_factory(name, runtime)
    refuse_onnx_options(name, network.backend, runtime)
    check_placement(name, network, runtime)
    return network


def _open_file(path: Path, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    kind = path.suffix.lower()
    if not path.exists():
        raise DtoolError(
            f"there is no file {'' if kind else 'or folder '}{path}",
            "check the path; dtool model says what can be opened",
        )
    if kind not in (".pt", ".pth", ".safetensors", ".onnx"):
        raise UsageError(f"{path} is neither a checkpoint nor an ONNX file", "give a .pt, .safetensors or .onnx file")
    native = "onnxruntime" if kind == ".onnx" else "torch"
    if runtime.backend not in (None, native):
        hint = f"dtool export {path}" if native == "torch" else "leave out --backend (backend=)"
        raise UsageError(f"{path} runs on {native}, not on {runtime.backend}", hint)
    if native == "onnxruntime":
        return import_onnx_backend().open_onnx(path, description, runtime)  # type: ignore[no-any-return]
    torch_backend = import_torch_backend()
    from dtool.models import checkpoint

    refuse_onnx_options(str(path), native, runtime)
    content = checkpoint.read(path)  # first, so that a foreign file is reported as one
    refuse_spec(str(path), description)
    network: Network = torch_backend.TorchNetwork(content.build(), content.spec, runtime.device)
    if content.text is not None:
        network.text = open_for_checkpoint(content.text, path, runtime)
    network.is_builtin = True
    network.codec = content.build_codec(network.device)
    return network


def _wrap_module(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """A module, or a function on tensors, with its spec."""
    if not isinstance(description, NetworkSpec):
        hint = "give a file's path, or a module with spec=NetworkSpec(shape=…, schedule=…)"
        raise UsageError(f"source={format_value(source)} does not say what it predicts", hint)
    if not callable(source):
        raise UsageError(
            f"source={format_value(source)} is no network", "give a file's path, or a module with its spec"
        )
    if runtime.backend not in (None, "torch"):
        hint = "export it first: dtool.export((module, spec))"
        raise UsageError(f"a module runs on torch, not on {runtime.backend}", hint)
    refuse_onnx_options("a module", "torch", runtime)
    return import_torch_backend().TorchNetwork(source, description, runtime.device)  # type: ignore[no-any-return]


def compile_network(network: Network) -> Network:
    """The same network on PyTorch, compiled; raises UsageError for one that does not run there."""
    if network.backend != "torch":
        hint = "leave out --compile (compile=True)"
        raise UsageError(f"the network runs on {network.backend}, and only PyTorch compiles", hint)
    module: Any = getattr(network, "module")  # noqa: B009 - what a network on PyTorch has
    compiled = import_torch_backend().TorchNetwork(module, network.spec, network.device, compile=True)
    return compiled.adopt(network)  # type: ignore[no-any-return]


def _call_factory(name: str, runtime: Runtime) -> Network:
    """What `package.module:factory` returns; modules in the working directory are found too."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        product = getattr(importlib.import_module(module), attribute)()
    except DtoolError:  # it says what is wrong
        raise
    except Exception as error:
        cause = f"{name} cannot be called ({type(error).__name__}: {error})"
        raise DtoolError(cause, "correct it, or check the name") from error
    if isinstance(product, Network):
        return product
    if isinstance(product, tuple) and len(product) == 2 and isinstance(product[1], NetworkSpec):
        return load(product[0], device=runtime.device, spec=product[1])
    cause = f"{name} returned a {type(product).__name__}"
    raise DtoolError(cause, "return dtool.network(…), or (module, NetworkSpec(…))")


@check_arguments
def default_network(device: str = "auto", **options: Unpack[RuntimeOptions]) -> Network:
    """The small class-conditional network of handwritten digits inside the package; runs on ONNX Runtime.

    device, options: as of `dtool.load`.

    >>> dtool.default_network().spec.shape
    (1, 28, 28)
    """
    runtime = Runtime(device=device, **options)
    refuse_torch("the network inside the package", runtime)
    with as_file(files("dtool.models") / "digits.onnx") as path:
        network = open_source(path, runtime=runtime)
    network.is_builtin = True
    return network
