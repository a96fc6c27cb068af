"""`dtool export`."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.decoder import DECODER, DecoderWords
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import DESCRIPTION, open_network
from dtool.cli.flags.sampler_file import SAMPLER, SAMPLER_FILE
from dtool.cli.show.output import AsJson, Quiet, remark, say, say_json
from dtool.errors import UsageError
from dtool.export.sampler.settings import SamplerFileOptions
from dtool.models.description import Description
from dtool.models.runtime import Runtime

if TYPE_CHECKING:
    from dtool.export.built_in import BuiltIn
    from dtool.export.report import ExportReport

EXAMPLES = (
    "dtool export model.pt",
    "dtool export model.pt --recipe dpmpp-2m/karras --steps 20 -o app.onnx",
    "dtool export --recipe ddpm --steps 50 --freeze -o app.onnx",
    "dtool export --recipe ddpm --steps 50 --inputs seed,guidance -o web.onnx",
    "dtool export foreign.onnx --schedule linear --prediction eps --recipe ddim -o app.onnx",
    'dtool export pipeline/ --recipe ddim --prompt "a red fox" -o fox.onnx',
    "dtool export --check app.onnx",
)
SMALLER = "A smaller file"


@with_flags(SAMPLER_FILE, CONDITIONS, DECODER, DESCRIPTION)
def export(
    model: Annotated[
        Path | None,
        typer.Argument(
            help="a checkpoint of dtool train: .pt or .safetensors; with --recipe an exported network too "
            "[default: the network inside the package]; with --check alone, a sampler's file",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the ONNX file [default: MODEL.onnx]", show_default=False)
    ] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="compare the file with its original")] = True,
    steps: Annotated[int, typer.Option(min=1, help="steps of the recipe, or of the run that is compared")] = 50,
    recipe: Annotated[
        str | None, typer.Option(help="put this sampler into the file, e.g. dpmpp-2m/karras", rich_help_panel=SAMPLER)
    ] = None,
    weak: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="a weaker network, which guidance compares with instead of no conditions: in the file, too",
            rich_help_panel=SAMPLER,
            show_default=False,
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="in fp16, for CUDA", rich_help_panel=SMALLER)] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="larger products in eight bits, for CPUs", rich_help_panel=SMALLER)
    ] = False,
    fuse_cuda: Annotated[
        bool, typer.Option("--fuse-cuda", help="with fused operators that only CUDA has", rich_help_panel=SMALLER)
    ] = False,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="the sentence encoder of a network trained with words, if it is not where the checkpoint says",
            show_default=False,
        ),
    ] = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="write it whatever it loses", rich_help_panel=SMALLER)
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    settings: SamplerFileOptions,
    conditions: ConditionWords,
    decoder: DecoderWords,
    description: Description,
) -> None:
    """Write a network, with a sampler or without, as one ONNX file.

    The network's file holds the weights and what dtool must know of them; it is compared with PyTorch. With --recipe
    the file holds the plan, the loop and the noise too, and any program with ONNX Runtime can draw images from it; it
    is compared with the host's loop. If the two differ by more than 1e-4 nothing is written. Of a smaller file it is
    measured what it loses, and how fast it is here. Of an ONNX file that does not say what network it is, say it as to
    dtool sample: --schedule, --prediction.
    """
    from dtool.export.api import export as export_network

    if weak is not None and recipe is None:
        raise UsageError("--weak is for a sampler's file", "say which one, with --recipe")
    small: dict[str, Any] = {"half": half, "int8": int8, "allow_loss": allow_loss}
    if allow_loss and not (half or int8):
        raise UsageError("--allow-loss is for a smaller file", "add --half or --int8")
    if fuse_cuda:
        if model is None or recipe is not None or half or int8 or not description.is_empty:
            raise UsageError("--fuse-cuda is for a checkpoint's network alone, in float32", "leave out the rest")
        _show(_export_for_cuda(model, output, steps, check), as_json, quiet)
        return
    changes = {f.name: value for f in fields(settings) if (value := getattr(settings, f.name)) != f.default}
    onnx_file = model is not None and model.suffix.lower() == ".onnx"
    if not description.is_empty and recipe is None:
        raise UsageError("--schedule, --prediction and the like are for a sampler's file", "name one, with --recipe")
    if onnx_file and recipe is None and output is None and check and not changes and not half and not int8:
        _show(_recheck(model), as_json, quiet)
        return
    if changes and recipe is None:
        raise UsageError(f"--{min(changes).replace('_', '-')} is for a sampler's file", "say which one, with --recipe")
    _require_kind(model, recipe)
    out = output or _choose_path(model, recipe)
    if output is None:
        _require_own(out)
    spec = description.to_fields() or None
    net, extra = _read_built_in(model, out, description, conditions, decoder, settings.guidance, text_encoder)
    report = export_network(
        net, out, plan=recipe, steps=steps, spec=spec, check=check, built_in=extra, weak=weak, **small, **changes
    )
    _show(report, as_json, quiet)


def _read_built_in(
    model: Path | None, out: Path, description: Description, conditions: ConditionWords, decoder: DecoderWords,
    guidance: float | str | None, text_encoder: str | None,
) -> tuple[Any, BuiltIn]:  # fmt: skip
    """The model, opened if what it is told must be read for it, and what is built into its file."""
    from dtool.export.built_in import BuiltIn
    from dtool.run.guided_plan import parse_scale
    from dtool.util.files import require_distinct_files

    decoder.require_path()
    require_distinct_files([out], [*conditions.list_files(), *(path for path in (decoder.path, model) if path)])
    words: dict[str, Any] = {"decoder": decoder.path, "scale": decoder.scale, "shift": decoder.shift}
    if not conditions.is_given and text_encoder is None:
        return model, BuiltIn(**words)
    runtime = Runtime(device="cpu", text_encoder=text_encoder)
    net = open_network(None if model is None else str(model), runtime, description)
    if not conditions.is_given:
        return net, BuiltIn(**words)
    request = conditions.read(net, parse_scale(guidance))
    return net if net.backend == "torch" else model, BuiltIn(**words, request=request)


def _export_for_cuda(model: Path, output: Path | None, steps: int, check: bool) -> ExportReport:
    from dtool.export.network.cuda_operators import export_for_cuda

    path = output or model.with_name(f"{model.stem}-cuda.onnx")
    if output is None:
        _require_own(path)
    return export_for_cuda(model, path, steps=steps, check=check)


def _require_own(path: Path) -> None:
    """Refuse to replace a file of somebody else's making where none was named."""
    from dtool.cli.show.pictures import require_own

    require_own(path, f"name another, with -o (-o {path} replaces it)")


def _recheck(model: Path | None) -> ExportReport:
    from dtool.export.api import recheck

    assert model is not None
    return recheck(model)


def _require_kind(model: Path | None, recipe: str | None) -> None:
    if model is None and recipe is None:
        raise UsageError("there is nothing to export", "name a checkpoint, or with --recipe a sampler")
    kinds = (".pt", ".pth", ".safetensors", *([".onnx"] if recipe is not None else []))
    if model is not None and model.suffix.lower() not in kinds and not model.is_dir():
        hint = "give a .pt or .safetensors file of dtool train"
        raise UsageError(f"{model}: not a checkpoint", hint if recipe is None else f"{hint}, or an exported network")


def _choose_path(model: Path | None, recipe: str | None) -> Path:
    """MODEL.onnx for a network, MODEL-SAMPLER.onnx for a sampler."""
    from dtool.plan import Recipe

    stem = model.with_suffix("") if model is not None else Path("digits")
    if recipe is None:
        return stem.with_name(f"{stem.name}.onnx")
    name = Recipe.parse(recipe).rule.name.rpartition("/")[2].rpartition(":")[2].removesuffix(".json")
    return stem.with_name(f"{stem.name}-{name}.onnx")


def _show(report: ExportReport, as_json: bool, quiet: bool) -> None:
    if as_json:
        say_json(asdict(report) | {"path": str(report.path), "largest": report.largest})
        return
    remark(str(report), quiet)
    say(report.path)
