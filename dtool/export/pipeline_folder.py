"""A whole pipeline as a folder: text encoder, sampler or network, decoder, tokenizer, and a manifest of them.

`text.onnx` makes conditions of token numbers; `sampler.onnx` draws pictures from conditions, its decoder inside. Where
that would be more than a file holds, `network.onnx`, with its weights beside it, and `decoder.onnx` take its place, and
the loop is the host's. `tokenizer.json` is for the library tokenizers, in Python or JavaScript.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dtool.errors import DtoolError, UsageError
from dtool.export.folders import write_folder
from dtool.export.network.sources import SourceNetwork
from dtool.export.network.text_parts import TextGraph
from dtool.export.pipeline_source import GraphCodec, export_any_decoder, export_any_text
from dtool.export.sampler.settings import SamplerFileOptions, resolve_sampler
from dtool.export.size_limit import graph_size, is_exportable, module_size
from dtool.models.readers.exported_folder import ExportedText, TokenizerFile
from dtool.models.readers.onnx_parts import OnnxCodec as OnnxParts
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.models.text import TextEncoder
from dtool.onnx.checked_file import read_checked_file
from dtool.plan.compiled_plan import Plan
from dtool.run.load_codec import OnnxCodec
from dtool.run.sampler_form import read_plan

if TYPE_CHECKING:
    from dtool.export.report import ExportReport

TEXT, SAMPLER, NETWORK, DECODER = "text.onnx", "sampler.onnx", "network.onnx", "decoder.onnx"


def export_pipeline(
    source: SourceNetwork,
    job: Any,
    plan: Plan | str,
    options: SamplerFileOptions,
    export_sampler: Callable[..., ExportReport],
    export_network: Callable[..., ExportReport],
) -> ExportReport:
    """The folder `job.path`; export_sampler and export_network write one file each, as `dtool.export` does.

    Raises UsageError for a model without a text encoder, and what those raise; nothing is left then.
    """
    made: list[ExportReport] = []
    if options.text_bits is not None:
        raise UsageError("text_bits are of a text encoder in one file", "leave out --text-bits, or name NAME.onnx")
    options = replace(options, text=bool(options.text))

    def write_parts(place: Path) -> dict[str, Any]:
        manifest = write_text_encoder(source.text, source.spec, place)
        if is_one_file(source):
            made.append(export_sampler(source, replace(job, path=place / SAMPLER), plan, options))
            own = read_plan(place / SAMPLER)
            return manifest | {"parts": {"sampler": SAMPLER}, "recipe": own.recipe, "steps": own.steps}
        chosen = resolve_sampler(source, plan, job.steps, options)[1]
        made.append(export_network(source, replace(job, path=place / NETWORK)))
        parts = {"network": NETWORK}
        if source.codec is not None:
            parts["decoder"] = DECODER
            (place / DECODER).write_bytes(export_any_decoder(source.codec).SerializeToString(deterministic=True))
        return manifest | {"parts": parts, "recipe": chosen.recipe, "steps": chosen.steps}

    write_folder(job.path, write_parts)
    size = sum(each.stat().st_size for each in job.path.iterdir())
    return replace(made[0], path=job.path, size=size, seconds=time.perf_counter() - job.started)


def write_text_encoder(text: TextEncoder | None, spec: NetworkSpec, place: Path) -> dict[str, Any]:
    """The text encoder and its tokenizers, and what the manifest says of them; raises UsageError if there is none."""
    if text is None:
        raise UsageError(
            "this network has no text encoder, and a folder is for whole pipelines", "name one file, NAME.onnx, with -o"
        )
    graph = export_any_text(text, spec)
    (place / TEXT).write_bytes(graph.proto.SerializeToString(deterministic=True))
    _compare(text, graph, place)
    tokenizers = []
    for name, length, document in zip(graph.inputs, graph.lengths, graph.tokenizers, strict=True):
        number = name.removeprefix("input_ids")
        file = f"tokenizer{number}.json"
        (place / file).write_text(document, encoding="utf-8")
        tokenizers.append({"file": file, "input": name, "length": length})
    return {"text": {"file": TEXT, "outputs": list(text.names), "tokenizers": tokenizers}}


def _compare(text: TextEncoder, graph: TextGraph, place: Path) -> None:
    """Raise DtoolError unless the file makes of some prompts what the encoder makes."""
    files = [TokenizerFile(name, document) for name, document in zip(graph.inputs, graph.tokenizers, strict=True)]
    other = ExportedText(place / TEXT, files, text.names, Runtime(device="cpu"))
    for prompt in ("", "a small red house by the sea"):
        one, two = (each.encode([prompt]) for each in (text, other))
        for name, array in one.items():
            far = float(np.abs(array - two[name]).max() / max(1.0, np.abs(array).max()))
            if not far <= 1e-4:
                raise DtoolError(
                    f"the exported text encoder is {far:.1e} from PyTorch ({name} of {prompt!r})",
                    "report this with the model's name",
                )


def is_one_file(source: SourceNetwork) -> bool:
    """Whether the network and its decoder are no more than a file holds."""
    size, codec = graph_size(source.proto), source.codec
    if isinstance(codec, GraphCodec):
        size += graph_size(codec.graph)
    elif isinstance(codec, (OnnxCodec, OnnxParts)):
        size += read_checked_file(codec.path).size
    elif codec is not None:
        size += module_size(codec.to_module())
    return is_exportable(size)
