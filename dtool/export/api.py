"""dtool.export(...): from a trained network to one ONNX file, with or without a sampler in it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import UsageError
from dtool.export.built_in import (
    NOTHING,
    BuiltIn,
    add_weak,
    encode_told,
    fix_conditions,
    refuse_told,
    require_place_for_weak,
)  # fmt: skip
from dtool.export.folders import require_new_folder
from dtool.export.job import ExportJob
from dtool.export.network.sources import SourceNetwork, require_packages, resolve_source
from dtool.export.report import ExportReport, ParityCheck
from dtool.export.sampler.settings import NetworkStub, SamplerFileOptions, resolve_sampler
from dtool.export.sampler.triton import format_config, locate_config, require_free, write_both
from dtool.export.size_limit import graph_size, is_large, require_exportable
from dtool.models.description import Description, describe_source
from dtool.models.readers.exported_folder import is_exported
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.run.load import load
from dtool.util import bounded_reading
from dtool.util.arguments import check_arguments
from dtool.util.files import (
    find_option_files,
    require_distinct_files,
    require_writable,
    write_atomically,
    write_scratch_file,
)

if TYPE_CHECKING:
    from dtool.export.smaller.replacement import Precision


@check_arguments
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
    built_in: BuiltIn | None = None,
    weak: Any = None,
    **options: Any,
) -> ExportReport:
    """Write a network as one ONNX file with a dynamic batch, or with a `plan` a whole sampler, and check the file.

    net: a checkpoint's path (.pt, .safetensors), "package.module:factory", what `dtool.load` made of one, or
    `(module, spec)`, an nn.Module `F(x, t[, label])` and its NetworkSpec; it is not changed. With a plan also an
    exported network's path (.onnx), a folder that this wrote, or None for the network inside the package.
    The network's file has inputs x `(batch, *shape)` and t `(batch,)`, float32, and label `(batch,)` int64 if there
    are classes, where `classes` itself means no class; one output like x; and metadata under "dtool".
    spec: what such an ONNX file is, if it does not say so itself, as for `dtool.load`; it may then be called in any of
    the ways that `dtool.load` knows, but with batches of any size.
    out: a file, NAME.onnx; or, of a model with a text encoder and with a plan, a new folder for the whole pipeline:
    `dtool.export.pipeline_folder` says what it holds.
    plan: a Plan, or a recipe of `steps` steps; `dtool.export.sampler.loop_graph` says what the sampler's file
    has. `options` are then those of `SamplerFileOptions`.
    built_in: a decoder in the place of the model's own, and what images are told where nobody says it, constants of a
    network alone: see `dtool.export.BuiltIn`.
    weak: of a sampler, a weaker network, named as `net` is, which guidance compares with in the place of no conditions
    (autoguidance): it is put into the file, too.
    half, int8: a smaller network, in fp16 for CUDA, or with its larger products in eight bits, calibrated on what it
    sees in a run of the plan (without one, of `steps` steps of DDIM). What it loses is measured; allow_loss: write it
    even if that is more than `dtool.export.smaller.loss.ALLOWED`, which raises GateError otherwise.
    check: compare the network with PyTorch at several batch sizes and times, and over a run of `steps` steps of DDIM
    (at most the schedule's T); the sampler with the host's loop. Raises DtoolError if something cannot be exported,
    differs by more than 1e-4, or cannot be written; then no file is left, or the old one.
    """
    started = time.perf_counter()
    path = Path(out)
    folder = plan is not None and not path.suffix
    _check_words(path, folder, steps, options, has_plan=plan is not None)
    if half and int8:
        raise UsageError("half and int8 are two ways of making a network smaller", "choose one")
    sources = [
        *(one if isinstance(one, (str, Path)) else None for one in (net, weak)),
        *find_option_files(plan if isinstance(plan, str) else None),
    ]
    require_distinct_files([path, locate_config(path) if options.get("freeze") else None], sources)
    if folder:
        require_new_folder(path)
    else:
        require_writable(path)
    if options.get("freeze"):
        require_writable(locate_config(path))
    if check or half or int8:
        require_packages("onnxruntime")
    description, extra = describe_source(spec), built_in or BuiltIn()
    small: Precision | None = "half" if half else "int8" if int8 else None
    job = ExportJob(path=path, steps=steps, check=check, small=small, allow_loss=allow_loss, started=started)
    if weak is not None:
        require_place_for_weak(folder=folder, has_plan=plan is not None, small=small)
    if folder and plan is not None:
        from dtool.export.pipeline_folder import export_pipeline

        extra.require_untold("a folder has the text encoder, and its pictures are told when they are sampled")
        source = extra.add_decoder(_resolve_source(net, description, large=True))
        return export_pipeline(source, job, plan, SamplerFileOptions(**options), _export_sampler, _export_network)
    if plan is not None:
        source = extra.add_decoder(_resolve_source(net, description))
        if weak is not None:
            source = add_weak(source, resolve_source(weak, description))
        return _export_sampler(source, job, plan, SamplerFileOptions(**options), extra)
    extra.require_no_decoder()
    if net is None or str(net).endswith(".onnx"):
        what = net or "the network inside the package"
        raise UsageError(f"{what} is an ONNX file already", "give a checkpoint, or a plan")
    source = resolve_source(net, description, large=True)
    if extra.is_told:
        source = fix_conditions(source, encode_told(source, extra, 1.0).given)
    return _export_network(source, job)


def _resolve_source(net: Any, description: NetworkSpec | Description, *, large: bool = False) -> SourceNetwork:
    """What a sampler is made of."""
    if isinstance(net, (str, Path)) and is_exported(Path(net)):
        from dtool.export.pipeline_source import read_pipeline

        return read_pipeline(Path(net), description)
    return resolve_source(net, description, large=large)


def _check_words(path: Path, folder: bool, steps: int, options: Mapping[str, Any], *, has_plan: bool) -> None:
    """Raise UsageError for a name, a number of steps or options that no export has."""
    if path.suffix != ".onnx" and not folder:
        raise UsageError(f"{path}: an export is an ONNX file", "end its name in .onnx")
    if steps < 1:
        raise UsageError(f"steps={steps}: a run has at least one step", "leave it out for 50")
    unknown = options.keys() - SamplerFileOptions.__annotations__.keys()
    if unknown or (options and not has_plan):
        word = min(unknown or options)
        raise UsageError(
            f"{word} is not an option of {'this export' if unknown else 'a network alone'}", "leave it out"
        )


def _export_network(source: SourceNetwork, job: ExportJob) -> ExportReport:
    from dtool.export.metadata import describe
    from dtool.export.network.files import write_for_check, write_network
    from dtool.export.network.parity import check_parity

    module, spec = source.module, source.spec
    assert module is not None
    source = job.rewrite(source)
    document = describe(source.proto, spec)
    loss = None
    comparisons: tuple[ParityCheck, ...] = ()
    if job.small is not None and is_large(source.proto):
        require_exportable(graph_size(source.proto), "the network, which --half and --int8 read as one file,")
    if job.check:
        with write_for_check(source.proto, job.path) as file:
            comparisons = check_parity(file, module, spec, job.steps)
    if job.small is not None:
        trained = NetworkStub(resolve_schedule(spec), spec.prediction)
        plan = make_plan("ddim", steps=min(job.steps, trained.schedule.T), network=trained)
        source, loss = job.shrink(source, plan)
        document = describe(source.proto, spec)
    size = write_network(source.proto, job.path)
    return job.report(size, document, comparisons, None, loss)


def _export_sampler(
    source: SourceNetwork, job: ExportJob, plan: Plan | str, options: SamplerFileOptions, extra: BuiltIn = NOTHING
) -> ExportReport:
    from dtool.export.sampler.assembly import build
    from dtool.export.sampler.balanced_batches import build_even_sampler
    from dtool.export.sampler.parity import check_sampler
    from dtool.export.sampler.tokenizer_files import choose_text, export_text, write_tokenizers
    from dtool.export.sampler.told_defaults import build_in_and_check

    options = choose_text(source, options, is_told=extra.is_told)
    source, plan, form = resolve_sampler(source, plan, job.steps, options)
    compared = 1.0 if source.weak is not None else source.spec.guidance  # with no conditions, that is
    told = encode_told(source, extra, compared) if extra.is_told else None
    if told is not None:
        refuse_told(options)
    if options.freeze and not extra.is_told:
        require_free(job.path, format_config(job.path.stem, source.spec, form))
    source, loss = job.shrink(job.rewrite(source), plan)
    decoder = None
    if form.picture_shape is not None and source.codec is not None:
        from dtool.export.pipeline_source import export_any_decoder

        decoder = export_any_decoder(source.codec)
        require_exportable(graph_size(source.proto) + graph_size(decoder), "the network with its decoder")
    text, text_loss = export_text(source, options, decoder)
    sampler = None
    if job.check and options.micro_batch is None and form.is_configurable and not form.mixes:
        sampler = build_even_sampler(source.proto, source.spec, plan, form, decoder, text, source.weak)
    sampler = sampler or build(source.proto, source.spec, plan, form, decoder=decoder, text=text, weak=source.weak)
    if loss is not None:
        sampler.document.update(precision=job.small, loss=asdict(loss))
    if text_loss is not None:
        sampler.document["text_loss"] = asdict(text_loss)
    comparisons: tuple[ParityCheck, ...] = ()
    if job.check:
        with write_scratch_file(".onnx", sampler.content([]), str(job.path)) as file:
            comparisons = check_sampler(file, sampler)
    if told is not None:
        sampler, checked = build_in_and_check(source, sampler, told, decoder, check=job.check)
        comparisons += checked
    if text is not None:
        write_tokenizers(text, job.path, sampler.document)
    content = sampler.content([asdict(comparison) for comparison in comparisons])
    if options.freeze:
        takes = {value.name for value in sampler.model.graph.input}
        config = format_config(job.path.stem, source.spec, form, takes)
        require_free(job.path, config)
        write_both(job.path, content, config)
    else:
        write_atomically(job.path, lambda temporary: temporary.write_bytes(content))
    report = job.report(len(content), sampler.document, comparisons, plan.recipe, loss)
    return replace(report, text_loss=text_loss)


def recheck(path: Path) -> ExportReport:
    """Compare a sampler's file with the host's loop again; raises DtoolError as `export` does, or for another file."""
    job = ExportJob(path=path, steps=0, check=True, small=None, allow_loss=False, started=time.perf_counter())
    require_packages("onnx", "onnxruntime")
    import onnx

    from dtool.export.sampler.assembly import read
    from dtool.export.sampler.parity import check_sampler

    load(path, device="cpu")  # refuses what must not be run
    data = bounded_reading.read_model(path)
    sampler = read(onnx.load_model_from_string(data), str(path))
    if sampler.form.told and not sampler.form.is_configurable:
        raise UsageError(f"what its images are told is built into {path}", "export it again, which compares it")
    comparisons = check_sampler(path, sampler)
    return job.report(len(data), sampler.document, comparisons, sampler.plan.recipe, None)
