"""What a user's own function or module returns: the array in it, or a refusal that names what was found."""

from __future__ import annotations

import sys
from typing import Any

from dtool.errors import DtoolError

OWN = "raised by the network's own code"
WRAP = "wrap it: lambda x, t: net(x, t)[0], or whatever takes the output out"


def extract_array(output: Any, kind: type, what: str) -> Any:
    """The array of type `kind` that a network returned: itself, its `sample` (as diffusers), or the first of a tuple.

    what: that type as an error names it. Raises DtoolError for anything else.
    """
    if isinstance(output, kind):
        return output
    inner = getattr(output, "sample", None)
    if inner is None and isinstance(output, (tuple, list)) and output:
        inner = output[0]
    if isinstance(inner, kind):
        return inner
    holds = f" of {type(inner).__name__}" if isinstance(output, (tuple, list)) and inner is not None else ""
    hint = "return the prediction" if output is None else f"let it return {what}; {WRAP}"
    raise DtoolError(f"the network returned {_describe_type(output)}{holds}, not {what}", hint)


def _describe_type(output: Any) -> str:
    """A value as errors name its type: `a UNet2DOutput`; None is None."""
    name = type(output).__name__
    return "None" if output is None else f"{'an' if name[:1].lower() in 'aeio' or name == 'ndarray' else 'a'} {name}"


def not_real_error(dtype: object) -> DtoolError:
    """The refusal of an output that holds no floating-point numbers."""
    name = str(dtype).removeprefix("torch.")
    return DtoolError(f"the network returned numbers of type {name}", "let it return floating-point numbers")


def failed_call_error(error: Exception, *, on_numpy: bool) -> DtoolError | None:
    """What to say of an error inside a user's own function; None if it is dtool's to say, or about memory.

    on_numpy: it was given numpy arrays, which a function that calls a PyTorch network cannot use.
    """
    if isinstance(error, (DtoolError, MemoryError)) or _is_memory_error(error):
        return None
    if isinstance(error, AssertionError):  # a test's own, say: it stays what it is
        error.add_note(OWN)
        return None
    lines = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
    if on_numpy and _is_torch_mismatch(error):
        return DtoolError(
            f"the function was called with numpy arrays, and it calls PyTorch ({reason})",
            "say dtool.network(…, backend='torch'): it is then called with tensors",
        )
    return DtoolError(f"the network's own code failed ({reason})", "mend it; x is (B, *shape), t is (B,)")


def _is_memory_error(error: Exception) -> bool:
    words = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)


def _is_torch_mismatch(error: Exception) -> bool:
    """Whether an error comes of numpy arrays in PyTorch's code, or of tensors in numpy's."""
    if "torch" not in sys.modules:
        return False
    text = str(error)
    if isinstance(error, AttributeError) and "ndarray" in text:
        return hasattr(sys.modules["torch"].Tensor, str(error.name))
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_globals.get("__name__", "").partition(".")[0] == "torch":
            return True
        place = place.tb_next
    return "Tensor" in text or "'Parameter'" in text
