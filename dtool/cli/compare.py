"""`dtool compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.arguments import (
    Backend,
    BatchSize,
    Classes,
    ClassifierFile,
    Clip,
    Device,
    Guidance,
    Opening,
    Seed,
    is_model,
    open_network,
    with_opening,
)  # fmt: skip
from dtool.cli.output import AsJson, Quiet, say, say_json

EXAMPLES = (
    "dtool compare ddpm:sigma=beta ddpm:sigma=tilde ddpm:sigma=none --steps 10,50",
    "dtool compare model.pt ddim dpmpp-2m@cosine/karras --budget 2m --data images/ -o report.html -o report.json",
    "dtool compare gmm:d=2 ddim heun dpmpp-2m --steps 5,10,20 -n 2000",
    'dtool compare model.onnx dpmpp-2m --data images/ --baseline old.json --fail-if "mmd>+5%"',
)
USUAL = ("ddpm", "ddim", "heun", "dpmpp-2m", "unipc", "dpmpp-2m-sde")
TRACED = 8  # images whose steps a page shows
FAILED = 3


@with_opening
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
    seed: Seed = 0,
    classes: Classes = None,
    guidance: Guidance = None,
    clip: Clip = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="real images to measure quality against: a folder, IDX, .npz, or `digits` [default: the statistics of "
            "the training images]",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="of `dtool metrics`, e.g. mmd,fd [default: all that can be had]", show_default=False),
    ] = None,
    classifier: ClassifierFile = None,
    solver: Annotated[
        bool, typer.Option("--solver/--no-solver", help="the distance to the solution of the ODE")
    ] = True,
    repeats: Annotated[int, typer.Option(min=1, help="timed rounds; their median counts")] = 3,
    baseline: Annotated[
        Path | None, typer.Option(help="an earlier comparison's JSON, to compare with", show_default=False)
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help='exit with 3 where a figure is beyond a limit: "mmd>0.02", or changed from --baseline by more, and by '
            'more than both 95% intervals explain: "mmd>+5%"',
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="a .png (a row a recipe), a .html (the report), or a .json; may be repeated [default: compare.png]",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    backend: Backend = None,
    batch_size: BatchSize = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    opening: Opening,
) -> None:
    """Compare recipes: time, two errors, pictures from the same noise.

    Solver error: the distance to the solution of the same ODE from the same noise. Law error: how far the samples are
    from data, by metrics that are plugins; z says how many standard deviations from what real images score among
    themselves. What is drawn is kept beside the output until the comparison is whole: after an interruption the same
    command goes on.
    """
    from dtool.backends.sampling import require_room
    from dtool.cli.compare_data import measured_against
    from dtool.cli.compare_limits import Limits
    from dtool.cli.compare_output import Outputs, progress_of, show
    from dtool.cli.values import class_list, counts, duration
    from dtool.compare.contestants import with_room
    from dtool.compare.drawing import TIMED
    from dtool.compare.run import compare as compare_recipes
    from dtool.files import files_in

    files = [what[0] if what else None, data, baseline, classifier, *files_in(*(what or ()), opening.schedule)]
    outputs = Outputs.of(output, files)
    limits = Limits.of(fail_if or [], baseline)
    allowed = duration(budget, "--budget")
    wanted = counts(steps)
    model, recipes = _split(what or [])
    with outputs.kept(quiet) as parts:
        net = open_network(model, device, backend, opening)
        reference, name = measured_against(data, classifier, model, net)
        asked, recipes = metrics.split(",") if metrics else None, recipes or with_room(net, USUAL, max(wanted))
        limits.require(net, reference, asked, solver)
        limits.require_baseline(net, recipes, wanted, n or (None if allowed else TIMED))
        many = n or len((classes or "").split(","))
        require_room(net, many)
        labels = class_list(classes, net.spec.class_names, net.classes, many)
        with progress_of(quiet) as tell:
            found = compare_recipes(
                net, recipes, steps=wanted, n=n, seed=seed, guidance=guidance,
                clip=clip, labels=labels, batch_size=batch_size,
                reference=reference, reference_name=name, metrics=asked, solver=solver,
                repeats=repeats, budget=allowed, traces=TRACED if outputs.page else 0, keep=parts, progress=tell,
            )  # fmt: skip
        document = outputs.write(found, model, limits.old)
        if as_json:
            say_json(document | {"picture": str(outputs.picture) if outputs.drawn else None})
        else:
            show(found, limits.old, quiet)
            for path in outputs.written:
                say(path)
        outputs.writing.finish()
        sys.stdout.flush()  # what is kept is removed only when the figures are where they should be
    if limits.failed(document, quiet):
        raise typer.Exit(FAILED)


def _split(words: list[str]) -> tuple[str | None, list[str]]:
    """The model, if the first word is one, and the recipes."""
    from dtool.targets import is_target

    if words and (is_model(words[0]) or is_target(words[0])):
        return words[0], words[1:]
    return None, words
