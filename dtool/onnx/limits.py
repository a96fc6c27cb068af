"""What a file may ask of this machine before it is refused, or stopped."""

from __future__ import annotations

from math import inf

from dtool.errors import UsageError

CALL_SECONDS = 120.0  # for one call of a network, and for loading it
RUN_SECONDS = 1200.0  # for one call of a file that holds a whole sampler
GRAPH_DEPTH = 32  # graphs inside graphs; protobuf's own readers stop at about the same depth
FUNCTION_DEPTH = 64  # functions that call functions: ONNX Runtime has crashed on thousands
NODES = 1_000_000  # of a graph whose functions are written out, which is what ONNX Runtime does with them


def resolve_time_limit(requested: float | None, usual: float) -> float:
    """A time limit in seconds: `usual` if none is asked for; 0 is none at all. Raises UsageError for what is none."""
    if requested is not None and not requested >= 0:
        raise UsageError(f"a time limit of {requested} s cannot be kept", "give seconds, or 0 for no limit")
    return usual if requested is None else requested or inf
