"""Does an exported sampler draw what the host's loop draws? Row by row and at the end, on two runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.export.report import SMALL_TOLERANCE, TOLERANCE, ParityCheck
from dtool.export.sampler.assembly import FusedSampler
from dtool.export.sampler.reference_evaluator import compare_on_reference
from dtool.export.sampler.token_network import TokenNetwork
from dtool.export.sampler.trial_feed import DistanceFunction, feed_trial, make_trial_edit, take_changeable
from dtool.models.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.run.load import load
from dtool.run.load_codec import load_codec
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampling import Samples, sample
from dtool.run.trial_options import make_trial_options
from dtool.util.files import write_scratch_file

BATCHES = (1, 5)
OTHER_STEPS = 7
OTHER_SCALES = (3.0, 1.5)
LENGTHS = (8, 5, 11)  # of conditions whose length varies


def check_sampler(path: Path, sampler: FusedSampler) -> tuple[ParityCheck, ...]:
    """Compare the sampler in the file `path` with the host's loop over the network in it.

    The largest differences; of fp16 and int8, where rounding may fall differently, the root mean square. Raises
    DtoolError if one is above the tolerance, or an image's bits depend on its batch.
    """
    with write_scratch_file(".onnx", sampler.network.SerializeToString(), f"the network in {path}") as inside:
        host, file = load(inside, device="cpu", spec=sampler.spec), load(path, device="cpu")
        if sampler.text is not None:
            host = TokenNetwork(host, sampler.text, sampler.file_spec)
        assert isinstance(file, FusedNetwork)
        if sampler.weak is not None:
            host.weak = _load_weak(sampler, path)
        file.output = "latents" if sampler.decoder else "images"
        small = "precision" in sampler.document
        far = _rms_difference if small else _max_difference
        checks = [
            _compare_defaults(host, file, far),
            *_compare_runs(host, file, far),
            *_compare_guidance(host, file, far),
            *_compare_edits(host, file, far),
            _check_batch_invariance(file),
            *compare_on_reference(sampler, far),
            *_compare_pictures(path, sampler, far),
        ]
    worst = max(checks, key=lambda c: np.nan_to_num(c.difference, nan=np.inf))
    allowed = SMALL_TOLERANCE if small else TOLERANCE
    if not worst.difference <= allowed:
        raise DtoolError(
            f"the sampler is {worst.difference:.1e} from the host's loop ({worst.what}); allowed {allowed:.0e}",
            "report this with the network's shape and the recipe; dtool sample on the network's own file is right",
        )
    return tuple(checks)


def _load_weak(sampler: FusedSampler, path: Path) -> Network:
    """The weaker network in the file, by itself."""
    assert sampler.weak is not None
    with write_scratch_file(".onnx", sampler.weak.SerializeToString(), f"the weaker network in {path}") as inside:
        weak = load(inside, device="cpu", spec=sampler.spec)
    return weak if sampler.text is None else TokenNetwork(weak, sampler.text, sampler.file_spec)


def _compare_defaults(host: Network, file: FusedNetwork, far: DistanceFunction) -> ParityCheck:
    """The file as another program runs it, told nothing but which images: its defaults are the plan that it names."""
    ids = np.array([2, 0, 7], np.uint64)
    feed: dict[str, NDArray[Any]] = {"ids": ids}
    if file.classes:
        feed["label"] = np.array([0, -1 if file.spec.guidable else 0, 0])
    told = make_trial_options(file.spec, len(ids))
    feed |= file.own_settings() | feed_trial(file, told, slice(None))
    [images] = file.execute([file.output], feed)
    labels = feed["label"].tolist() if file.classes else None
    expected = _sample(host, file, file.plan, told, ids=ids.tolist(), labels=labels, seed=file.form.seed)
    what = "its own values given" if file.inputs.required else "the file's defaults"
    return ParityCheck(f"{file.plan.recipe}, {file.plan.steps} steps, {what}", far(expected.x0, images))


def _compare_runs(host: Network, file: FusedNetwork, far: DistanceFunction) -> Iterator[ParityCheck]:
    """The file's own plan at each batch, with several seeds; and another plan in its place; as far as it takes them."""
    for batch, seed in zip(BATCHES, (file.form.seed, 2**63 + 12345), strict=True):
        options: dict[str, Any] = {"n": batch, "seed": seed if "seed" in file.inputs.takes else file.form.seed}
        told = make_trial_options(file.spec, batch, length=LENGTHS[batch % len(LENGTHS)])
        one, other = (_sample(net, file, file.plan, told, trace=file.inputs.traces, **options) for net in (host, file))
        name = f"{file.plan.recipe}, {file.plan.steps} steps, batch {batch}, seed {options['seed']}"
        yield ParityCheck(name, far(one.x0, other.x0))
        if one.trace and other.trace:
            steps = zip(one.trace.x, other.trace.x, strict=True)
            yield ParityCheck(f"  x at each step, batch {batch}", max(far(*pair) for pair in steps))
            yield ParityCheck(f"  x0 at each step, batch {batch}", _compare_x0(file.plan, one, other, far))
    if not file.has_fixed_plan:
        plan = make_plan("ddpm", steps=min(OTHER_STEPS, host.schedule.T), network=host)
        seed = 1 if "seed" in file.inputs.takes else file.form.seed
        told = make_trial_options(file.spec, 3)
        one, other = (_sample(net, file, plan, told, n=3, seed=seed) for net in (host, file))
        yield ParityCheck(f"{plan.recipe}, {plan.steps} steps, in its place", far(one.x0, other.x0))


def _compare_guidance(host: Network, file: FusedNetwork, far: DistanceFunction) -> Iterator[ParityCheck]:
    """Guidance between conditions, or with a weaker network, at another scale than the file's own."""
    if (
        not (file.spec.conditions or file.form.weak)
        or "guidance" not in file.inputs.takes
        or (file.mixes and not file.form.weak)
    ):
        return
    scale = OTHER_SCALES[file.spec.guidance == OTHER_SCALES[0]]
    told = make_trial_options(file.spec, 3, scale, seed=2)
    one, other = (_sample(net, file, file.plan, told, n=3, guidance=scale, seed=file.form.seed) for net in (host, file))
    yield ParityCheck(f"{file.plan.recipe}, {file.plan.steps} steps, guidance {scale:g}", far(one.x0, other.x0))


def _compare_edits(host: Network, file: FusedNetwork, far: DistanceFunction) -> Iterator[ParityCheck]:
    """Runs that begin at images: a share of the steps, and where the file takes a mask all of them with one.

    Raises DtoolError unless what a mask says is known is in the result exactly.
    """
    for masked in (False, True):
        if not {"image", *(["mask"] if masked else [])} <= file.inputs.takes:
            continue
        told, edit = make_trial_options(file.spec, 3), make_trial_edit(file, 3, masked=masked)
        # as the networks sample them: a latent, too
        one, other = (_sample(net, file, file.plan, told, n=3, seed=file.form.seed, **edit) for net in (host, file))
        if masked and ((other.x0 != edit["image"]) & (edit["mask"] == 0)).any():
            raise DtoolError("what a mask says is known has changed", "report this with the network's shape")
        what = "with a mask" if masked else f"{one.calls} calls"
        yield ParityCheck(f"{file.plan.recipe} from images, {what}", far(one.x0, other.x0))


def _sample(network: Network, file: FusedNetwork, plan: Plan, told: dict[str, Any], **options: Any) -> Samples:
    """A run, told conditions of `make_trial_options`, as far as the file can be told what to compare with."""
    if "without" in told:
        told = told | {"without": take_changeable(file, told["without"])}
    return sample(network, plan, clip=file.spec.clip, threshold=file.threshold, **told, **options)


def _compare_pictures(path: Path, sampler: FusedSampler, far: DistanceFunction) -> Iterator[ParityCheck]:
    """What the file decodes, with what its decoder alone makes of the same samples."""
    if sampler.decoder is None:
        return
    file = load(path, device="cpu")
    assert isinstance(file, FusedNetwork)
    told = make_trial_options(file.spec, 3)
    pictures = _sample(file, file, file.plan, told, n=3, seed=sampler.form.seed).x0
    file.output = "latents"
    latents = _sample(file, file, file.plan, told, n=3, seed=sampler.form.seed).x0
    with write_scratch_file(".onnx", sampler.decoder.SerializeToString(), f"the decoder in {path}") as inside:
        expected = load_codec(inside, file.shape).decode(latents)
    yield ParityCheck("3 pictures, decoded apart", far(expected, pictures))


def _compare_x0(plan: Plan, one: Samples, other: Samples, far: DistanceFunction) -> float:
    """The largest difference of predicted images, each times α/σ where that is small: so far an ε may differ."""
    assert one.trace is not None
    assert other.trace is not None
    starts = plan.step_starts
    with np.errstate(divide="ignore"):
        weight = np.minimum(1, plan.alpha[starts] / plan.sigma[starts]).reshape(-1, *[1] * (one.trace.x0.ndim - 1))
    return far(weight * one.trace.x0, weight * other.trace.x0)


def _check_batch_invariance(file: FusedNetwork) -> ParityCheck:
    """An image alone and in a batch: raises DtoolError unless every bit is the same."""
    options: dict[str, Any] = {"clip": file.spec.clip, "threshold": file.threshold, "seed": file.form.seed}
    told: dict[str, Any] = make_trial_options(file.spec, 5)
    if "without" in told:
        told["without"] = take_changeable(file, told["without"])
    many = sample(file, file.plan, ids=[0, 1, 2, 3, 4], **told, **options)
    label = None if many.labels is None else [int(many.labels[3])]
    own: dict[str, Any] = {kind: {name: array[3] for name, array in arrays.items()} for kind, arrays in told.items()}
    alone = sample(file, file.plan, ids=[3], labels=label, **own, **options)
    if (alone.x0[0] != many.x0[3]).any():
        raise DtoolError("an image's bits depend on its batch", "export it with micro_batch=1")
    size = file.micro_batch
    same = sample(file, file.plan, ids=[3] * size, labels=None if label is None else label * size, **own, **options).x0
    if (same != many.x0[3]).any():
        raise DtoolError("an image's bits depend on its place in a batch", "export it with micro_batch=1")
    _check_default_invariance(file)
    return ParityCheck("an image alone, in a batch, and in every place of one", 0.0)


def _check_default_invariance(file: FusedNetwork) -> None:
    """The same for another program, which is told nothing but the ids: raises DtoolError if a bit differs."""
    first: list[NDArray[Any]] = []
    for batch in (1, 2, 3, 6):
        feed: dict[str, NDArray[Any]] = {"ids": np.arange(batch, dtype=np.uint64)}
        if file.classes:
            feed["label"] = np.arange(batch) % file.spec.labels
        feed |= feed_trial(file, make_trial_options(file.spec, 6), slice(batch)) | file.own_settings()
        first.append(file.execute([file.output], feed)[0][0])
        if (first[-1] != first[0]).any():
            raise DtoolError("an image's bits depend on its batch", "export it with micro_batch=1")


def _max_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference; of numbers above 1, as a share of the largest."""
    return float(np.abs(one - other).max() / max(1.0, np.abs(other).max()))


def _rms_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The root mean square difference, relative as above: one pixel that is rounded the other way decides nothing."""
    return float(np.sqrt(np.square(one - other).mean()) / max(1.0, np.abs(other).max()))
