"""A sampler that shares its images out evenly, if the network gives each the same bits in any company.

Calls of several images are quicker on a CPU than one after another, and an image alone then costs no padding.
"""

from __future__ import annotations

import onnx

from dtool.backends.company import MOST, NUMBERS
from dtool.backends.fused import Form, FusedNetwork
from dtool.backends.load import load
from dtool.export.sampler import Sampler, build
from dtool.files import scratch_file
from dtool.networks.network import rows_for
from dtool.networks.spec import NetworkSpec
from dtool.plan.plan import Plan

LARGEST = 64  # every size up to it is tried out


def even(network: onnx.ModelProto, spec: NetworkSpec, plan: Plan, form: Form) -> Sampler | None:
    """The sampler, in an even form; None if on this CPU the bits of an image depend on how many are run with it."""
    unit = form.micro_batch or 1
    most = min(MOST * unit, rows_for(spec.shape, NUMBERS))
    if not unit < most <= LARGEST:
        return None
    sampler = build(network, spec, plan, form.model_copy(update={"even": True}), most)
    with scratch_file(".onnx", sampler.content([]), "the sampler") as path:
        file = load(path, device="cpu")
        assert isinstance(file, FusedNetwork)
        return sampler if _same_bits(file, most) else None


def _same_bits(file: FusedNetwork, most: int) -> bool:
    """Whether every number of images up to `most`, run together, gives each the bits that it has alone."""
    for doubled in {False, file.spec.guidable}:
        for time in (file.schedule.T - 1, file.schedule.T // 4):
            alone = file.trial(most, 1, time, doubled)
            if any((file.trial(n, n, time, doubled) != alone[:n]).any() for n in range(2, most + 1)):
                return False
    return True
