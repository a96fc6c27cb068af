"""dtool.export(...): from a trained network to one ONNX file, with or without a sampler in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import UsageError
from dtool.export.report import Comparison, ExportReport
from dtool.export.sources import Source, require_packages, source
from dtool.files import require_writable, write_atomically
from dtool.networks.network import rows_for, schedule_of
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.prediction import for_network

if TYPE_CHECKING:
    from dtool.export.sampler import Sampler

MICRO_BATCH = 512  # numbers that are run at a time, as on the CPU in every backend


@dataclass(frozen=True)
class SamplerOptions:
    """How a sampler is put into its file. None leaves it to the network's spec, or to the plan.

    freeze: bake every default in, so that the ids (and labels) are the only inputs; a `config.pbtxt` for Triton is
    written beside the file. seed: the default seed. history: room for so many older predictions, and for an x that is
    kept, so that other samplers fit. clip, threshold, guidance: as in `dtool.sample`, as defaults; the threshold is
    part of the graph. micro_batch: how many images are run at a time.
    """

    freeze: bool = False
    seed: int = 0
    history: int | None = None
    clip: bool | None = None
    threshold: float | None = None
    guidance: float | None = None
    micro_batch: int | None = None


def export(
    net: Any = None,
    out: Path | str = "model.onnx",
    *,
    plan: Plan | str | None = None,
    steps: int = 50,
    check: bool = True,
    **options: Any,
) -> ExportReport:
    """Write a network as one ONNX file with a dynamic batch, or with a `plan` a whole sampler, and check the file.

    net: a checkpoint's path (.pt, .safetensors), "package.module:factory", what `dtool.load` made of one, or
    `(module, spec)`, an nn.Module `F(x, t[, label])` and its NetworkSpec; it is not changed. With a plan also an
    exported network's path (.onnx), or None for the network inside the package.
    The network's file has inputs x `(batch, *shape)` and t `(batch,)`, float32, and label `(batch,)` int64 if there
    are classes, where `classes` itself means no class; one output like x; and metadata under "dtool".
    plan: a Plan, or a recipe of `steps` steps; `dtool.export.fused` says what the sampler's file has. `options` are
    then those of `SamplerOptions`.
    check: compare the network with PyTorch at several batch sizes and times, and over a run of `steps` steps of DDIM
    (at most the schedule's T); the sampler with the host's loop. Raises DtoolError if something cannot be exported,
    differs by more than 1e-4, or cannot be written; then no file is left, or the old one.
    """
    started = time.perf_counter()
    path = Path(out)
    if path.suffix != ".onnx":
        raise UsageError(f"{path}: an export is an ONNX file", "end its name in .onnx")
    if steps < 1:
        raise UsageError(f"steps={steps}: a run has at least one step", "leave it out for 50")
    unknown = options.keys() - SamplerOptions.__annotations__.keys()
    if unknown or (options and plan is None):
        word = min(unknown or options)
        raise UsageError(
            f"{word} is not an option of {'this export' if unknown else 'a network alone'}", "leave it out"
        )
    require_writable(path)
    if check:
        require_packages("onnxruntime")
    if plan is None:
        if net is None or str(net).endswith(".onnx"):
            raise UsageError(
                f"{net or 'the network inside the package'} is an ONNX file already", "give a checkpoint, or a plan"
            )
        return _network(source(net), path, check, steps, started)
    return _sampler(source(net), path, plan, steps, SamplerOptions(**options), check, started)


def _network(found: Source, path: Path, check: bool, steps: int, started: float) -> ExportReport:
    from dtool.export.graph import OPSET
    from dtool.export.metadata import describe
    from dtool.export.parity import compared

    assert found.module is not None
    module, spec = found.module, found.spec
    document = describe(found.proto, spec)
    content: bytes = found.proto.SerializeToString(deterministic=True)
    comparisons = _written(path, content, (lambda file: compared(file, module, spec, steps)) if check else None)
    seconds = time.perf_counter() - started
    return ExportReport(path, len(content), OPSET, document["weights_sha256"], comparisons, seconds)


def _sampler(
    found: Source, path: Path, plan: Plan | str, steps: int, options: SamplerOptions, check: bool, started: float
) -> ExportReport:
    from dtool.export.sampler_check import compared
    from dtool.export.triton import config

    sampler = _fused(found, plan, steps, options)
    comparisons: tuple[Comparison, ...] = ()
    if check:
        from dtool.files import scratch_file

        with scratch_file(".onnx", sampler.content([])) as file:
            comparisons = compared(file, sampler)
    content = sampler.content([{"what": c.what, "difference": c.difference} for c in comparisons])
    _written(path, content, None)
    if options.freeze:
        text = config(path.stem, sampler.spec)
        write_atomically(path.with_name("config.pbtxt"), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    seconds = time.perf_counter() - started
    document = sampler.document
    return ExportReport(
        path, len(content), document["opset"], document["weights_sha256"], comparisons, seconds, sampler.plan.recipe
    )


def _fused(found: Source, plan: Plan | str, steps: int, options: SamplerOptions) -> Sampler:
    """The sampler, its defaults those of `options`; raises UsageError for a plan that cannot be put into a file."""
    from dtool.backends.fused import Form
    from dtool.backends.limit import Limit
    from dtool.backends.noise import key
    from dtool.export.sampler import build

    key(options.seed)
    spec = found.spec
    if options.threshold is not None and options.clip is False:
        raise UsageError("threshold is a way of clipping, and clip is off", "give one of them")
    Limit(*spec.data_range, options.threshold)
    if options.guidance is not None and not spec.classes:
        raise UsageError("guidance needs a conditional network", "leave out guidance")
    clip = options.threshold is not None or (spec.clip if options.clip is None else options.clip)
    guidance = spec.guidance if options.guidance is None else options.guidance
    spec = spec.model_copy(update={"clip": clip, "guidance": guidance})
    levels = schedule_of(spec)
    if isinstance(plan, str):
        plan = make_plan(plan, steps=steps, network=_Trained(levels, spec.prediction))
    else:
        plan = for_network(plan, levels, spec.prediction)
    if plan.learned and not spec.learned_variance:
        raise UsageError(f"{plan.recipe} takes the variance from the network, and this one predicts none", "use ddpm")
    if options.history is not None and options.history < plan.history - 1:
        raise UsageError(
            f"{plan.recipe} remembers {plan.history - 1} older predictions", f"history={plan.history - 1} or more"
        )
    size = options.micro_batch or rows_for(spec.shape, MICRO_BATCH)
    form = Form(
        history=plan.history - 1 if options.history is None else options.history,
        saved=bool(plan.save.any()) or options.history is not None,
        quantile=options.threshold,
        frozen=options.freeze,
        seed=options.seed,
    )
    return build(found.proto, spec, plan, form, size)


@dataclass(frozen=True)
class _Trained:
    """What `dtool.plan` wants to know of a network."""

    schedule: Any
    prediction: Any


def recheck(path: Path) -> ExportReport:
    """Compare a sampler's file with the host's loop again; raises DtoolError as `export` does, or for another file."""
    started = time.perf_counter()
    require_packages("onnx", "onnxruntime")
    import onnx

    from dtool.backends.load import load
    from dtool.export.sampler import read
    from dtool.export.sampler_check import compared

    load(path, device="cpu")  # refuses what must not be run
    data = path.read_bytes()
    sampler = read(onnx.load_model_from_string(data), str(path))
    comparisons = compared(path, sampler)
    document, seconds = sampler.document, time.perf_counter() - started
    return ExportReport(
        path, len(data), document["opset"], document["weights_sha256"], comparisons, seconds, sampler.plan.recipe
    )


def _written(
    path: Path, content: bytes, check: Callable[[Path], tuple[Comparison, ...]] | None
) -> tuple[Comparison, ...]:
    """Write the file if it passes the check."""
    comparisons: tuple[Comparison, ...] = ()

    def write(temporary: Path) -> None:
        nonlocal comparisons
        temporary.write_bytes(content)
        if check is not None:
            comparisons = check(temporary)

    write_atomically(path, write)
    return comparisons
