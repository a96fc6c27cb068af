"""A sampler that shares its images out evenly, if the network gives each the same bits in any batch.

Calls of several images are quicker on a CPU than one after another, and an image alone then costs no padding.
"""

from __future__ import annotations

import onnx

from dtool.export.network.text_parts import TextGraph
from dtool.export.sampler.assembly import FusedSampler, build
from dtool.models.micro_batch import choose_micro_batch
from dtool.models.spec import NetworkSpec
from dtool.plan.compiled_plan import Plan
from dtool.run.batch_size import MAX_MICRO_BATCHES, NUMBERS_PER_CALL
from dtool.run.load import load
from dtool.run.sampler_conditions import is_guided
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampler_form import SamplerForm
from dtool.util.files import write_scratch_file

LARGEST_TRIED = 64  # every size up to it is tried out


def build_even_sampler(
    network: onnx.ModelProto,
    spec: NetworkSpec,
    plan: Plan,
    form: SamplerForm,
    decoder: onnx.ModelProto | None = None,
    text: TextGraph | None = None,
    weak: onnx.ModelProto | None = None,
) -> FusedSampler | None:
    """The sampler, in an even form; None if on this CPU the bits of an image depend on how many are run with it."""
    unit = form.micro_batch or 1
    most = min(MAX_MICRO_BATCHES * unit, choose_micro_batch(spec.shape, NUMBERS_PER_CALL))
    if not unit < most <= LARGEST_TRIED:
        return None
    sampler = build(network, spec, plan, form.model_copy(update={"even": True}), most, decoder, text, weak)
    with write_scratch_file(".onnx", sampler.content([]), "the sampler") as path:
        file = load(path, device="cpu")
        assert isinstance(file, FusedNetwork)
        return sampler if _has_same_bits(file, most) else None


def _has_same_bits(file: FusedNetwork, most: int) -> bool:
    """Whether every number of images up to `most`, run together, gives each the bits that it has alone."""
    for doubled in {False, is_guided(file.spec, file.form)}:
        for time in (file.schedule.T - 1, file.schedule.T // 4):
            alone = file.run_trial(most, 1, time, doubled)
            if any((file.run_trial(n, n, time, doubled) != alone[:n]).any() for n in range(2, most + 1)):
                return False
    return True
