"""`dtool export`."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.arguments import FOREIGN, Opening, with_opening
from dtool.cli.output import AsJson, Quiet, remark, say, say_json
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.export.report import ExportReport

EXAMPLES = (
    "dtool export model.pt",
    "dtool export model.pt --recipe dpmpp-2m/karras --steps 20 -o app.onnx",
    "dtool export --recipe ddpm --steps 50 --freeze -o app.onnx",
    "dtool export --recipe ddpm --steps 50 --inputs seed,guidance -o web.onnx",
    "dtool export foreign.onnx --schedule linear --prediction eps --recipe ddim -o app.onnx",
    "dtool export --check app.onnx",
)
SAMPLER, SMALLER = "A sampler in the file", "A smaller file"


def _with_spec(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(…, opening: Opening)` with those flags of `Opening` that say what a foreign ONNX file is."""
    wrapped = with_opening(function)
    hints = typing.get_type_hints(Opening, include_extras=True)
    others = {f.name: f.default for f in fields(Opening) if _panel(hints[f.name]) != FOREIGN}
    kept = [p for p in inspect.signature(wrapped).parameters.values() if p.name not in others]

    @functools.wraps(wrapped)
    def wrapper(**given: Any) -> Any:
        return wrapped(**given, **others)

    wrapper.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in kept}
    return wrapper


def _panel(annotation: Any) -> object:
    """Under which heading the help shows a flag."""
    return typing.get_args(annotation)[1].rich_help_panel


@_with_spec
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
    freeze: Annotated[
        bool,
        typer.Option(
            "--freeze", help="bake all defaults in; writes Triton's config.pbtxt too", rich_help_panel=SAMPLER
        ),
    ] = False,
    inputs: Annotated[
        str | None,
        typer.Option(
            help="for JavaScript: nothing has a default; those of seed, guidance, plan must be given at each run, and "
            "the rest is built in",
            metavar="LIST",
            show_default=False,
            rich_help_panel=SAMPLER,
        ),
    ] = None,
    history: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=8,
            help="room for other samplers: older predictions [default: the recipe's]",
            rich_help_panel=SAMPLER,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="the default seed [default: 0]", rich_help_panel=SAMPLER)
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(min=0, help="the default scale [default: the network's]", rich_help_panel=SAMPLER)
    ] = None,
    clip: Annotated[
        bool | None,
        typer.Option("--clip/--no-clip", help="the default [default: the network's]", rich_help_panel=SAMPLER),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="dynamic thresholding at this quantile, e.g. 0.995, built in", rich_help_panel=SAMPLER),
    ] = None,
    micro_batch: Annotated[
        int | None,
        typer.Option(min=1, help="images that are run at a time [default: by size]", rich_help_panel=SAMPLER),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="in fp16, for CUDA", rich_help_panel=SMALLER)] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="larger products in eight bits, for CPUs", rich_help_panel=SMALLER)
    ] = False,
    fuse_cuda: Annotated[
        bool, typer.Option("--fuse-cuda", help="with fused operators that only CUDA has", rich_help_panel=SMALLER)
    ] = False,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="write it whatever it loses", rich_help_panel=SMALLER)
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    opening: Opening,
) -> None:
    """Write a network, or a network and its sampler, as one ONNX file.

    The network's file holds the weights and what dtool must know of them; it is compared with PyTorch. With --recipe
    the file holds the plan, the loop and the noise too, and any program with ONNX Runtime can draw images from it; it
    is compared with the host's loop. If the two differ by more than 1e-4 nothing is written. Of a smaller file it is
    measured what it loses, and how fast it is here. Of an ONNX file that does not say what network it is, say it as to
    dtool sample: --schedule, --prediction.
    """
    from dtool.cli.pictures import require_own
    from dtool.export.api import export as export_network

    small: dict[str, Any] = {"half": half, "int8": int8, "allow_loss": allow_loss}
    options = {
        "freeze": freeze or None, "history": history, "seed": seed, "guidance": guidance, "clip": clip,
        "threshold": threshold, "micro_batch": micro_batch,
        "inputs": None if inputs is None else tuple(word.strip() for word in inputs.split(",")),
    }  # fmt: skip
    if allow_loss and not (half or int8):
        raise UsageError("--allow-loss is for a smaller file", "add --half or --int8")
    if fuse_cuda:
        if model is None or recipe is not None or half or int8 or opening.spec is not None:
            raise UsageError("--fuse-cuda is for a checkpoint's network alone, in float32", "leave out the rest")
        from dtool.export.for_cuda import export_for_cuda

        fused = output or model.with_name(f"{model.stem}-cuda.onnx")
        if output is None:
            require_own(fused, f"name another, with -o (-o {fused} replaces it)")
        _show(export_for_cuda(model, fused, steps=steps, check=check), as_json, quiet)
        return
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    onnx_file = model is not None and model.suffix.lower() == ".onnx"
    said = opening.spec
    if said is not None and recipe is None:
        raise UsageError("--schedule, --prediction and the like are for a sampler's file", "name one, with --recipe")
    if onnx_file and recipe is None and output is None and check and not given and not half and not int8:
        _show(_again(model), as_json, quiet)
        return
    if given and recipe is None:
        raise UsageError(f"--{min(given).replace('_', '-')} is for a sampler's file", "say which one, with --recipe")
    _require_kind(model, recipe)
    out = output or _named(model, recipe)
    if output is None:
        require_own(out, f"name another, with -o (-o {out} replaces it)")
    report = export_network(model, out, plan=recipe, steps=steps, spec=said, check=check, **small, **given)
    _show(report, as_json, quiet)


def _again(model: Path | None) -> ExportReport:
    from dtool.export.api import recheck

    assert model is not None
    return recheck(model)


def _require_kind(model: Path | None, recipe: str | None) -> None:
    if model is None and recipe is None:
        raise UsageError("there is nothing to export", "name a checkpoint, or with --recipe a sampler")
    kinds = (".pt", ".pth", ".safetensors", *([".onnx"] if recipe is not None else []))
    if model is not None and model.suffix.lower() not in kinds:
        hint = "give a .pt or .safetensors file of dtool train"
        raise UsageError(f"{model}: not a checkpoint", hint if recipe is None else f"{hint}, or an exported network")


def _named(model: Path | None, recipe: str | None) -> Path:
    """MODEL.onnx for a network, MODEL-SAMPLER.onnx for a sampler."""
    from dtool.plan import Recipe

    stem = model.with_suffix("") if model is not None else Path("digits")
    if recipe is None:
        return stem.with_name(f"{stem.name}.onnx")
    return stem.with_name(f"{stem.name}-{Recipe.parse(recipe).rule.name}.onnx")


def _show(report: ExportReport, as_json: bool, quiet: bool) -> None:
    if as_json:
        say_json(asdict(report) | {"path": str(report.path), "largest": report.largest})
        return
    remark(str(report), quiet)
    say(report.path)
