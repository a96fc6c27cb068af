"""Somebody else's ONNX file, rewritten when it is opened."""

from __future__ import annotations

import importlib.util

from dtool.onnx.checked_file import CheckedFile
from dtool.onnx.rewrite.mark import is_marked

MOST_BYTES = 1 << 26  # of a file: while both are compared it lies in memory twice


def rewrite_file(file: CheckedFile) -> bytes | None:
    """The file's message, rewritten, its larger weights where they are; None if there is nothing to gain.

    That is so of a file that was rewritten when it was written, of a large one, of one that onnx cannot read, and where
    onnx is not installed: its import and the rewriting take some 0.3 s of a network of 200 operators.
    """
    if is_marked(file.graph.metadata) or file.graph.loops or file.size > MOST_BYTES:
        return None
    if importlib.util.find_spec("onnx") is None:
        return None
    import onnx

    from dtool.onnx.rewrite.network import rewrite_network

    try:
        rewritten, counts = rewrite_network(onnx.load_model_from_string(file.data))
    except Exception:  # whatever onnx has to say of somebody else's graph; ONNX Runtime runs it as it is
        return None
    content: bytes | None = rewritten.SerializeToString() if counts else None
    return content
