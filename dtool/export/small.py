"""A smaller network in the place of an exported one, and what that costs, measured before anything is written."""

from __future__ import annotations

from contextlib import ExitStack
from math import inf
from typing import Literal

import onnx

from dtool.backends.load import load
from dtool.export.half import half
from dtool.export.int8 import calibration, int8
from dtool.export.loss import ALLOWED, Loss, measure, require
from dtool.export.metadata import describe
from dtool.export.rounded import rounded
from dtool.files import scratch_file
from dtool.networks.network import Network
from dtool.networks.spec import NetworkSpec
from dtool.plan.plan import Plan

Kind = Literal["half", "int8"]


def smaller(
    proto: onnx.ModelProto, spec: NetworkSpec, plan: Plan, kind: Kind, allow_loss: bool
) -> tuple[onnx.ModelProto, Loss]:
    """The network in fp16 (`half`) or with its larger products in eight bits (`int8`), and what is lost by it.

    plan: the run that it is calibrated on, and judged by. Raises GateError if the images move by more than
    `dtool.export.loss.ALLOWED` of their span, unless `allow_loss`; DtoolError if it cannot be made smaller.
    """
    describe(proto, spec)
    with ExitStack() as files:

        def opened(model: onnx.ModelProto) -> Network:
            path = files.enter_context(scratch_file(".onnx", model.SerializeToString(), "the network"))
            return load(path, device="cpu")

        original = opened(proto)
        made = half(proto) if kind == "half" else int8(proto, spec, calibration(original, plan))
        describe(made, spec)
        emulation = opened(rounded(made)) if kind == "half" else None  # a CPU computes in float32 between the casts
        sizes = (proto.ByteSize(), made.ByteSize())
        loss = measure(original, opened(made), plan, kind=kind, sizes=sizes, emulation=emulation)
    require(loss, inf if allow_loss else ALLOWED)
    return made, loss
