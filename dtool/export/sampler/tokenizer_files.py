"""The text encoder of a sampler's file, and its tokenizers, which lie beside it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from dtool.errors import UsageError
from dtool.export.network.sources import SourceNetwork, require_packages
from dtool.export.network.text_parts import TextGraph
from dtool.export.sampler.settings import SamplerFileOptions
from dtool.export.size_limit import graph_size, require_exportable
from dtool.util.files import write_atomically

if TYPE_CHECKING:
    from dtool.export.smaller.text_weights import TextLoss


def choose_text(source: SourceNetwork, options: SamplerFileOptions, *, is_told: bool) -> SamplerFileOptions:
    """The options with what they leave open of the text encoder: whether it is in the file, and in how many bits.

    is_told: whether a prompt is built in, which leaves nothing to read. Raises UsageError for bits of none.
    """
    usual = source.text is not None and source.text.belongs_in_file
    inside = usual and not is_told if options.text is None else options.text
    if options.text_bits not in (None, 8, 32):
        raise UsageError(f"text_bits={options.text_bits}: weights are in 8 or 32 bits", "give --text-bits 8, or 32")
    if options.text_bits is not None and not inside:
        raise UsageError("text_bits are of a text encoder in the file, and there is none", "leave out --text-bits")
    return replace(options, text=inside, text_bits=options.text_bits or (8 if usual else 32))


def export_text(
    source: SourceNetwork, options: SamplerFileOptions, decoder: onnx.ModelProto | None
) -> tuple[TextGraph | None, TextLoss | None]:
    """The encoder, if it is to be in the file, and what it lost if it is in eight bits.

    Raises UsageError if there is none, DtoolError if it does not fit in.
    """
    if not options.text:
        return None, None
    if source.text is None:
        raise UsageError("this network has no text encoder", "leave out text (--text)")
    from dtool.export.pipeline_source import export_any_text

    text, loss = export_any_text(source.text, source.spec), None
    if options.text_bits == 8:
        require_packages("onnxruntime")
        from dtool.export.smaller.text_weights import shrink_text

        text, loss = shrink_text(text)
    size = graph_size(source.proto) + graph_size(text.proto) + (graph_size(decoder) if decoder else 0)
    require_exportable(size, "the network with its decoder and text encoder")
    return text, loss


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
