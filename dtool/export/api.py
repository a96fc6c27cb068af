"""dtool.export(...): from a trained network to one ONNX file, with or without a sampler in it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool import bounded
from dtool.arguments import checks_arguments
from dtool.backends.load import load
from dtool.errors import UsageError
from dtool.export.report import SMALL_TOLERANCE, TOLERANCE, Comparison, ExportReport
from dtool.export.settled import SamplerOptions, Trained, settled
from dtool.export.sources import Source, require_packages, source
from dtool.export.triton import beside, config, require_free, write_both
from dtool.files import files_in, require_apart, require_writable, scratch_file, write_atomically
from dtool.networks.spec import NetworkSpec, schedule_of
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan

if TYPE_CHECKING:
    from dtool.export.small import Kind


@checks_arguments
def export(
    net: Any = None,
    out: Path | str = "model.onnx",
    *,
    plan: Plan | str | None = None,
    steps: int = 50,
    spec: NetworkSpec | Mapping[str, Any] | None = None,
    check: bool = True,
    half: bool = False,
    int8: bool = False,
    allow_loss: bool = False,
    **options: Any,
) -> ExportReport:
    """Write a network as one ONNX file with a dynamic batch, or with a `plan` a whole sampler, and check the file.

    net: a checkpoint's path (.pt, .safetensors), "package.module:factory", what `dtool.load` made of one, or
    `(module, spec)`, an nn.Module `F(x, t[, label])` and its NetworkSpec; it is not changed. With a plan also an
    exported network's path (.onnx), or None for the network inside the package.
    The network's file has inputs x `(batch, *shape)` and t `(batch,)`, float32, and label `(batch,)` int64 if there
    are classes, where `classes` itself means no class; one output like x; and metadata under "dtool".
    spec: what such an ONNX file is, if it does not say so itself, as for `dtool.load`; it may then be called in any of
    the ways that `dtool.load` knows, but with batches of any size.
    plan: a Plan, or a recipe of `steps` steps; `dtool.export.fused` says what the sampler's file has. `options` are
    then those of `SamplerOptions`.
    half, int8: a smaller network, in fp16 for CUDA, or with its larger products in eight bits, calibrated on what it
    sees in a run of the plan (without one, of `steps` steps of DDIM). What it loses is measured; allow_loss: write it
    even if that is more than `dtool.export.loss.ALLOWED`, which raises GateError otherwise.
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
    if half and int8:
        raise UsageError("half and int8 are two ways of making a network smaller", "choose one")
    sources = [net if isinstance(net, (str, Path)) else None, *files_in(plan if isinstance(plan, str) else None)]
    require_apart([path, beside(path) if options.get("freeze") else None], sources)
    require_writable(path)
    if options.get("freeze"):
        require_writable(beside(path))
    if check or half or int8:
        require_packages("onnxruntime")
    small: Kind | None = "half" if half else "int8" if int8 else None
    job = _Job(path, steps, check, small, allow_loss, started)
    if plan is not None:
        return _sampler(source(net, spec), job, plan, SamplerOptions(**options))
    if net is None or str(net).endswith(".onnx"):
        what = net or "the network inside the package"
        raise UsageError(f"{what} is an ONNX file already", "give a checkpoint, or a plan")
    return _network(source(net, spec), job)


@dataclass(frozen=True)
class _Job:
    """What every export is told."""

    path: Path
    steps: int
    check: bool
    small: Kind | None
    allow_loss: bool
    started: float

    def report(
        self, size: int, document: dict[str, Any], comparisons: tuple[Comparison, ...], recipe: str | None, loss: Any
    ) -> ExportReport:
        """What the export says of itself."""
        seconds = time.perf_counter() - self.started
        opset, digest = document["opset"], document["weights_sha256"]
        allowed = SMALL_TOLERANCE if recipe and "precision" in document else TOLERANCE
        return ExportReport(self.path, size, opset, digest, comparisons, seconds, recipe, loss, allowed)

    def shrunk(self, found: Source, plan: Plan) -> tuple[Source, Any]:
        """The network as small as was asked for, and what that loses."""
        if self.small is None:
            return found, None
        from dtool.export.small import smaller

        proto, loss = smaller(found.proto, found.spec, plan, self.small, self.allow_loss)
        return replace(found, proto=proto), loss


def _network(found: Source, job: _Job) -> ExportReport:
    from dtool.export.metadata import describe
    from dtool.export.parity import compared

    assert found.module is not None
    module, spec = found.module, found.spec
    document = describe(found.proto, spec)
    content: bytes = found.proto.SerializeToString(deterministic=True)
    loss = None
    comparisons: tuple[Comparison, ...] = ()
    if job.check:
        with scratch_file(".onnx", content, str(job.path)) as file:
            comparisons = compared(file, module, spec, job.steps)
    if job.small is not None:
        trained = Trained(schedule_of(spec), spec.prediction)
        plan = make_plan("ddim", steps=min(job.steps, trained.schedule.T), network=trained)
        found, loss = job.shrunk(found, plan)
        document = describe(found.proto, spec)
        content = found.proto.SerializeToString(deterministic=True)
    _write(job.path, content)
    return job.report(len(content), document, comparisons, None, loss)


def _sampler(found: Source, job: _Job, plan: Plan | str, options: SamplerOptions) -> ExportReport:
    from dtool.export.even import even
    from dtool.export.sampler import build
    from dtool.export.sampler_check import compared

    text = config(job.path.stem, found.spec)
    if options.freeze:
        require_free(job.path, text)
    found, plan, form = settled(found, plan, job.steps, options)
    found, loss = job.shrunk(found, plan)
    sampler = None
    if job.check and options.micro_batch is None and form.open and not form.mixes:
        sampler = even(found.proto, found.spec, plan, form)
    sampler = sampler or build(found.proto, found.spec, plan, form)
    if loss is not None:
        sampler.document.update(precision=job.small, loss=asdict(loss))
    comparisons: tuple[Comparison, ...] = ()
    if job.check:
        with scratch_file(".onnx", sampler.content([]), str(job.path)) as file:
            comparisons = compared(file, sampler)
    content = sampler.content([asdict(comparison) for comparison in comparisons])
    if options.freeze:
        write_both(job.path, content, text)
    else:
        _write(job.path, content)
    return job.report(len(content), sampler.document, comparisons, plan.recipe, loss)


def recheck(path: Path) -> ExportReport:
    """Compare a sampler's file with the host's loop again; raises DtoolError as `export` does, or for another file."""
    job = _Job(path, 0, True, None, False, time.perf_counter())
    require_packages("onnx", "onnxruntime")
    import onnx

    from dtool.export.sampler import read
    from dtool.export.sampler_check import compared

    load(path, device="cpu")  # refuses what must not be run
    data = bounded.model(path)
    sampler = read(onnx.load_model_from_string(data), str(path))
    comparisons = compared(path, sampler)
    return job.report(len(data), sampler.document, comparisons, sampler.plan.recipe, None)


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
