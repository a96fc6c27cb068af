"""dtool.export(...): from a trained network to one ONNX file."""

from __future__ import annotations

import copy
import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.backends.load import load
from dtool.errors import DtoolError, UsageError
from dtool.export.report import Comparison, ExportReport
from dtool.files import require_writable, write_atomically
from dtool.networks.spec import NetworkSpec

if TYPE_CHECKING:
    from torch import nn


def export(net: Any, out: Path | str = "model.onnx", *, check: bool = True, steps: int = 50) -> ExportReport:
    """Write a network as one ONNX file with a dynamic batch, and compare the file with PyTorch.

    net: a checkpoint's path (.pt, .safetensors), "package.module:factory", what `dtool.load` made of one, or
    `(module, spec)`, an nn.Module `F(x, t[, label])` and its NetworkSpec; it is not changed.
    The file has inputs x `(batch, *shape)` and t `(batch,)`, float32, and label `(batch,)` int64 if there are classes,
    where `classes` itself means no class; one output like x; and metadata under "dtool".
    check: compare with PyTorch at several batch sizes and times, and over a run of `steps` steps of DDIM (at most the
    schedule's T). Raises DtoolError if the network cannot be exported, differs by more than 1e-4, or if the file
    cannot be written; then no file is left, or the old one.
    """
    started = time.perf_counter()
    path = Path(out)
    if path.suffix != ".onnx":
        raise UsageError(f"{path}: an export is an ONNX file", "end its name in .onnx")
    if steps < 1:
        raise UsageError(f"steps={steps}: a run has at least one step", "leave it out for 50")
    require_writable(path)
    _require_packages(check)
    from dtool.export.graph import OPSET, to_onnx
    from dtool.export.metadata import describe
    from dtool.export.parity import compared

    module, spec = _source(net)
    module = copy.deepcopy(module).to("cpu").float().eval().requires_grad_(False)
    proto = to_onnx(module, spec)
    document = describe(proto, spec)
    content = proto.SerializeToString(deterministic=True)
    comparisons: tuple[Comparison, ...] = ()

    def write(temporary: Path) -> None:
        nonlocal comparisons
        temporary.write_bytes(content)
        if check:
            comparisons = compared(temporary, module, spec, steps)

    write_atomically(path, write)
    seconds = time.perf_counter() - started
    return ExportReport(path, len(content), OPSET, document["weights_sha256"], comparisons, seconds)


def _require_packages(check: bool) -> None:
    for name, extra in (("torch", "export"), ("onnx", "export"), ("onnxscript", "export"), ("onnxruntime", "cpu")):
        if (check or name != "onnxruntime") and importlib.util.find_spec(name) is None:
            hint = f"pip install 'dtool-diffusion[{extra}]'" + (", or leave out the check" if extra == "cpu" else "")
            raise DtoolError(f"{name} is needed to export a network", hint)


def _source(net: Any) -> tuple[nn.Module, NetworkSpec]:
    """The module and what is known of it."""
    from torch import nn

    if isinstance(net, str | Path):
        if Path(net).suffix == ".onnx":
            raise UsageError(f"{net} is an ONNX file already", "give the checkpoint, a .pt or .safetensors")
        net = load(net, device="cpu")
    if isinstance(net, nn.Module):
        raise UsageError("a module alone does not say what it was trained for", "give (module, NetworkSpec(...))")
    module, spec = (
        net if isinstance(net, tuple) and len(net) == 2 else (getattr(net, "module", None), getattr(net, "spec", None))
    )
    if not isinstance(module, nn.Module) or not isinstance(spec, NetworkSpec):
        raise UsageError(
            f"a {type(net).__name__} cannot be exported: it holds no PyTorch module",
            "give a checkpoint's path, a network loaded from one, or (module, NetworkSpec(...))",
        )
    return module, spec
