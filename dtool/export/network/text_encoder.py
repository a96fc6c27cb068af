"""A text encoder as an ONNX graph: from token numbers `(batch, length)` int64 to the conditions that it makes."""

from __future__ import annotations

import copy

import torch

from dtool.errors import DtoolError
from dtool.export.network.graph import clean, examine, run_exporter
from dtool.export.network.inputs import BATCH
from dtool.export.network.onnx_text import merge_text_encoders
from dtool.export.network.sentence_graph import build_sentence_graph
from dtool.export.network.text_parts import TextGraph
from dtool.export.size_limit import module_size, require_exportable
from dtool.models.readers.onnx_parts import OnnxText
from dtool.models.spec import NetworkSpec
from dtool.models.text import TextEncoder
from dtool.models.token_ids import encode_empty
from dtool.run.sentence_text import SentenceText

IDS = "input_ids"


class _OnIds(torch.nn.Module):
    """The module, so that its signature is known."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.inner(*ids))


def export_text_encoder(text: TextEncoder, spec: NetworkSpec) -> TextGraph:
    """Its outputs are called as the conditions are.

    Raises UsageError for an encoder that is no module, DtoolError for one that cannot be exported.
    """
    if isinstance(text, OnnxText):
        return merge_text_encoders(text)
    if isinstance(text, SentenceText) and text.folder.is_graph:
        return build_sentence_graph(text)
    parts = text.to_module()
    require_exportable(module_size(parts.module), "the text encoder")
    module = copy.deepcopy(parts.module).to("cpu").float().eval()
    for weight in module.parameters():
        weight.requires_grad_(False)
    inputs = tuple(f"{IDS}_{k + 1}" if k else IDS for k in range(len(parts.tokenizers)))
    examples = tuple(torch.ones((2, length), dtype=torch.int64) for length in parts.lengths)
    with torch.no_grad():
        made = module(*examples)
    known = {one.name: one for one in spec.conditions}
    for name, array in zip(text.names, made, strict=True):
        if name not in known or not known[name].fits(tuple(array.shape[1:])):
            raise DtoolError(
                f"the text encoder makes {name} of shape {tuple(array.shape[1:])}, which the network does not take",
                "use the parts that belong together",
            )
    several: tuple[dict[int, str], ...] = tuple({0: BATCH} for _ in inputs)
    proto = run_exporter(_OnIds(module), examples, (several,), inputs, text.names)
    clean(proto)
    examine(proto)
    empty = tuple(
        encode_empty(document, length) for document, length in zip(parts.tokenizers, parts.lengths, strict=True)
    )
    return TextGraph(proto, inputs, parts.tokenizers, empty)
