"""`dtool compare`."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.decoder import DECODER, DecoderWords
from dtool.cli.flags.drawing import DRAWING, Drawing, NoiseSource
from dtool.cli.flags.fail_if import GATES, GateFlags, GateSet
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import OPENING, Opening, is_model
from dtool.cli.flags.measured_against import MEASURES, Measures, choose_reference
from dtool.cli.flags.work_sharing import SHARING, SharedModel, SharingFlags, allow_unfinished, sum_with_one_thread
from dtool.cli.show.output import AsJson, Quiet, say, say_json

if TYPE_CHECKING:
    from dtool.compare.kept_images import ImageCache

EXAMPLES = (
    "dtool compare ddpm:sigma=beta ddpm:sigma=tilde ddpm:sigma=none --steps 10,50",
    "dtool compare model.pt ddim dpmpp-2m@cosine/karras --budget 2m --data images/ -o report.html -o report.json",
    "dtool compare gmm:d=2 ddim heun dpmpp-2m --steps 5,10,20 -n 2000",
    'dtool compare model.onnx dpmpp-2m --data images/ --baseline old.json --fail-if "mmd>+5%"',
    "dtool compare ddim dpmpp-2m ddpm~1 --guidance 3 --guidance 3@-1.95:-0.85 --data images/",
)
USUAL = ("ddpm", "ddim", "heun", "dpmpp-2m", "unipc", "dpmpp-2m-sde")
TRACED_IMAGES = 8  # images whose steps a page shows
FAILED = 3


@with_flags(DRAWING, CONDITIONS, MEASURES, GATES, DECODER, OPENING, SHARING)
def compare(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL RECIPE",
            help="a network's file or a closed form such as gmm:d=2, if not the network inside the package, then "
            "recipes [default: " + ", ".join(USUAL) + "]",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[str, typer.Option(help="one or more numbers of steps")] = "10,20",
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, help="how many images; quality wants hundreds [default: 16]", show_default=False),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="as many images as fit into this time: 90s, 2m, 1h", show_default=False),
    ] = None,
    *,
    drawing: Drawing,
    noise: NoiseSource = None,
    conditions: ConditionWords,
    measures: Measures,
    gates: GateFlags,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="a .png (one row per recipe), a .html (the report), or a .json; may be repeated "
            "[default: compare.png]",
            show_default=False,
        ),
    ] = None,
    decoder: DecoderWords,
    opening: Opening,
    sharing: SharingFlags,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare recipes: time, two errors, pictures from the same noise.

    Solver error: the distance to the solution of the same ODE from the same noise. Law error: how far the samples are
    from data, by metrics that are plugins; z says how many standard deviations from what real images score among
    themselves. With several --guidance each recipe that names none is compared with each of them. What is drawn is
    kept beside the output until the comparison is whole: after an interruption the same command goes on.
    With --workers, or --part and --into on several machines, the work is shared: the result has the same bytes whoever
    drew what. Nothing is timed then.
    """
    if sharing.is_given:
        sum_with_one_thread()
    from dtool.cli.flags.values import parse_classes, parse_counts, parse_duration
    from dtool.cli.show.comparison import show, show_task_progress
    from dtool.cli.show.comparison_files import OutputFiles
    from dtool.compare.contestants import select_runnable
    from dtool.compare.drawing import TIMED_IMAGES
    from dtool.compare.run import compare as compare_recipes
    from dtool.run.image_room import require_room
    from dtool.util.files import find_option_files

    inputs = [*(what or ())[:1], measures.data, gates.baseline, measures.classifier, decoder.path]
    inputs += [*conditions.list_files(), *drawing.list_files()]
    outputs = OutputFiles.of(output, [*inputs, *find_option_files(*(what or ()), opening.description.schedule)])
    limits, seconds, counts = GateSet.of(gates), parse_duration(budget, "--budget"), parse_counts(steps)
    model, recipes = _split_words(what or [])
    shared_model = SharedModel(name=model, opening=opening, drawing=drawing, decoder=decoder)
    shared = sharing.resolve(shared_model)
    if shared is not None:
        limits.refuse(("seconds", "images_per_second"), "nothing is timed where the work is shared")
    beside: AbstractContextManager[ImageCache | None] = nullcontext()
    if sharing.into is None:
        beside = outputs.open_cache(quiet)
    with beside as parts, allow_unfinished(shared, quiet):
        net = shared_model()
        reference, name = choose_reference(measures.data, measures.classifier, model, net)
        recipes = recipes or select_runnable(net, USUAL, max(counts))
        limits.require(net, reference, measures.names, measures.solver)
        limits.require_baseline(net, recipes, counts, drawing.guidances, n or (None if seconds else TIMED_IMAGES))
        many = n or len((drawing.classes or "").split(","))
        require_room(net, many, decoded=True)
        told = conditions.read_options(net, None)
        labels = parse_classes(drawing.classes, net.spec.class_names, net.classes, many)
        with show_task_progress(quiet) as tell:
            comparison = compare_recipes(
                net, recipes, steps=counts, n=n, seed=drawing.seed, guidance=drawing.guidances, clip=drawing.clip,
                labels=labels, batch_size=opening.batch_size, reference=reference, reference_name=name,
                metrics=measures.names, solver=measures.solver, repeats=measures.repeats, budget=seconds,
                traces=TRACED_IMAGES if outputs.page else 0, keep=parts, sharing=shared, progress=tell,
                noise=noise, **told,
            )  # fmt: skip
        document = outputs.write(comparison, drawing.name_model(model), limits.old)
        if as_json:
            say_json(document | {"picture": str(outputs.picture) if outputs.has_picture else None})
        else:
            show(comparison, limits.old, quiet)
            for path in outputs.written_files:
                say(path)
        outputs.writer.finish()
        sys.stdout.flush()  # what is kept is removed only when the figures are where they should be
    if limits.report_violations(document, quiet):
        raise typer.Exit(FAILED)


def _split_words(words: list[str]) -> tuple[str | None, list[str]]:
    """The model, if the first word is one, and the recipes."""
    from dtool.targets import is_target

    if words and (is_model(words[0]) or is_target(words[0])):
        return words[0], words[1:]
    return None, words
