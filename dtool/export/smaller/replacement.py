"""A smaller network in the place of an exported one, and what that costs, measured before anything is written."""

from __future__ import annotations

from contextlib import ExitStack
from math import inf
from typing import Literal

import onnx

from dtool.export.metadata import describe
from dtool.export.smaller.emulated_half import emulate_half
from dtool.export.smaller.half import convert_to_half
from dtool.export.smaller.int8 import collect_calibration, quantise_to_int8
from dtool.export.smaller.loss import ALLOWED, CompressionLoss, measure_loss, require_small_loss
from dtool.models.network import Network
from dtool.models.spec import NetworkSpec
from dtool.plan.compiled_plan import Plan
from dtool.run.load import load
from dtool.util.files import write_scratch_file

Precision = Literal["half", "int8"]


def shrink_network(
    proto: onnx.ModelProto, spec: NetworkSpec, plan: Plan, kind: Precision, allow_loss: bool
) -> tuple[onnx.ModelProto, CompressionLoss]:
    """The network in fp16 (`half`) or with its larger products in eight bits (`int8`), and what is lost by it.

    plan: the run that it is calibrated on, and judged by. Raises GateError if the images move by more than
    `dtool.export.smaller.loss.ALLOWED` of their span, unless `allow_loss`; DtoolError if it cannot be made smaller.
    """
    describe(proto, spec)
    with ExitStack() as files:

        def opened(model: onnx.ModelProto) -> Network:
            path = files.enter_context(write_scratch_file(".onnx", model.SerializeToString(), "the network"))
            return load(path, device="cpu")

        original = opened(proto)
        smaller = (
            convert_to_half(proto)
            if kind == "half"
            else quantise_to_int8(proto, spec, collect_calibration(original, plan))
        )
        describe(smaller, spec)
        emulation = (
            opened(emulate_half(smaller)) if kind == "half" else None
        )  # a CPU computes in float32 between the casts
        sizes = (proto.ByteSize(), smaller.ByteSize())
        loss = measure_loss(original, opened(smaller), plan, kind=kind, sizes=sizes, emulation=emulation)
    require_small_loss(loss, inf if allow_loss else ALLOWED)
    return smaller, loss
