"""`dtool recommend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.arguments import (
    Backend,
    Classes,
    ClassifierFile,
    Clip,
    Device,
    Guidance,
    Opening,
    Seed,
    open_network,
    with_opening,
)  # fmt: skip
from dtool.cli.output import AsJson, Column, Quiet, number, remark, say, say_json, table

if TYPE_CHECKING:
    from dtool.compare.recommend import Recommendation

EXAMPLES = (
    "dtool recommend --calls 10",
    "dtool recommend model.onnx --ms 50 --data images/",
    "dtool recommend gmm:d=2 --calls 8 --recipe dpmpp-2m --recipe unipc:order=3 --recipe heun",
)
SHOWN = 8


@with_opening
def recommend(
    model: Annotated[
        str | None,
        typer.Argument(
            help="a network's file, or a closed form such as gmm:d=2 [default: the network inside the package]",
            show_default=False,
        ),
    ] = None,
    calls: Annotated[
        int | None, typer.Option(min=1, help="network calls that an image may take", show_default=False)
    ] = None,
    ms: Annotated[
        float | None, typer.Option(help="or the milliseconds of network calls, measured here", show_default=False)
    ] = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="a candidate; may be repeated [default: every sampler on four spacings]", show_default=False),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="real images, to check the winner against stochastic recipes", show_default=False),
    ] = None,
    classifier: ClassifierFile = None,
    seed: Seed = 0,
    classes: Classes = None,
    guidance: Guidance = None,
    clip: Clip = None,
    device: Device = "auto",
    backend: Backend = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    opening: Opening,
) -> None:
    """Find the best recipe within a budget.

    Every candidate draws a few images; the better half draws twice as many, and so on. The better is the nearer to the
    solution of the same ODE from the same noise; the confidence is how often the winner would win with other images.
    With --data, or a closed form, the winner is then compared with stochastic recipes on the law of the samples.
    """
    from dtool.cli.compare_data import measured_against
    from dtool.cli.compare_output import progress_of
    from dtool.cli.values import class_list
    from dtool.compare.law import law_of
    from dtool.compare.recommend import CHECKED
    from dtool.compare.recommend import recommend as find

    net = open_network(model, device, backend, opening)
    reference, name = measured_against(data, classifier, model, net)
    law = None if reference is None else law_of(reference, CHECKED, None, seed, name, None)
    labels = class_list(classes, net.spec.class_names, net.classes, len((classes or "").split(",")))
    with progress_of(quiet) as tell:
        found = find(
            net, calls=calls, ms=ms, recipes=recipe, seed=seed, labels=labels, guidance=guidance, clip=clip, law=law,
            progress=tell,
        )  # fmt: skip
    if as_json:
        say_json(found.to_dict())
        return
    _show(found, quiet)


def _show(found: Recommendation, quiet: bool) -> None:
    columns = [Column("recipe", fold=True), *(Column(head, True) for head in ("steps", "calls", "RMSE", "images"))]
    rows = [[c.recipe, str(c.steps), str(c.calls), number(c.rmse), str(c.images)] for c in found.candidates[:SHOWN]]
    table(columns, rows, title=f"the best of {len(found.candidates)} candidates")
    say()
    say(f"{found.recipe} with --steps {found.steps}")
    took = "" if found.milliseconds is None else f", {found.milliseconds:.3g} ms of network calls an image"
    sure = (
        f"best of the finalists in {found.confidence:.0%} of resamples"
        if found.judged
        else "nearer to the solution than ten times its own error, so which of the finalists is best cannot be judged"
    )
    remark(f"{found.calls} calls{took}; {sure}; the solution is itself off by {found.reference_error:.1e}", quiet)
    if found.law is not None:
        remark(found.law, quiet)
