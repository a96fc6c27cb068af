"""Opening an ONNX file: a network to be called step by step, or a sampler that is run as a whole."""

from __future__ import annotations

from pathlib import Path

from dtool.models.description import UNDESCRIBED, Description
from dtool.models.network import Network
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.models.spec import NetworkSpec
from dtool.models.token_ids import open_token_ids
from dtool.onnx.checked_file import CheckedFile, read_checked_file
from dtool.onnx.limits import RUN_SECONDS, resolve_time_limit
from dtool.onnx.parallel_session import ParallelSession
from dtool.onnx.sampler_inputs import find_inputs
from dtool.onnx.spec import read_own_spec
from dtool.plan.compiled_plan import Plan
from dtool.run.onnxruntime_backend import OnnxNetwork
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampler_form import SamplerForm, read_plan_and_form, read_tokenizers


def open_onnx(path: Path, description: NetworkSpec | Description = UNDESCRIBED, runtime: Runtime = ANYWHERE) -> Network:
    """What the file holds, ready to be sampled from.

    Raises DtoolError if it must not or cannot be run.
    """
    file = read_checked_file(path)
    sampler = read_plan_and_form(file.graph.metadata, file.source)
    if sampler is None:
        return OnnxNetwork(file, description, runtime)
    own = read_own_spec(file.graph, description, file.source)
    assert own is not None, "a sampler's metadata hold its spec"
    return _open_sampler(file, own, *sampler, runtime)


def _open_sampler(
    file: CheckedFile, spec: NetworkSpec, plan: Plan, form: SamplerForm, runtime: Runtime
) -> FusedNetwork:
    spec = form.mark_built_in(spec)
    inputs = find_inputs(file.graph, spec.classes, file.source, spec.conditions, form.edits)
    limit = resolve_time_limit(runtime.time_limit, RUN_SECONDS)
    network = FusedNetwork(spec, plan, form, inputs, ParallelSession(file, runtime, limit))
    tokenizers = read_tokenizers(file.graph.metadata)
    network.text = open_token_ids(tokenizers, Path(file.source)) if tokenizers else None
    return network
