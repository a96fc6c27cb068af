"""The network of an export, rewritten for the CPU, if the rewritten one computes the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.export.network.sources import SourceNetwork
from dtool.export.sampler.network_nodes import list_inputs
from dtool.export.size_limit import is_large
from dtool.models.conditions import LABEL, make_trial_conditions
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.onnx.rewrite.comparison import are_equal
from dtool.onnx.rewrite.mark import mark
from dtool.onnx.rewrite.network import rewrite_network
from dtool.onnx.session import open_session, run_session

BATCHES = (1, 3)


def rewrite_source(source: SourceNetwork) -> SourceNetwork:
    """The source with a faster graph (`dtool.onnx.rewrite`), and a faster weaker network; or as it was.

    It stays as it was if it is too large to be held twice, or if an output would change by more than 1e-5.
    """
    proto = _rewrite(source.proto, source.spec)
    weak = source.weak if source.weak is None else _rewrite(source.weak, source.spec)
    return replace(source, proto=proto, weak=weak)


def _rewrite(proto: onnx.ModelProto, spec: NetworkSpec) -> onnx.ModelProto:
    if is_large(proto):
        return proto
    rewritten, counts = rewrite_network(proto)
    if not counts:
        return proto
    try:
        before, after = (_run_trials(model, spec) for model in (proto, rewritten))
    except DtoolError:  # ONNX Runtime is not there, or cannot run it: the export's own checks say what is wrong
        return proto
    if not are_equal(before, after):
        return proto
    mark(rewritten)
    return rewritten


def _run_trials(model: onnx.ModelProto, spec: NetworkSpec) -> list[NDArray[Any]]:
    """The outputs for some random images, times and conditions."""
    session = open_session(model.SerializeToString(), "the rewritten network", Runtime(device="cpu"))
    names = [value.name for value in session.get_inputs()]
    schedule = resolve_schedule(spec)
    outputs = []
    for batch in BATCHES:
        random = np.random.default_rng(batch)
        told: dict[str, Any] = {
            "x": random.standard_normal((batch, *spec.shape), dtype=np.float32),
            "t": spec.tell(schedule, random.uniform(0, schedule.T - 1, batch)).astype(np.float32),
            **make_trial_conditions(spec, batch, random),
        }
        if spec.classes:
            told[LABEL] = random.integers(0, spec.labels, batch)
        feed = {name: told[own] for name, own in zip(names, list_inputs(spec), strict=True)}
        outputs += run_session(session, None, feed)[:1]
    return outputs
