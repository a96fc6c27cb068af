"""Other people's ONNX files in the operator set that all exports have, so that they fit into one graph."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import version_converter

from dtool.errors import DtoolError
from dtool.export.network.adapter import embed_weights, require_standard
from dtool.export.network.opset_numbers import OPSET
from dtool.export.size_limit import require_exportable
from dtool.onnx.checked_file import read_checked_file


def load_at_opset(path: Path) -> onnx.ModelProto:
    """The file's graph with its weights inside; raises DtoolError for one that cannot be read or converted."""
    checked = read_checked_file(path)  # as it was opened: links and other folders are refused
    require_exportable(checked.size, str(path))
    require_standard(checked.graph, str(path))
    return convert_opset(embed_weights(onnx.load_model_from_string(checked.data), checked.weights), str(path))


def convert_opset(proto: onnx.ModelProto, source: str, oldest: int = OPSET) -> onnx.ModelProto:
    """`proto`, or of an operator set before `oldest` the same in OPSET; raises DtoolError if onnx cannot say how."""
    version = next(each.version for each in proto.opset_import if each.domain in ("", "ai.onnx"))
    if version >= oldest:
        return proto
    try:
        converted: onnx.ModelProto = version_converter.convert_version(proto, OPSET)
    except Exception as error:  # the converter has errors of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise DtoolError(
            f"{source} is of opset {version}, and onnx cannot convert it to {OPSET} ({reason})",
            f"export it again with opset {OPSET}",
        ) from error
    converted.ir_version = max(converted.ir_version, 10)
    return converted
