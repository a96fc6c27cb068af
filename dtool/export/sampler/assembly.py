"""A network's graph and a plan become one file: the sampler, what it says of itself, and the way back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from dtool.errors import DtoolError
from dtool.export.metadata import KEY, describe, hash_weights
from dtool.export.network.text_parts import TextGraph
from dtool.export.sampler.decoder_graph import extract_decoder
from dtool.export.sampler.guidance_graph import BRANCH, WEAK, find_weak
from dtool.export.sampler.hoisting import lower
from dtool.export.sampler.loop_graph import fuse
from dtool.export.sampler.network_nodes import extract_network
from dtool.export.sampler.settings import NetworkStub
from dtool.export.sampler.step_graph import NETWORK
from dtool.export.sampler.text_graph import extract_text, replace_conditions
from dtool.models.conditions import Condition
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.plan.compiled_plan import Column, Plan
from dtool.plan.late_plans import pack_at_every_strength
from dtool.plan.packed import PackedPlan, pack
from dtool.run.sampler_form import SamplerForm
from dtool.util.text import get_first_line


@dataclass(frozen=True, kw_only=True)
class FusedSampler:
    """A sampler before it is written: its graph, that of the network in it, and what the file says of itself."""

    model: onnx.ModelProto
    network: onnx.ModelProto
    spec: NetworkSpec
    plan: Plan
    form: SamplerForm
    document: dict[str, Any]
    decoder: onnx.ModelProto | None = None
    text: onnx.ModelProto | None = None
    whole_spec: NetworkSpec | None = None
    weak: onnx.ModelProto | None = None

    @property
    def file_spec(self) -> NetworkSpec:
        """The spec of the file: with a text encoder inside, that of both together."""
        return self.whole_spec or self.spec

    def content(self, report: list[dict[str, Any]]) -> bytes:
        """The file, with the report of its checks in it."""
        self.document["report"] = report
        return self.serialise(self.model)

    def serialise(self, model: onnx.ModelProto) -> bytes:
        """`model` as a file that says of itself what this one does."""
        _write_metadata(model, self.document, self.plan)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def build(
    network: onnx.ModelProto,
    spec: NetworkSpec,
    plan: Plan,
    form: SamplerForm,
    micro_batch: int | None = None,
    decoder: onnx.ModelProto | None = None,
    text: TextGraph | None = None,
    weak: onnx.ModelProto | None = None,
) -> FusedSampler:
    """Fuse; the spec's own `clip` and `guidance` are the file's defaults, and the form's micro-batch if none is given.

    Raises what `pack` and `fuse` raise.
    """
    micro_batch = micro_batch or form.micro_batch or 1
    packed = _pack(spec, plan, form)
    model = fuse(
        network, spec, packed, form, limited=spec.clip, micro_batch=micro_batch, decoder=decoder, text=text, weak=weak
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker and its shape inference have errors of their own
        reason = get_first_line(error)
        raise DtoolError(f"the network does not fit into a sampler ({reason})", "export the network again") from error
    document = describe(network, spec)
    document |= {"kind": "sampler", "form": form.to_fields(), "columns": [*form.room.columns]}
    document["plan"] = json.loads(plan.to_json())
    whole = replace_conditions(spec, text) if text else None
    if text is not None and whole is not None:
        document |= {"spec": json.loads(whole.model_dump_json()), "network_spec": document["spec"]}
        document["text_sha256"] = hash_weights(text.proto)
    if decoder is not None:
        document["decoder_sha256"] = hash_weights(decoder)
    if weak is not None:
        document["weak_sha256"] = hash_weights(weak)
    return FusedSampler(
        model=model, network=network, spec=spec, plan=plan, form=form, document=document, decoder=decoder,
        text=text.proto if text else None, whole_spec=whole, weak=weak,
    )  # fmt: skip


def _pack(spec: NetworkSpec, plan: Plan, form: SamplerForm) -> PackedPlan:
    """The plan's table; in a file whose run may begin at an image, that of every strength."""
    trained = NetworkStub(resolve_schedule(spec), spec.prediction)

    def tell(times: Column) -> Column:
        return spec.tell(trained.schedule, times)

    if form.edits:
        return pack_at_every_strength(trained, plan, spec.clip, form.room, tell)
    return pack(plan, spec.clip, form.room, times=tell(plan.time))


def read(model: onnx.ModelProto, source: str) -> FusedSampler:
    """What `build` made, from the file alone; raises DtoolError if it is something else."""
    metadata = {p.key: p.value for p in model.metadata_props}
    try:
        document = json.loads(metadata[KEY])
        if document.get("kind") != "sampler":
            raise DtoolError(f"{source} is not a sampler", "give a file that dtool export made with --recipe")
        plan = Plan.from_json(json.dumps(document["plan"]))
        form = SamplerForm.model_validate(document["form"])
        whole = NetworkSpec.read(json.dumps(document["spec"]), source)
        spec = NetworkSpec.read(json.dumps(document["network_spec"]), source) if "network_spec" in document else whole
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise DtoolError(f"{source} does not say what sampler it is", "export it again") from error
    try:
        run = _find_loop_body(model.graph)
        step = lower(_find_loop_body(run), run)
        network = extract_network(step, "step", NETWORK, model, spec)
        onnx.checker.check_model(network)
        branch = find_weak(step)
        weak = None if branch is None else extract_network(branch, BRANCH, WEAK, model, spec)
        decoder = extract_decoder(model) if form.picture_shape else None
        text = None if whole is spec else extract_text(_find_loop_body(model.graph), model, whole)
    except Exception as error:  # the checker has errors of its own
        raise DtoolError(
            f"{source} is not as dtool export wrote it: its network cannot be told apart from the sampler around it",
            "another tool has rewritten the graph: check the file before that, and compare what dtool sample draws",
        ) from error
    return FusedSampler(
        model=model, network=network, spec=spec, plan=plan, form=form, document=document, decoder=decoder,
        text=text, whole_spec=None if whole is spec else whole, weak=weak,
    )  # fmt: skip


def _find_loop_body(graph: onnx.GraphProto) -> onnx.GraphProto:
    node = next(node for node in graph.node if node.op_type == "Loop")
    body: onnx.GraphProto = helper.get_node_attr_value(node, "body")
    return body


def _write_metadata(model: onnx.ModelProto, document: dict[str, Any], plan: Plan) -> None:
    spec = document["spec"]
    plain = {
        "recipe": plan.recipe,
        "steps": str(plan.steps),
        "shape": "x".join(str(n) for n in spec["shape"]),
        "classes": str(spec["classes"]),
    }
    if spec["conditions"]:
        plain["conditions"] = "; ".join(Condition.model_validate(one).describe() for one in spec["conditions"])
    del model.metadata_props[:]
    helper.set_model_props(model, {KEY: json.dumps(document), **plain})
