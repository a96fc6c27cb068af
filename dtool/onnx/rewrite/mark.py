"""A mark in a file's metadata: its network was rewritten when it was written, and is opened as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

KEY, VALUE = "rewritten", "1"  # to be counted up when more rewritings are worth another look at old files


def mark(model: onnx.ModelProto) -> None:
    """Write into a network's metadata that there is nothing left to rewrite."""
    kept = [prop for prop in model.metadata_props if prop.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=KEY, value=VALUE)


def is_marked(metadata: Mapping[str, str]) -> bool:
    """Whether a file's metadata say so."""
    return metadata.get(KEY) == VALUE
