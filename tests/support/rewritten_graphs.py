"""Small graphs as PyTorch's exporter writes them, to be rewritten: one piece of a U-Net, or several by chance."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from dtool.onnx.rewrite.comparison import are_equal
from dtool.onnx.rewrite.graph import Graph
from dtool.onnx.rewrite.network import apply_rewritings

SIZE, WIDTH = 6, 16  # pixels, numbers of the embedding


class GraphWriter:
    """Nodes of a network of `x` `(batch, C, 6, 6)` and an embedding `e` `(batch, 16)`."""

    def __init__(self, channels: int = 8, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.channels = channels
        self.shapes: dict[str, tuple[int, int]] = {"x": (channels, SIZE)}  # channels and pixels

    def node(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; inputs that are no names become weights. Returns the names of its outputs, of one the name."""
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        given = [one if isinstance(one, str) else self.weight(one) for one in inputs]
        self.nodes.append(helper.make_node(kind, given, names, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, array: Any) -> str:
        """A constant."""
        array = np.asarray(array)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        self.weights.append(numpy_helper.from_array(array, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def normal(self, *shape: int, scale: float = 0.3) -> np.ndarray:
        """Random numbers of this shape."""
        return scale * self.random.standard_normal(shape)

    def conv(self, x: str, out: int, size: int = 3, **attributes: Any) -> str:
        """A convolution that keeps the size of the image."""
        channels, pixels = self.shapes[x]
        attributes = {"kernel_shape": [size, size], "pads": [size // 2] * 4, **attributes}
        weights = self.normal(out, channels, size, size, scale=(channels * size * size) ** -0.5)
        y: str = self.node("Conv", x, weights, self.normal(out), **attributes)
        self.shapes[y] = (out, pixels)
        return y

    def group_norm(self, x: str, groups: int = 4, constant: bool = False) -> str:
        """γ·n + β, with the shape that the second Reshape takes read from x, or a constant with -1 for the batch."""
        channels, pixels = self.shapes[x]
        flat = self.node("Reshape", x, [0, groups, -1])
        normal = self.node("InstanceNormalization", flat, np.ones(groups), np.zeros(groups), epsilon=1e-5)
        shape = [-1, channels, pixels, pixels] if constant else self.node("Shape", x)
        y = self.node("Reshape", normal, shape)
        y = self.node("Mul", y, 1 + self.normal(channels, 1, 1))
        y = self.node("Add", y, self.normal(channels, 1, 1))
        self.shapes[y] = (channels, pixels)
        return str(y)

    def modulate(self, x: str, e: str = "e", one: float = 1.0) -> str:
        """x·(1 + s) + t, with s and t from a linear layer of e."""
        channels, pixels = self.shapes[x]
        both = self.node("Gemm", e, self.normal(2 * channels, WIDTH), self.normal(2 * channels), transB=1)
        wide = self.node("Unsqueeze", both, [2, 3])
        s, t = self.node("Split", wide, outputs=2, axis=1, num_outputs=2)
        y = self.node("Add", self.node("Mul", x, self.node("Add", s, np.float32(one))), t)
        self.shapes[y] = (channels, pixels)
        return str(y)

    def silu(self, x: str) -> str:
        """x·σ(x)."""
        y: str = self.node("Mul", x, self.node("Sigmoid", x))
        self.shapes[y] = self.shapes.get(x, (0, 0))
        return y

    def enlarge(self, x: str, factor: int = 2, **attributes: Any) -> str:
        """Nearest upsampling, by sizes that are computed from x."""
        channels, pixels = self.shapes[x]
        attributes = {
            "mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric", **attributes
        }  # fmt: skip
        sizes = self.node("Concat", self.node("Shape", x, end=2), [factor * pixels] * 2, axis=0)
        y: str = self.node("Resize", x, "", "", sizes, **attributes)
        self.shapes[y] = (channels, factor * pixels)
        return y

    def attention(self, x: str, heads: int = 2) -> str:
        """Self-attention as the exporter writes it, with the keys turned by way of three axes, and the residual sum."""
        channels, pixels = self.shapes[x]
        qkv = self.conv(self.group_norm(x), 3 * channels, 1)
        each = channels // heads
        parts = self.node("Reshape", qkv, [-1, 3, heads, each, pixels * pixels], allowzero=1)
        q, k, v = (
            self.node("Transpose", self.node("Squeeze", self.node("Slice", parts, [i], [i + 1], [1]), [1]),
                      perm=[0, 1, 3, 2])
            for i in range(3)
        )  # fmt: skip
        flat = self.node("Transpose", self.node("Reshape", k, [-1, pixels * pixels, each]), perm=[0, 2, 1])
        turned = self.node("Reshape", flat, [-1, heads, each, pixels * pixels])
        scale = np.float32([each**-0.25])
        shares = self.node("Softmax", self.node("MatMul", self.node("Mul", q, scale), self.node("Mul", turned, scale)))
        out = self.node("Transpose", self.node("MatMul", shares, v), perm=[0, 1, 3, 2])
        y = self.node("Reshape", out, [-1, channels, pixels, pixels], allowzero=1)
        self.shapes[y] = (channels, pixels)
        return self.add(x, self.conv(y, channels, 1))

    def add(self, x: str, y: str) -> str:
        """A residual sum."""
        total: str = self.node("Add", x, y)
        self.shapes[total] = self.shapes[x]
        return total

    def embed(self) -> str:
        """An embedding of times t `(batch,)`, which are then an input in the place of e."""
        waves = self.node("Mul", self.node("Unsqueeze", "t", [1]), np.linspace(0.001, 0.002, WIDTH)[None])
        return str(self.node("Sin", waves))

    def model(self, *outputs: str, opset: int = 20) -> onnx.ModelProto:
        """The graph that makes these, checked."""
        timed = any("t" in node.input for node in self.nodes)
        floats = TensorProto.FLOAT
        inputs = [("x", ["batch", self.channels, SIZE, SIZE]), ("t", ["batch"]) if timed else ("e", ["batch", WIDTH])]
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info(name, floats, shape) for name, shape in inputs],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.weights,
        )
        model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)  # of the outputs' shapes
        del model.graph.value_info[:]
        onnx.checker.check_model(model, full_check=True)
        return model


def run_model(model: onnx.ModelProto, batch: int = 3, plain: bool = False) -> list[np.ndarray]:
    """The outputs of random inputs; plain: node by node as they stand."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    feed = {}
    for value in session.get_inputs():
        whole = random.standard_normal((8, *value.shape[1:]), dtype=np.float32)
        feed[value.name] = whole[:batch]
    return list(session.run(None, feed))


def rewrite_model(model: onnx.ModelProto, rewritings: Mapping[str, Callable[[Graph], int]]) -> dict[str, int]:
    """Rewrite in place; returns how often each was made. The graph is valid and computes what it did, to 1e-5."""
    before = run_model(model, plain=True)
    counts = apply_rewritings(Graph(model), rewritings)
    onnx.checker.check_model(model, full_check=True)
    assert are_equal(before, run_model(model))
    assert are_equal(before, run_model(model, plain=True))
    return counts


def count_kinds(model: onnx.ModelProto, *kinds: str) -> int:
    """How many nodes are of these operators."""
    return sum(node.op_type in kinds for node in model.graph.node)


def draw_network(seed: int) -> onnx.ModelProto:
    """Some pieces one after another, by chance."""
    net = GraphWriter(channels=8, seed=seed)
    choices = np.random.default_rng(seed)
    x, skips = "x", ["x"]
    for _ in range(choices.integers(3, 7)):
        kind = choices.integers(7)
        if kind == 0:
            x = net.conv(x, int(choices.choice([8, 16])))
        elif kind == 1 and net.shapes[x][1] < 4 * SIZE:
            x = net.enlarge(x, int(choices.choice([2, 2, 3])))
            x = net.conv(x, 8) if choices.integers(2) else x
        elif kind == 2:
            x = net.attention(x)
        elif kind == 3:
            x = net.silu(net.modulate(net.group_norm(x), net.silu("e"), float(choices.choice([1, 1, 2]))))
        elif kind == 4:
            x = net.add(x, net.conv(net.silu(net.group_norm(x, constant=bool(choices.integers(2)))), net.shapes[x][0]))
        elif kind == 5:
            x = net.conv(net.group_norm(x), 8, 1)
        else:
            x = net.conv(x, 8, 1, strides=[1, 1])
        skips.append(x)
    return net.model(net.conv(x, int(choices.choice([1, 3]))), *([x] if choices.integers(2) else []))
