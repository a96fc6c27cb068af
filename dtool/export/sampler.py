"""A network's graph and a plan become one file: the sampler, what it says of itself, and the way back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from dtool.backends.fused import Form
from dtool.errors import DtoolError
from dtool.export.fused import fuse
from dtool.export.metadata import KEY, describe
from dtool.export.step_graph import NETWORK
from dtool.networks.spec import NetworkSpec
from dtool.plan.packed import COLUMNS, pack
from dtool.plan.plan import Plan


@dataclass(frozen=True)
class Sampler:
    """A sampler before it is written: its graph, that of the network in it, and what the file says of itself."""

    model: onnx.ModelProto
    network: onnx.ModelProto
    spec: NetworkSpec
    plan: Plan
    form: Form
    document: dict[str, Any]

    def content(self, report: list[dict[str, Any]]) -> bytes:
        """The file, with the report of its checks in it."""
        self.document["report"] = report
        return self.said(self.model)

    def said(self, model: onnx.ModelProto) -> bytes:
        """`model` as a file that says of itself what this one does."""
        _say(model, self.document, self.plan)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def build(
    network: onnx.ModelProto, spec: NetworkSpec, plan: Plan, form: Form, micro_batch: int | None = None
) -> Sampler:
    """Fuse; the spec's own `clip` and `guidance` are the file's defaults, and the form's micro-batch if none is given.

    Raises what `pack` and `fuse` raise.
    """
    micro_batch = micro_batch or form.micro_batch or 1
    packed = pack(plan, spec.clip, form.history)
    model = fuse(network, spec, packed, form, limited=spec.clip, micro_batch=micro_batch)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker and its shape inference have errors of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise DtoolError(f"the network does not fit into a sampler ({reason})", "export the network again") from error
    document = describe(network, spec)
    document |= {"kind": "sampler", "form": form.model_dump(), "columns": [*COLUMNS]}
    document["columns"] += [f"b{k}" for k in range(form.history)]
    document["plan"] = json.loads(plan.to_json())
    return Sampler(model, network, spec, plan, form, document)


def read(model: onnx.ModelProto, source: str) -> Sampler:
    """What `build` made, from the file alone; raises DtoolError if it is something else."""
    said = {p.key: p.value for p in model.metadata_props}
    try:
        document = json.loads(said[KEY])
        if document.get("kind") != "sampler":
            raise DtoolError(f"{source} is not a sampler", "give a file that dtool export made with --recipe")
        plan = Plan.from_json(json.dumps(document["plan"]))
        form = Form.model_validate(document["form"])
        spec = NetworkSpec.read(json.dumps(document["spec"]), source)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise DtoolError(f"{source} does not say what sampler it is", "export it again") from error
    try:
        network = _inside(model, spec)
        onnx.checker.check_model(network)
    except Exception as error:  # the checker has errors of its own
        raise DtoolError(
            f"{source} is not as dtool export wrote it: its network cannot be told apart from the sampler around it",
            "another tool has rewritten the graph: check the file before that, and compare what dtool sample draws",
        ) from error
    return Sampler(model, network, spec, plan, form, document)


def _inside(model: onnx.ModelProto, spec: NetworkSpec) -> onnx.ModelProto:
    """The network's graph, taken out of the sampler's innermost loop: inputs x, t[, label], as it once was."""
    step = _loop(_loop(model.graph))
    own = [node for node in step.node if node.name.startswith("step/")]
    inputs = [name for node in own for name in node.output if name.startswith(NETWORK)]
    made = {name for node in step.node if node not in own for name in node.output}
    [output] = {name for node in own for name in node.input if name in made}
    names = ["x", "t", *(["label"] if spec.classes else [])]
    floats, kinds = onnx.TensorProto.FLOAT, {"label": onnx.TensorProto.INT64}
    shapes: dict[str, list[Any]] = {"x": ["batch", *spec.shape]}
    graph = helper.make_graph(
        [
            *(helper.make_node("Identity", [name], [inner]) for name, inner in zip(names, inputs, strict=True)),
            *(node for node in step.node if node not in own),
            helper.make_node("Identity", [output], ["output"]),
        ],
        "network",
        [helper.make_tensor_value_info(n, kinds.get(n, floats), shapes.get(n, ["batch"])) for n in names],
        [helper.make_tensor_value_info("output", floats, ["batch", *spec.output_shape])],
        [tensor for tensor in step.initializer if tensor.name.startswith(NETWORK)],
    )
    network: onnx.ModelProto = helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )
    describe(network, spec)
    return network


def _loop(graph: onnx.GraphProto) -> onnx.GraphProto:
    node = next(node for node in graph.node if node.op_type == "Loop")
    body: onnx.GraphProto = helper.get_node_attr_value(node, "body")
    return body


def _say(model: onnx.ModelProto, document: dict[str, Any], plan: Plan) -> None:
    spec = document["spec"]
    plain = {
        "recipe": plan.recipe,
        "steps": str(plan.steps),
        "shape": "x".join(str(n) for n in spec["shape"]),
        "classes": str(spec["classes"]),
    }
    del model.metadata_props[:]
    helper.set_model_props(model, {KEY: json.dumps(document), **plain})
