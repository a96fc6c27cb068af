"""The modules that run networks on PyTorch and on ONNX Runtime, imported only when a network needs them."""

from __future__ import annotations

import importlib.util
from typing import Any

from dtool.errors import DtoolError


def import_torch_backend() -> Any:
    """The module that runs networks on PyTorch; raises DtoolError if PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise DtoolError("torch is needed to run PyTorch networks", "pip install 'dtool-diffusion[train]'")
    from dtool.run import torch_backend

    return torch_backend


def import_onnx_backend() -> Any:
    """The module that opens ONNX files; raises DtoolError if ONNX Runtime is not there, or not all of it."""
    from dtool.onnx.installation import explain_breakage, list_installed

    try:
        import dtool.onnx.session  # noqa: F401 - its only import that may fail is ONNX Runtime
    except ImportError as error:
        if list_installed():
            raise DtoolError(*explain_breakage(str(error))) from error
        raise DtoolError("onnxruntime is needed to run ONNX files", "pip install 'dtool-diffusion[cpu]'") from error
    from dtool.run import onnx_opening

    return onnx_opening
