"""What an exported file says of itself, where any ONNX runtime can read it: key "dtool", and a few plain keys."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import onnx
from onnx import numpy_helper

from dtool.models.spec import NetworkSpec
from dtool.onnx.rewrite.mark import is_marked, mark
from dtool.version import __version__

FORMAT = 1
KEY = "dtool"


def describe(proto: onnx.ModelProto, spec: NetworkSpec) -> dict[str, Any]:
    """Write the metadata into `proto`, replacing what was there but the mark that it was rewritten for the CPU.

    Returns the JSON document under the key "dtool".
    """
    versions = {"dtool": __version__, "torch": _find_version("torch"), "onnx": onnx.__version__}
    document = {
        "format": FORMAT,
        "spec": json.loads(spec.model_dump_json()),
        "weights_sha256": hash_weights(proto),
        "opset": next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")),
        "versions": versions,
    }
    plain = {
        "schedule": spec.schedule,
        "prediction": spec.prediction,
        "shape": "x".join(str(n) for n in spec.shape),
        "classes": str(spec.classes),
    }
    rewritten = is_marked({prop.key: prop.value for prop in proto.metadata_props})
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {KEY: json.dumps(document), **plain})
    if rewritten:
        mark(proto)
    return document


def _find_version(package: str) -> str | None:
    """The version of a package that need not be there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def hash_weights(proto: onnx.ModelProto) -> str:
    """SHA-256 of the graph's initializers, one after another in the order of their names: their little-endian bytes."""
    digest = hashlib.sha256()
    for tensor in sorted(proto.graph.initializer, key=lambda t: t.name):
        values = numpy_helper.to_array(tensor)
        digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
