"""Looking into an ONNX file before it is run: what it says of itself, and the reasons not to run it."""

from __future__ import annotations

from dtool.errors import DtoolError
from dtool.onnx.limits import FUNCTION_DEPTH, GRAPH_DEPTH, NODES
from dtool.onnx.walk import STANDARD, FunctionId, OnnxFile, walk

__all__ = ["OnnxFile", "inspect", "refuse_unsafe"]

_RANDOM = {
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
    "Sampling", "BiasDropout", "BitmaskDropout", "BitmaskBiasDropout",
}  # fmt: skip


_OUTSIDE = {"EPContext", "QnnContext", "SnpeContext", "Snpe", "PythonOp", "PythonOpGrad"}
_TRAINING = {"BatchNormInternal", "BatchNormalizationGrad"}


def inspect(data: bytes, source: str) -> OnnxFile:
    """Walk the model in `data`; raises DtoolError if it is truncated or no ONNX model at all."""
    file = OnnxFile()
    try:
        whole = walk(memoryview(data), file)
    except (ValueError, IndexError) as error:
        raise DtoolError(f"{source} is not an ONNX file, or is cut off ({error})", "export it again") from error
    if not whole:
        raise DtoolError(f"{source} is not an ONNX file: it holds no graph", "export it again")
    return file


def refuse_unsafe(file: OnnxFile, source: str, *, external: bool = False) -> None:
    """Raise DtoolError if the model must not be run.

    That is: weights in other files, unless `external` says that these are seen to (`dtool.onnx.external_data`), unknown
    operators, noise of its own, statistics of the batch, NaN, graphs or functions that nest so deep, or are called so
    often, that ONNX Runtime could not take them apart.
    """
    if file.external and not external:
        raise DtoolError(
            f"{source} keeps weights in other files (e.g. of {file.external[0].name!r})",
            "export it with external_data=False",
        )
    random = {name for _, name in file.operators if name in _RANDOM}
    if any(name not in file.false for name in file.dropouts):
        random.add("Dropout")
    if random:
        raise DtoolError(
            f"{source} draws random numbers of its own ({', '.join(sorted(random))})",
            "noise comes from dtool; export in eval mode",
        )
    outside = sorted({name for _, name in file.operators} & _OUTSIDE)
    if outside:
        raise DtoolError(
            f"{source} holds what another program compiled, or calls one ({', '.join(outside)})",
            "export the network itself, with standard operators",
        )
    training = sorted({*file.training, *({name for _, name in file.operators} & _TRAINING)})
    if training:
        raise DtoolError(
            f"{source} is in training mode ({', '.join(training)}): an image would depend on the others in its batch",
            "export it in eval mode",
        )
    foreign = sorted({domain for domain, _ in file.operators} - STANDARD)
    if foreign:
        raise DtoolError(f"{source} uses operators of {', '.join(foreign)}", "export it with standard operators only")
    if file.not_finite:
        raise DtoolError(f"{source}: weights {file.not_finite[0]!r} hold NaN or infinity", "train or export it again")
    _require_bounded(file, source)


def _require_bounded(file: OnnxFile, source: str) -> None:
    """Refuse what grows beyond measure when ONNX Runtime writes out the functions."""
    sizes: dict[FunctionId | None, tuple[int, int]] = {}

    def size(name: FunctionId | None, above: int) -> tuple[int, int]:
        """(nodes, depth) of a function that is written out, which `above` others wait for."""
        if name not in sizes:
            nodes = depth = 0
            for call, times in file.calls[name].items():
                inner = (1, 0)
                if call in file.calls:  # at the limit it is too deep in any case, or without end
                    inner = size(call, above + 1) if above < FUNCTION_DEPTH else (1, FUNCTION_DEPTH)
                    depth = max(depth, inner[1] + 1)
                nodes = min(nodes + times * inner[0], NODES + 1)
            sizes[name] = nodes, depth
        return sizes[name]

    counts = [size(name, 0) for name in file.calls]
    if file.depth > GRAPH_DEPTH:
        raise DtoolError(f"{source} nests more than {GRAPH_DEPTH} graphs", "export it without so many branches")
    if max(depth for _, depth in counts) > FUNCTION_DEPTH:
        raise DtoolError(f"{source} nests more than {FUNCTION_DEPTH} functions", "export it without functions")
    if max(nodes for nodes, _ in counts) > NODES:
        raise DtoolError(f"{source} has more than {NODES:,} nodes, its functions written out", "export a smaller one")
