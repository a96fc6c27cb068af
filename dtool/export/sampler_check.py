"""Does an exported sampler draw what the host's loop draws? Row by row and at the end, on two runtimes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from dtool.backends.fused import FusedNetwork
from dtool.backends.load import load
from dtool.backends.sampling import Samples, sample
from dtool.errors import DtoolError
from dtool.export.report import SMALL_TOLERANCE, TOLERANCE, Comparison
from dtool.export.sampler import Sampler
from dtool.files import scratch_file
from dtool.networks.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.table import table

Distance = Callable[[NDArray[Any], NDArray[Any]], float]
BATCHES = (1, 5)
OTHER_STEPS = 7
REFERENCE_ROWS = 2  # on onnx's own evaluator, which is thousands of times slower


def compared(path: Path, sampler: Sampler) -> tuple[Comparison, ...]:
    """Compare the sampler in the file `path` with the host's loop over the network in it.

    The largest differences; of fp16 and int8, where rounding may fall differently, the root mean square. Raises
    DtoolError if one is above the tolerance, or an image's bits depend on its batch.
    """
    with scratch_file(".onnx", sampler.network.SerializeToString(), f"the network in {path}") as inside:
        host, file = load(inside, device="cpu", spec=sampler.spec), load(path, device="cpu")
        assert isinstance(file, FusedNetwork)
        small = "precision" in sampler.document
        far = _typical if small else _largest
        found = [_defaults(host, file, far), *_runs(host, file, far), _alone(file), _reference(sampler, far)]
    worst = max(found, key=lambda c: np.nan_to_num(c.difference, nan=np.inf))
    allowed = SMALL_TOLERANCE if small else TOLERANCE
    if not worst.difference <= allowed:
        raise DtoolError(
            f"the sampler is {worst.difference:.1e} from the host's loop ({worst.what}); allowed {allowed:.0e}",
            "report this with the network's shape and the recipe; dtool sample on the network's own file is right",
        )
    return tuple(found)


def _defaults(host: Network, file: FusedNetwork, far: Distance) -> Comparison:
    """The file as another program runs it, told nothing but which images: its defaults are the plan that it names."""
    ids = np.array([2, 0, 7], np.uint64)
    feed: dict[str, NDArray[Any]] = {"ids": ids}
    if file.classes:
        feed["label"] = np.array([0, -1 if file.spec.guidable else 0, 0])
    feed |= file.own_settings()
    [images] = file.execute(["images"], feed)
    labels = feed["label"].tolist() if file.classes else None
    expected = _sampled(host, file, file.plan, ids=ids.tolist(), labels=labels, seed=file.form.seed)
    what = "its own values given" if file.inputs.required else "the file's defaults"
    return Comparison(f"{file.plan.recipe}, {file.plan.steps} steps, {what}", far(expected.x0, images))


def _runs(host: Network, file: FusedNetwork, far: Distance) -> Iterator[Comparison]:
    """The file's own plan at each batch, with several seeds; and another plan in its place; as far as it takes them."""
    for batch, seed in zip(BATCHES, (file.form.seed, 2**63 + 12345), strict=True):
        options: dict[str, Any] = {"n": batch, "seed": seed if "seed" in file.inputs.takes else file.form.seed}
        one, other = (_sampled(net, file, file.plan, trace=file.inputs.traces, **options) for net in (host, file))
        name = f"{file.plan.recipe}, {file.plan.steps} steps, batch {batch}, seed {options['seed']}"
        yield Comparison(name, far(one.x0, other.x0))
        if one.trace and other.trace:
            steps = zip(one.trace.x, other.trace.x, strict=True)
            yield Comparison(f"  x at each step, batch {batch}", max(far(*pair) for pair in steps))
            yield Comparison(f"  x0 at each step, batch {batch}", _x0(file.plan, one, other, far))
    if not file.own_plan_alone:
        plan = make_plan("ddpm", steps=min(OTHER_STEPS, host.schedule.T), network=host)
        seed = 1 if "seed" in file.inputs.takes else file.form.seed
        one, other = (_sampled(net, file, plan, n=3, seed=seed) for net in (host, file))
        yield Comparison(f"{plan.recipe}, {plan.steps} steps, in its place", far(one.x0, other.x0))


def _sampled(network: Network, file: FusedNetwork, plan: Plan, **options: Any) -> Samples:
    return sample(network, plan, clip=file.spec.clip, threshold=file.threshold, **options)


def _x0(plan: Plan, one: Samples, other: Samples, far: Distance) -> float:
    """The largest difference of predicted images, each times α/σ where that is small: so far an ε may differ."""
    assert one.trace is not None
    assert other.trace is not None
    starts = np.flatnonzero(np.concatenate([[True], plan.step_end[:-1]]))
    with np.errstate(divide="ignore"):
        weight = np.minimum(1, plan.alpha[starts] / plan.sigma[starts]).reshape(-1, *[1] * (one.trace.x0.ndim - 1))
    return far(weight * one.trace.x0, weight * other.trace.x0)


def _alone(file: FusedNetwork) -> Comparison:
    """An image alone and in a batch: raises DtoolError unless every bit is the same."""
    options: dict[str, Any] = {"clip": file.spec.clip, "threshold": file.threshold, "seed": file.form.seed}
    many = sample(file, file.plan, ids=[0, 1, 2, 3, 4], **options)
    label = None if many.labels is None else [int(many.labels[3])]
    alone = sample(file, file.plan, ids=[3], labels=label, **options)
    if (alone.x0[0] != many.x0[3]).any():
        raise DtoolError("an image's bits depend on its batch", "export it with micro_batch=1")
    size = file.micro_batch
    same = sample(file, file.plan, ids=[3] * size, labels=None if label is None else label * size, **options).x0
    if (same != many.x0[3]).any():
        raise DtoolError("an image's bits depend on its place in a batch", "export it with micro_batch=1")
    _alone_by_default(file)
    return Comparison("an image alone, in a batch, and in every place of one", 0.0)


def _alone_by_default(file: FusedNetwork) -> None:
    """The same for another program, which is told nothing but the ids: raises DtoolError if a bit differs."""
    first: list[NDArray[Any]] = []
    for batch in (1, 2, 3, 6):
        feed: dict[str, NDArray[Any]] = {"ids": np.arange(batch, dtype=np.uint64)}
        if file.classes:
            feed["label"] = np.arange(batch) % file.spec.labels
        first.append(file.execute(["images"], feed | file.own_settings())[0][0])
        if (first[-1] != first[0]).any():
            raise DtoolError("an image's bits depend on its batch", "export it with micro_batch=1")


def _reference(sampler: Sampler, far: Distance) -> Comparison:
    """The first rows of the plan on onnx's reference evaluator and on ONNX Runtime, for one image: the third oracle."""
    short = onnx.ModelProto()
    short.CopyFrom(sampler.model)
    rows = min(REFERENCE_ROWS, sampler.plan.rows)
    for tensor in short.graph.initializer:
        if tensor.name == "steps":
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(np.int64(rows)), "steps"))
    feed: dict[str, NDArray[Any]] = {"ids": np.array([4], np.uint64)}
    if sampler.spec.classes:
        feed["label"] = np.array([0])
    with scratch_file(".onnx", sampler.said(short), "the sampler") as path:
        file = load(path, device="cpu")
        assert isinstance(file, FusedNetwork)
        own = file.own_settings()
        feed |= own | {name: own[name][:rows] for name in ("table", "times") if name in own}
        feed |= {"steps": np.asarray(rows)} if "steps" in own else {}
        [images] = file.execute(["images"], feed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # products of counters are meant to wrap
        _drop_traces(short.graph)
        reference = np.asarray(next(iter(ReferenceEvaluator(short).run(["images"], feed))))
    # where a row multiplies F by a thousand, a last bit of F is a thousand last bits of x
    made = table(sampler.plan, sampler.spec.clip)
    weights = (made.f, made.d * made.c_out, *made.b.T)
    gain = max(1.0, *(float(np.abs(column[:rows]).max()) for column in weights))
    return Comparison(f"{rows} calls on onnx's reference evaluator", far(images, reference) / gain)


def _drop_traces(graph: onnx.GraphProto) -> None:
    """Leave out the traces: of what a loop collects the evaluator makes one long array, and not a stack."""
    gone = {"x_by_run", "x0_by_run"}
    for node in list(graph.node):
        if gone & set(node.input):
            gone |= set(node.output)
            graph.node.remove(node)
    for output in list(graph.output):
        if output.name in gone:
            graph.output.remove(output)


def _largest(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference; of numbers above 1, as a share of the largest."""
    return float(np.abs(one - other).max() / max(1.0, np.abs(other).max()))


def _typical(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The root mean square difference, relative as above: one pixel that is rounded the other way decides nothing."""
    return float(np.sqrt(np.square(one - other).mean()) / max(1.0, np.abs(other).max()))
