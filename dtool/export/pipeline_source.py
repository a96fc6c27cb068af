"""A pipeline that `dtool export` wrote as a folder, taken apart again: to be exported once more, as one file, say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.export.network.sources import ON_CPU, SourceNetwork, require_packages
from dtool.export.network.text_parts import TextGraph
from dtool.export.sampler.assembly import read
from dtool.models.codec import Codec
from dtool.models.description import Description
from dtool.models.readers.exported_folder import ExportedText, find_sampler
from dtool.models.spec import NetworkSpec
from dtool.models.text import TextEncoder
from dtool.models.token_ids import encode_empty
from dtool.onnx.session import open_session, run_session
from dtool.run.load import open_source
from dtool.util import bounded_reading


class GraphCodec(Codec):
    """A decoder that is a graph already: from latents `(B, *latent_shape)` to pictures in -1 … 1."""

    def __init__(self, graph: onnx.ModelProto, latent_shape: tuple[int, ...], picture_shape: tuple[int, ...]) -> None:
        self.graph, self.latent_shape, self.picture_shape = graph, latent_shape, picture_shape
        self._session = open_session(graph.SerializeToString(), "the decoder", ON_CPU)

    def _decode(self, latents: NDArray[Any]) -> NDArray[Any]:
        feed = {self.graph.graph.input[0].name: latents.astype(np.float32, copy=False)}
        pictures: NDArray[Any] = run_session(self._session, [self.graph.graph.output[0].name], feed)[0]
        return pictures


def export_any_decoder(codec: Codec) -> onnx.ModelProto:
    """The decoder's graph; raises what `export_decoder` does."""
    if isinstance(codec, GraphCodec):
        return codec.graph
    from dtool.export.network.decoder import export_decoder  # which needs PyTorch

    return export_decoder(codec)


def export_any_text(text: TextEncoder, spec: NetworkSpec) -> TextGraph:
    """The text encoder's graph with its tokenizers; raises what `export_text_encoder` does."""
    if not isinstance(text, ExportedText):
        from dtool.export.network.text_encoder import export_text_encoder  # which needs PyTorch

        return export_text_encoder(text, spec)
    proto = onnx.load_model_from_string(bounded_reading.read_model(text.path))
    lengths = {value.name: value.type.tensor_type.shape.dim[1].dim_value for value in proto.graph.input}
    return TextGraph(
        proto=proto,
        inputs=tuple(one.input for one in text.files),
        tokenizers=tuple(one.document for one in text.files),
        empty=tuple(encode_empty(one.document, lengths[one.input]) for one in text.files),
    )


def read_pipeline(folder: Path, description: NetworkSpec | Description) -> SourceNetwork:
    """The network, the decoder and the text encoder of the folder.

    Raises UsageError for a folder whose network and decoder are too large for one file, DtoolError for a damaged one.
    """
    require_packages("onnx", "onnxruntime")
    network = open_source(folder, description, ON_CPU)  # refuses what must not be run, and what is damaged
    path = find_sampler(folder)
    if path is None:
        raise UsageError(
            f"{folder} holds its network and its decoder as two files, for they are too large for one",
            "dtool sample runs it as it is",
        )
    sampler = read(onnx.load_model_from_string(bounded_reading.read_model(path)), str(path))
    codec = None
    if sampler.decoder is not None and sampler.form.picture_shape is not None:
        codec = GraphCodec(sampler.decoder, sampler.spec.shape, sampler.form.picture_shape)
    return SourceNetwork(
        proto=sampler.network,
        spec=sampler.spec,
        module=None,
        mixes=sampler.form.mixes,
        codec=codec,
        text=network.text,
    )
