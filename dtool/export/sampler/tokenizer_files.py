"""The text encoder of a sampler's file, and its tokenizers, which lie beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import onnx

from dtool.errors import UsageError
from dtool.export.network.sources import SourceNetwork
from dtool.export.network.text_parts import TextGraph
from dtool.export.sampler.settings import SamplerFileOptions
from dtool.export.size_limit import graph_size, require_exportable
from dtool.util.files import write_atomically


def export_text(
    source: SourceNetwork, options: SamplerFileOptions, decoder: onnx.ModelProto | None
) -> TextGraph | None:
    """The encoder, if it is to be in the file; raises UsageError if there is none, DtoolError if it does not fit in."""
    if not options.text:
        return None
    if source.text is None:
        raise UsageError("this network has no text encoder", "leave out text (--text)")
    from dtool.export.pipeline_source import export_any_text

    text = export_any_text(source.text, source.spec)
    size = graph_size(source.proto) + graph_size(text.proto) + (graph_size(decoder) if decoder else 0)
    require_exportable(size, "the network with its decoder and text encoder")
    return text


def write_tokenizers(text: TextGraph, path: Path, document: dict[str, Any]) -> None:
    """Write the tokenizers of the file `path` beside it, and their names into what it says of itself."""
    names = {}
    for name, content in zip(text.inputs, text.tokenizers, strict=True):
        place = path.with_name(f"{path.stem}.tokenizer{name.removeprefix('input_ids')}.json")
        write_atomically(place, partial(_write_text, content))
        names[name] = place.name
    document["tokenizers"] = names


def _write_text(content: str, path: Path) -> None:
    path.write_text(content, encoding="utf-8")
