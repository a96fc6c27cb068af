"""`dtool bench`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.drawing import Clip, Guidances, require_one_guidance
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import MODEL_HELP, OPENING, Opening, is_model, open_network
from dtool.cli.show.output import (
    AsJson,
    Column,
    Quiet,
    format_number,
    print_grouped_table,
    print_table,
    remark,
    say,
    say_json,
)
from dtool.cli.show.progress import show_progress
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.bench import Benchmark, TimeToQuality, Timing

EXAMPLES = (
    "dtool bench --batch 1",
    "dtool bench model.pt dpmpp-2m/karras --steps 20 --batch 1,16 -o figures.md",
    "dtool bench model.onnx ddim --fused app.onnx --device cuda --json",
    "dtool bench model.pt --to-quality --entrant five.json --entrant unipc",
)
DEFAULT_RECIPE = "ddim"
DEFAULT_BATCH, QUALITY_IMAGES = "1,4,16,64", 16
NAMED = ("ddim", "dpmpp-2m", "unipc")  # as in `dtool.bench.to_quality`, which is not imported to say so


@with_flags(CONDITIONS, OPENING)
def bench(
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    recipe: Annotated[
        str | None, typer.Argument(help=f"what is run, in one word [default: {DEFAULT_RECIPE}]", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="how many steps")] = 20,
    batch: Annotated[str, typer.Option(help="one or more numbers of images to draw")] = DEFAULT_BATCH,
    rounds: Annotated[int, typer.Option(min=1, help="turns of each; medians count")] = 7,
    guidance: Guidances = None,
    clip: Clip = None,
    fused: Annotated[
        Path | None,
        typer.Option(
            help="an exported sampler: dtool export --recipe [default: one is exported, if onnx is installed]",
            show_default=False,
        ),
    ] = None,
    to_quality: Annotated[
        bool,
        typer.Option("--to-quality", help="the time to the RMSE that the best named recipe has at --calls calls"),
    ] = False,
    calls: Annotated[int, typer.Option(min=1, help="with --to-quality: network calls of that recipe")] = 10,
    entrant: Annotated[
        list[str] | None,
        typer.Option(
            help="with --to-quality: a recipe, or a plan's file such as five.json, that takes part; may be repeated "
            f"[default: {', '.join(NAMED)}]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="write it too, as FILE.md or FILE.json", show_default=False)
    ] = None,
    *,
    conditions: ConditionWords,
    opening: Opening,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time the ways of sampling from a network, beside it alone.

    In one run, in turns: the bare network, dtool.sample, the fused file, PyTorch if the network is a checkpoint, and
    diffusers with the same network, where they are installed; with --compile PyTorch compiled, too, and
    with --cuda-graph the network as a CUDA graph. Times are medians with their quartiles; ratios are of the times in
    one round.
    With --to-quality each way takes part with the fewest calls whose images are as near to the solution of the ODE as
    those of the best named recipe at --calls calls, from the same noise: named recipes, plans in files, and diffusers'
    DPM-Solver++, on PyTorch if the network is a checkpoint. Guidance is then the network's own, unless it is given.
    """
    from dtool.bench import bench as time_ways
    from dtool.cli.flags.values import parse_counts
    from dtool.util.files import find_option_files

    if output is not None:
        option_files = find_option_files(model, recipe, opening.description.schedule)
        _check_output(output, [model, fused, *option_files])
    model, recipe = _classify_words(model, recipe)
    if to_quality:
        _time_to_quality(
            model, recipe, calls, entrant, batch, rounds, require_one_guidance(guidance), clip, opening, output,
            as_json, quiet,
        )  # fmt: skip
        return
    if entrant:
        raise UsageError("--entrant is of --to-quality", "give that too, or leave it out")
    batches, word = parse_counts(batch, "--batch"), require_one_guidance(guidance)
    net = open_network(model, replace(opening.runtime, compile=False, cuda_graph=False), opening.description)
    with show_progress("measuring", quiet) as show:
        benchmark = time_ways(
            net, recipe or DEFAULT_RECIPE, steps=steps, batches=batches, rounds=rounds, guidance=word, clip=clip,
            batch_size=opening.batch_size, fused=fused, source=model, runtime=opening.runtime, progress=show,
            **conditions.read_options(net, None),
        )  # fmt: skip
    _give_out(benchmark, _show, output, as_json, quiet)


def _give_out(
    found: Benchmark | TimeToQuality, show: Callable[[Any, bool], None], output: Path | None, as_json: bool, quiet: bool
) -> None:
    """Write and print what was measured."""
    from dtool.util.files import OutputWriter

    writer = OutputWriter()
    if output is not None:
        text = found.document() if output.suffix.lower() == ".md" else found.to_json()
        writer.add("figures", output, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    if as_json:
        say_json(found.to_dict())
    else:
        show(found, quiet)
        for path in writer.paths.values():
            say(path)
    writer.finish()


def _time_to_quality(
    model: str | None, recipe: str | None, calls: int, entrants: list[str] | None, batch: str, rounds: int,
    guidance: str | None, clip: bool | None, opening: Opening, output: Path | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """`dtool bench --to-quality`."""
    import tempfile

    from dtool.bench.entrants import choose_place, move_to_onnxruntime
    from dtool.bench.to_quality import time_to_quality
    from dtool.cli.flags.values import parse_counts
    from dtool.cli.show.comparison import show_task_progress

    if recipe is not None:
        raise UsageError("--to-quality takes no recipe in this place", f"write --entrant {recipe}")
    images = [QUALITY_IMAGES] if batch == DEFAULT_BATCH else parse_counts(batch, "--batch")
    if len(images) > 1:
        raise UsageError("--to-quality times one number of images", "give one: --batch 16")
    net = open_network(model, replace(opening.runtime, compile=False, cuda_graph=False), opening.description)
    with tempfile.TemporaryDirectory(prefix="dtool-bench-") as folder, show_task_progress(quiet) as tell:
        main = move_to_onnxruntime(net, Path(folder), choose_place(net, opening.runtime), {})
        found = time_to_quality(
            main, calls=calls, entrants=entrants or NAMED, images=images[0], rounds=rounds, guidance=guidance,
            clip=clip, eager=net if net.backend == "torch" else None, model=model or "the package's network",
            progress=tell,
        )  # fmt: skip
    _give_out(found, _show_quality, output, as_json, quiet)


def _show_quality(found: TimeToQuality, quiet: bool) -> None:
    for what, text in found.machine.lines():
        say(f"{what:9} {text}")
    heads = ("steps", "calls", "evaluations", "RMSE", "ms")
    columns = [Column("way", fold=True), *(Column(head, True) for head in heads), Column("quartiles")]
    columns += [Column("ratio", True), Column("quartiles")]
    rows = []
    for one in found.arrivals:
        low, middle, high = (f"{value * 1e3:#.4g}".rstrip(".") for value in one.time)
        below, ratio, above = (f"{value:.3f}" for value in one.ratio)
        counts = [str(one.steps), str(one.calls), str(one.evaluations), format_number(one.rmse)]
        rows.append([one.name, *counts, middle, f"{low} … {high}", ratio, f"{below} … {above}"])
    print_table(columns, rows, title=f"{found.images} images a run, {found.rounds} rounds in turns")
    say(found.title)
    for name, why in found.missing.items():
        remark(f"without {name}: {why}", quiet)


def _check_output(output: Path, inputs: Sequence[Path | str | None]) -> None:
    """Find out before anything is timed that the figures cannot be written, or are an input."""
    from dtool.util.files import require_distinct_files, require_writable

    if output.suffix.lower() not in (".md", ".json"):
        raise UsageError(f"{output}: neither Markdown nor JSON", "end its name in .md or .json")
    require_distinct_files([output], inputs)
    require_writable(output)


def _classify_words(model: str | None, recipe: str | None) -> tuple[str | None, str | None]:
    """One word alone is a network, if it looks like one, or a recipe."""
    from dtool.targets import is_target

    if model is None or recipe is not None or is_model(model) or is_target(model):
        return model, recipe
    return None, model


def _show(benchmark: Benchmark, quiet: bool) -> None:
    for what, text in benchmark.machine.lines():
        say(f"{what:9} {text}")
    say(benchmark.title)
    say(benchmark.method)
    columns = [Column("way"), Column("ms", True), Column("quartiles"), Column("images/s", True)]
    columns += [Column("ratio", True), Column("quartiles"), Column("differs by", True)]
    groups = [(f"batch {n}", [_format_row(timing) for timing in timings]) for n, timings in benchmark.groups()]
    print_grouped_table(columns, groups, "batch")
    for name, reason in benchmark.skipped.items():
        remark(f"without {name}: {reason}", quiet)
    for note in (f"ratio: to the {benchmark.reference}", *benchmark.notes, *benchmark.warnings):
        remark(note, quiet)


def _format_row(timing: Timing) -> list[str]:
    low, middle, high = (f"{value * 1e3:#.4g}".rstrip(".") for value in timing.time)
    below, ratio, above = (f"{value:.3f}" for value in timing.ratio)
    difference = "-" if timing.difference is None else f"{timing.difference:.1e}"
    speed = f"{timing.images_per_second:.4g}"
    return [timing.name, middle, f"{low} … {high}", speed, ratio, f"{below} … {above}", difference]
