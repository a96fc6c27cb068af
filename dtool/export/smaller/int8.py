"""A network in eight bits: products of uint8 activations and int8 weights, with ranges seen in real runs of a plan."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from dtool.errors import DtoolError, UsageError
from dtool.export.smaller.recording_network import Feeds, RecordingNetwork
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.plan.compiled_plan import Plan
from dtool.run.sampling import sample

ROOM = 1 << 28  # bytes of network inputs that are held at a time
CHUNK = 16  # images that are sampled at a time
OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def quantise_to_int8(proto: onnx.ModelProto, spec: NetworkSpec, batches: Iterable[Feeds]) -> onnx.ModelProto:
    """`proto`, a network `F(x, t[, label])` on float32, with its larger products in eight bits (QDQ, default domain).

    batches: what it is given in use, x `(B, *spec.shape)`, t `(B,)` and label `(B,)`: see `collect_calibration`.
    Activations are uint8 over the range from the least to the greatest value seen, so the file is good for times like
    those. Weights are int8, symmetric, with a scale for each channel. Inputs, outputs and metadata stay. `proto` is not
    changed. Raises DtoolError if it has nothing to make smaller or cannot be quantised, UsageError without batches.
    """
    feeds = _convert_feeds(proto, spec, batches)
    first = next(feeds, None)
    if first is None:
        raise UsageError("there is nothing to calibrate with", "give at least one batch of network inputs")
    plain = onnx.ModelProto()
    plain.CopyFrom(proto)
    del plain.graph.value_info[:]  # with those that exporters write, the quantiser's own inference is at odds
    quantised = _quantise_nodes(plain, _choose_products(plain, first), chain([first], feeds))
    del quantised.metadata_props[:], quantised.opset_import[:], quantised.graph.value_info[:]
    quantised.metadata_props.extend(proto.metadata_props)
    quantised.opset_import.extend(proto.opset_import)
    quantised.ir_version, quantised.graph.name = proto.ir_version, proto.graph.name
    quantised.producer_name, quantised.producer_version = proto.producer_name, proto.producer_version
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


def collect_calibration(
    network: Network,
    plan: Plan,
    images: int = 16,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    *,
    room: int = ROOM,
) -> Iterator[Feeds]:
    """What the network is given in a run of `plan`, at each of its rows: x `(B, *shape)`, t `(B,)` and label `(B,)`.

    Images 0 … images-1 of `seed`, sampled by the host loop with the network's own guidance and clipping, unless told
    otherwise: with guidance, both halves of the double batch. At most `room` bytes are held at a time, but always one
    row of one image: where a run is larger, it is made again for the next rows, so that every time is seen.
    Raises UsageError as `dtool.sample` does.
    """
    if images < 1:
        raise UsageError(f"{images} images calibrate nothing", "use 1 or more; 16 are usual")
    image = 2 * (4 * prod(network.shape) + 16)
    chunk = max(1, min(images, CHUNK, room // image))
    rows = max(1, room // (chunk * image))
    for first in range(0, images, chunk):
        ids = range(first, min(first + chunk, images))
        own = labels if labels is None or isinstance(labels, int) else labels[first : ids.stop]
        for row in range(0, plan.rows, rows):
            keeper = _CallRecorder(row, row + rows)
            recorder = RecordingNetwork(network, keeper)
            sample(recorder, plan, seed=seed, ids=ids, labels=own, guidance=guidance, batch_size=len(ids))
            yield from keeper.seen


class _CallRecorder:
    """Keeps what a network was given in its calls from `first` to before `last`."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last, self.calls = first, last, 0
        self.seen: list[Feeds] = []

    def __call__(self, feeds: Feeds, _: Any) -> None:
        if self.first <= self.calls < self.last:
            self.seen.append({name: values.copy() for name, values in feeds.items()})
        self.calls += 1


def _convert_feeds(proto: onnx.ModelProto, spec: NetworkSpec, batches: Iterable[Feeds]) -> Iterator[Feeds]:
    """The batches under the names and in the types of the graph's inputs: x, t and label, in this order."""
    inputs = list(proto.graph.input)[: 3 if spec.classes else 2]
    for batch in batches:
        keys = dict(zip((value.name for value in inputs), ("x", "t", "label"), strict=False))
        missing = [key for key in keys.values() if key not in batch]
        if missing or batch["x"].shape[1:] != spec.shape or not np.isfinite(batch["x"]).all():
            shape = "no x" if "x" in missing else f"x of shape {batch['x'].shape}"
            raise UsageError(
                f"a batch to calibrate with holds {', '.join(batch)}, {shape}; it takes {', '.join(keys.values())}",
                f"give finite x of shape (B, {', '.join(str(n) for n in spec.shape)}), t (B,) and, with classes, label",
            )
        kinds = [helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in inputs]
        yield {name: batch[key].astype(kind) for (name, key), kind in zip(keys.items(), kinds, strict=True)}


def _choose_products(proto: onnx.ModelProto, feed: Feeds) -> list[str]:
    """The products that are made smaller; they are given names if they have none.

    Not those that never see x (the embedding of time and label: one vector per image, little work, much harm), not the
    first and the last, and none at the finest resolution, unless that is most of the network. The package's network,
    3.01 MB, 32 images, 20 steps of dpmpp-2m/karras: relative error of a call on average and at worst, of the images:
        all convolutions, 1.14 MB   10.0 %  92 %  3.3 %        chosen, and the embedding, 1.04 MB  0.8 %  2.8 %  1.4 %
        all but first and last       6.0 %  54 %  2.1 %        chosen, ranges by percentile        0.5 %  1.9 %  2.2 %
        chosen here, 1.20 MB         0.5 %   2 %  1.0 %        chosen, one scale per tensor        0.5 %  2.4 %  1.2 %
    Of a single layer, the finest level's lose 0.3 to 7 % per call (71 % at the last time, where the noise is fainter
    than one step of uint8), the next level's 0.1 to 0.3 %, those below less than 0.1 %.
    """
    for i, node in enumerate(proto.graph.node):
        node.name = node.name or f"node_{i}"
    weights = {t.name: prod(t.dims) for t in proto.graph.initializer if t.data_type == TensorProto.FLOAT}
    nodes = [n for n in proto.graph.node if n.op_type in OPERATORS and n.input[1] in weights]
    seeing, ends = _find_ends(proto.graph, {node.name for node in nodes})
    layers = [node for node in nodes if node.name in seeing]
    if not layers:
        raise DtoolError("the network has no convolution or product with weights", "export it without --int8")
    inner = [node for node in layers if node.name not in ends]
    sizes = _measure_resolutions(proto, layers, feed)
    finest = max(sizes.values())
    coarse = [node for node in inner if sizes[node.name] < finest]
    enough = 2 * sum(weights[n.input[1]] for n in coarse) >= sum(weights[n.input[1]] for n in layers)
    return [node.name for node in (coarse if enough else inner or layers)]


def _find_ends(graph: onnx.GraphProto, products: set[str]) -> tuple[set[str], set[str]]:
    """The products that see x at all, and of these the first and the last on any way from x to the output."""
    before, after, seeing, ends = {graph.input[0].name}, {v.name for v in graph.output}, set[str](), set[str]()
    reached = set(before)
    for node in graph.node:
        if not reached.isdisjoint(node.input) and node.op_type not in ("Shape", "Size"):
            reached.update(node.output)
            seeing.add(node.name)
            if node.name not in products:
                before.update(() if before.isdisjoint(node.input) else node.output)
            elif not before.isdisjoint(node.input):
                ends.add(node.name)
    for node in reversed(graph.node):
        if not after.isdisjoint(node.output):
            if node.name in products:
                ends.add(node.name)
            else:
                after.update(node.input)
    return seeing & products, ends


def _measure_resolutions(proto: onnx.ModelProto, layers: Sequence[onnx.NodeProto], feed: Feeds) -> dict[str, int]:
    """For each layer the places (pixels, tokens) of what it reads or makes, whichever is more: seen in a run."""
    from dtool.onnx.session import open_session

    names = dict.fromkeys(name for node in layers for name in (node.input[0], node.output[0]))
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    outputs = {value.name for value in proto.graph.output}
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in outputs)
    session = open_session(model.SerializeToString(), "the network", Runtime(device="cpu"))
    one = {name: values[:1] for name, values in feed.items()}
    shapes = {name: values.shape for name, values in zip(names, session.run(list(names), one), strict=True)}
    resolutions = {}
    for node in layers:
        places = slice(2, None) if node.op_type.startswith("Conv") else slice(1, -1)
        resolutions[node.name] = max(prod(shapes[name][places]) for name in (node.input[0], node.output[0]))
    return resolutions


def _quantise_nodes(proto: onnx.ModelProto, nodes: list[str], feeds: Iterator[Feeds]) -> onnx.ModelProto:
    """ONNX Runtime's static quantisation of these nodes.

    Weights have seven bits: where a processor has no VNNI, the sum of two products of eight bits saturates. So what is
    measured here holds elsewhere. There, with eight bits, all convolutions lose 7.5 % instead of 3.3 % (see
    `_choose_products`).
    """
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Feeds | None:
            return next(feeds, None)

    with tempfile.TemporaryDirectory() as folder, _silence_quantiser():
        path = Path(folder) / "small.onnx"
        try:
            quantization.quantize_static(
                proto,
                path,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                nodes_to_quantize=nodes,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
        except DtoolError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise DtoolError(f"ONNX Runtime cannot quantise the network ({reason})", "export without --int8") from error
        return onnx.load(path)


@contextlib.contextmanager
def _silence_quantiser() -> Iterator[None]:
    """The quantiser logs advice on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
