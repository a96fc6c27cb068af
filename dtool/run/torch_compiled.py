"""A PyTorch network through `torch.compile`: kernels made for it, and on CUDA its calls recorded as CUDA graphs.

Every shape has code of its own. Code for any shape, which PyTorch would make at the second one, may round otherwise,
and which of the two runs would depend on what was run before; so an image's bits are the same in any batch. A call with
a shape that is new takes from seconds to minutes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from dtool.errors import DtoolError
from dtool.util.text import get_first_line

SHAPES = 64  # for so many there is compiled code; PyTorch's own limit of 8 is for all modules of a class together


def compile_module(module: Callable[..., Any], device: str) -> Callable[..., Any]:
    """`module(x, t[, label])`, compiled when it is first called with a shape; the same numbers up to rounding.

    device: as PyTorch names it. What is returned is the caller's, as of the module itself. Raises DtoolError, when
    called, if there is no compiler or it fails.
    """
    cuda = device.startswith("cuda")
    options: dict[str, Any] = {"dynamic": False, "mode": "reduce-overhead" if cuda else None}
    limits = {"recompile_limit": SHAPES, "isolate_recompiles": True}
    options |= {name: value for name, value in limits.items() if name in inspect.signature(torch.compile).parameters}
    compiled = torch.compile(module, **options)

    def call(*arguments: Any) -> Any:
        # What every failure of the compiler is; it has no public name, and takes seconds to import.
        from torch._dynamo.exc import TorchDynamoException

        if cuda:  # the graph's output lies where the next call will write
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        try:
            with _raise_failures():
                output = compiled(*arguments)
        except TorchDynamoException as error:
            raise _compiler_error(error, cuda) from error
        return output.clone() if cuda else output

    return call


def _raise_failures() -> AbstractContextManager[Any]:
    """Within it PyTorch raises what its compiler meets.

    Imports of other packages may have told it to run the module uncompiled instead, and say nothing: k-diffusion's do.
    """
    config = torch._dynamo.config
    return config.patch(suppress_errors=False) if config.suppress_errors else nullcontext()


def _compiler_error(error: Exception, cuda: bool) -> DtoolError:
    """What the compiler says, in a line, and what to do about it."""
    line = get_first_line(error, 200)
    hint = "leave out --compile (compile=True)"
    if any(word in line for word in ("C++ compiler", "InvalidCxxCompiler", "Triton", "C compiler")):
        hint = f"install {'Triton and a C compiler' if cuda else 'a C++ compiler (g++ or clang)'}, or {hint}"
    return DtoolError(f"PyTorch cannot compile the network: {line}", hint)
