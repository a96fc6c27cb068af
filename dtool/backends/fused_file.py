"""Opening an ONNX file: a network to be called step by step, or a sampler that is run as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dtool.backends.allowance import CALL_SECONDS, RUN_SECONDS, seconds
from dtool.backends.fused import Form, FusedNetwork, held
from dtool.backends.fused_inputs import inputs_of
from dtool.backends.onnx_spec import own_spec
from dtool.backends.onnxruntime_backend import Checked, OnnxNetwork, checked
from dtool.backends.onnxruntime_session import device_of, guarded_run, open_session
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec
from dtool.plan.plan import Plan


def open_onnx(
    path: Path,
    spec: NetworkSpec | Mapping[str, Any] | None = None,
    device: str = "auto",
    provider: str | None = None,
    time_limit: float | None = None,
) -> Network:
    """What the file holds, ready to be sampled from; for the arguments see `dtool.load`.

    Raises DtoolError if it must not or cannot be run.
    """
    file = checked(path)
    sampler = held(file.found.metadata, file.source)
    if sampler is None:
        return OnnxNetwork(file, spec, device, provider=provider, time_limit=time_limit)
    own = own_spec(file.found, spec, file.source)
    assert own is not None, "a sampler's metadata hold its spec"
    return _opened(file, own, *sampler, device, provider, time_limit)


def _opened(
    file: Checked,
    spec: NetworkSpec,
    plan: Plan,
    form: Form,
    device: str,
    provider: str | None,
    time_limit: float | None,
) -> FusedNetwork:
    inputs = inputs_of(file.found, spec.classes, file.source)
    limit = seconds(time_limit, RUN_SECONDS)
    session = open_session(file.data, file.source, device, provider, seconds(time_limit, CALL_SECONDS))

    def execute(outputs: Sequence[str], feed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        return guarded_run(session, outputs, feed, limit)

    return FusedNetwork(spec, plan, form, inputs, execute, device_of(session))
