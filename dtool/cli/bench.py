"""`dtool bench`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.arguments import (
    MODEL_HELP,
    Backend,
    BatchSize,
    Clip,
    Device,
    Opening,
    is_model,
    open_network,
    progress_bar,
    with_opening,
)  # fmt: skip
from dtool.cli.output import AsJson, Column, Quiet, grouped_table, remark, say, say_json
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.bench import Benchmark, Timing

EXAMPLES = (
    "dtool bench --batch 1",
    "dtool bench model.pt dpmpp-2m/karras --steps 20 --batch 1,16 -o figures.md",
    "dtool bench model.onnx ddim --fused app.onnx --device cuda --json",
)
DEFAULT_RECIPE = "ddim"


@with_opening
def bench(
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    recipe: Annotated[
        str | None, typer.Argument(help=f"what is run, in one word [default: {DEFAULT_RECIPE}]", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="how many steps")] = 20,
    batch: Annotated[str, typer.Option(help="one or more numbers of images to draw")] = "1,4,16,64",
    rounds: Annotated[int, typer.Option(min=1, help="turns of each; medians count")] = 7,
    guidance: Annotated[
        float | None, typer.Option(min=0, help="guidance scale, for all alike [default: none]", show_default=False)
    ] = None,
    clip: Clip = None,
    fused: Annotated[
        Path | None,
        typer.Option(
            help="an exported sampler: dtool export --recipe [default: one is exported, if onnx is installed]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="write it too, as FILE.md or FILE.json", show_default=False)
    ] = None,
    device: Device = "auto",
    backend: Backend = None,
    batch_size: BatchSize = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    opening: Opening,
) -> None:
    """Time the ways of sampling from a network, beside the bare network.

    In one run, in turns: the bare network, dtool.sample, the fused file, PyTorch if the network is a checkpoint, and
    diffusers with the same network, where they are installed; with --compile PyTorch compiled, too, and
    with --cuda-graph the network as a CUDA graph. Times are medians with their quartiles; ratios are of the times in
    one round.
    """
    from dtool.bench import bench as measured
    from dtool.cli.values import counts
    from dtool.files import Writing, files_in, require_apart, require_writable

    if output is not None and output.suffix.lower() not in (".md", ".json"):
        raise UsageError(f"{output}: neither Markdown nor JSON", "end its name in .md or .json")
    if output is not None:
        require_apart([output], [model, fused, *files_in(model, recipe, opening.schedule)])
        require_writable(output)
    model, recipe = _told_apart(model, recipe)
    batches = counts(batch, "--batch")
    net = open_network(model, device, backend, replace(opening, compile=False, cuda_graph=False))
    with progress_bar("measuring", quiet) as show:
        found = measured(
            net, recipe or DEFAULT_RECIPE, steps=steps, batches=batches, rounds=rounds, guidance=guidance, clip=clip,
            batch_size=batch_size, fused=fused, backend=backend, source=model, where=_where(device, opening),
            compile=opening.compile, cuda_graph=opening.cuda_graph, progress=show,
        )  # fmt: skip
    writing = Writing()
    if output is not None:
        text = found.document() if output.suffix.lower() == ".md" else found.to_json()
        writing.add("figures", output, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    if as_json:
        say_json(found.to_dict())
    else:
        _show(found, quiet)
        for path in writing.written.values():
            say(path)
    writing.finish()


def _told_apart(model: str | None, recipe: str | None) -> tuple[str | None, str | None]:
    """One word alone is a network, if it looks like one, or a recipe."""
    from dtool.targets import is_target

    if model is None or recipe is not None or is_model(model) or is_target(model):
        return model, recipe
    return None, model


def _where(device: str, opening: Opening) -> dict[str, Any]:
    """How what is exported shall be loaded: where the network was."""
    said = {"device": None if device == "auto" else device}
    if opening.provider is not None:
        said = {"device": "auto", "provider": opening.provider}
    return {name: value for name, value in (said | {"time_limit": opening.time_limit}).items() if value is not None}


def _show(found: Benchmark, quiet: bool) -> None:
    for what, text in found.machine.lines():
        say(f"{what:9} {text}")
    say(found.title)
    say(found.method)
    columns = [Column("way"), Column("ms", True), Column("quartiles"), Column("images/s", True)]
    columns += [Column("ratio", True), Column("quartiles"), Column("differs by", True)]
    groups = [(f"batch {n}", [_row(timing) for timing in timings]) for n, timings in found.groups()]
    grouped_table(columns, groups, "batch")
    for name, reason in found.skipped.items():
        remark(f"without {name}: {reason}", quiet)
    for note in (f"ratio: to the {found.reference}", *found.notes, *found.warnings):
        remark(note, quiet)


def _row(timing: Timing) -> list[str]:
    low, middle, high = (f"{value * 1e3:#.4g}".rstrip(".") for value in timing.time)
    below, ratio, above = (f"{value:.3f}" for value in timing.ratio)
    apart = "-" if timing.difference is None else f"{timing.difference:.1e}"
    speed = f"{timing.images_per_second:.4g}"
    return [timing.name, middle, f"{low} … {high}", speed, ratio, f"{below} … {above}", apart]
