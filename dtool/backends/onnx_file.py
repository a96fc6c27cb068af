"""Looking into an ONNX file before it is run: what it says of itself, and the reasons not to run it."""

from __future__ import annotations

from dtool.backends.allowance import FUNCTION_DEPTH, GRAPH_DEPTH, NODES
from dtool.backends.onnx_walk import STANDARD, Function, OnnxFile, Value, walk
from dtool.errors import DtoolError

__all__ = ["OnnxFile", "Value", "inspect", "refuse"]

_RANDOM = {
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
    "Sampling", "BiasDropout", "BitmaskDropout", "BitmaskBiasDropout",
}  # fmt: skip


_OUTSIDE = {"EPContext", "QnnContext", "SnpeContext", "Snpe", "PythonOp", "PythonOpGrad"}
_TRAINING = {"BatchNormInternal", "BatchNormalizationGrad"}


def inspect(data: bytes, source: str) -> OnnxFile:
    """Walk the model in `data`; raises DtoolError if it is truncated or no ONNX model at all."""
    found = OnnxFile()
    try:
        whole = walk(memoryview(data), found)
    except (ValueError, IndexError) as error:
        raise DtoolError(f"{source} is not an ONNX file, or is cut off ({error})", "export it again") from error
    if not whole:
        raise DtoolError(f"{source} is not an ONNX file: it holds no graph", "export it again")
    return found


def refuse(found: OnnxFile, source: str) -> None:
    """Raise DtoolError if the model must not be run.

    That is: weights in other files, unknown operators, noise of its own, statistics of the batch, NaN, graphs or
    functions that nest so deep, or are called so often, that ONNX Runtime could not take them apart.
    """
    if found.external:
        raise DtoolError(
            f"{source} keeps weights in other files (e.g. of {found.external[0]!r})",
            "export it with external_data=False",
        )
    random = {name for _, name in found.operators if name in _RANDOM}
    if any(name not in found.false for name in found.dropouts):
        random.add("Dropout")
    if random:
        raise DtoolError(
            f"{source} draws random numbers of its own ({', '.join(sorted(random))})",
            "noise comes from dtool; export in eval mode",
        )
    outside = sorted({name for _, name in found.operators} & _OUTSIDE)
    if outside:
        raise DtoolError(
            f"{source} holds what another program compiled, or calls one ({', '.join(outside)})",
            "export the network itself, with standard operators",
        )
    training = sorted({*found.training, *({name for _, name in found.operators} & _TRAINING)})
    if training:
        raise DtoolError(
            f"{source} is in training mode ({', '.join(training)}): an image would depend on the others in its batch",
            "export it in eval mode",
        )
    foreign = sorted({domain for domain, _ in found.operators} - STANDARD)
    if foreign:
        raise DtoolError(f"{source} uses operators of {', '.join(foreign)}", "export it with standard operators only")
    if found.not_finite:
        raise DtoolError(f"{source}: weights {found.not_finite[0]!r} hold NaN or infinity", "train or export it again")
    _require_bounded(found, source)


def _require_bounded(found: OnnxFile, source: str) -> None:
    """Refuse what grows beyond measure when ONNX Runtime writes out the functions."""
    sizes: dict[Function | None, tuple[int, int]] = {}

    def size(name: Function | None, above: int) -> tuple[int, int]:
        """(nodes, depth) of a function that is written out, which `above` others wait for."""
        if name not in sizes:
            nodes = depth = 0
            for call, times in found.calls[name].items():
                inner = (1, 0)
                if call in found.calls:  # at the limit it is too deep in any case, or without end
                    inner = size(call, above + 1) if above < FUNCTION_DEPTH else (1, FUNCTION_DEPTH)
                    depth = max(depth, inner[1] + 1)
                nodes = min(nodes + times * inner[0], NODES + 1)
            sizes[name] = nodes, depth
        return sizes[name]

    measured = [size(name, 0) for name in found.calls]
    if found.depth > GRAPH_DEPTH:
        raise DtoolError(f"{source} nests more than {GRAPH_DEPTH} graphs", "export it without so many branches")
    if max(depth for _, depth in measured) > FUNCTION_DEPTH:
        raise DtoolError(f"{source} nests more than {FUNCTION_DEPTH} functions", "export it without functions")
    if max(nodes for nodes, _ in measured) > NODES:
        raise DtoolError(f"{source} has more than {NODES:,} nodes, its functions written out", "export a smaller one")
