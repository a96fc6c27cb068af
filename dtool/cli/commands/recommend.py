"""`dtool recommend`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.drawing import DRAWING, ClassifierFile, Drawing
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import DESCRIPTION, RUNTIME, Opening, open_network
from dtool.cli.flags.work_sharing import SHARING, SharedModel, SharingFlags, sum_with_one_thread
from dtool.cli.show.output import AsJson, Column, Quiet, format_number, print_table, remark, say, say_json
from dtool.errors import UsageError
from dtool.models.description import Description
from dtool.models.runtime import Runtime

if TYPE_CHECKING:
    from dtool.compare.guidance_interval import GuidanceInterval
    from dtool.compare.guidance_trials import GuidanceTrial
    from dtool.compare.law_error import Law
    from dtool.compare.recommendation import Recommendation
    from dtool.models.network import Network
    from dtool.plan import Plan

EXAMPLES = (
    "dtool recommend --calls 10",
    "dtool recommend model.onnx --ms 50 --data images/",
    "dtool recommend --calls 5 --fit five.json",
    "dtool recommend model.onnx --guidance 3@find --recipe ddim --calls 20 --data images/ --classifier judge.onnx",
    "dtool recommend gmm:d=2 --calls 8 --recipe dpmpp-2m --recipe unipc:order=3 --recipe heun",
)
SHOWN = 8
HEADS = ("steps", "calls", "evaluations", "RMSE", "images")


@with_flags(DRAWING, CONDITIONS, RUNTIME, DESCRIPTION, SHARING)
def recommend(
    model: Annotated[
        str | None,
        typer.Argument(
            help="a network's file, or a closed form such as gmm:d=2 [default: the network inside the package]",
            show_default=False,
        ),
    ] = None,
    calls: Annotated[int | None, typer.Option(min=1, help="most network calls per image", show_default=False)] = None,
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
    fit: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="fit a plan for the budget, which takes minutes, into this file, and let it take part",
            show_default=False,
        ),
    ] = None,
    *,
    drawing: Drawing,
    conditions: ConditionWords,
    runtime: Runtime,
    description: Description,
    sharing: SharingFlags,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the best recipe within a budget.

    Every candidate draws a few images; the better half draws twice as many, and so on. The better is the nearer to the
    solution of the same ODE from the same noise; the confidence is how often the winner would win with other images.
    Candidates are recipes by their names, the best of them with late starts too, plans in files (--recipe five.json),
    and with --fit one that is fitted to the network.
    With --data, or a closed form, the winner is then compared with stochastic recipes on the law of the samples.
    With --part and --into on several machines the work is shared: each draws its part of a round, then what nobody else
    is drawing, and all end with the same document.
    With --guidance 3@find an interval of noise levels is found instead, for one --recipe: the one with the fewest
    evaluations whose law error is surely below that of guidance everywhere, and whose samples a --classifier agrees
    with as well; what to write into the network's card comes with it.
    """
    from dtool.cli.flags.measured_against import choose_reference
    from dtool.cli.flags.values import parse_classes
    from dtool.cli.show.comparison import show_task_progress
    from dtool.compare.law_error import make_law
    from dtool.compare.recommendation import CHECK_IMAGES
    from dtool.compare.recommendation import recommend as find

    if sharing.is_given:
        sum_with_one_thread()
    guidance = drawing.guidance
    search = parse_search(guidance)
    if sharing.is_given and (ms is not None or search is not None):
        what = "milliseconds are measured by one process" if ms is not None else "an interval is found by one process"
        raise UsageError(what, "leave out --workers, --part and --into")
    if sharing.into is not None and fit is not None:
        raise UsageError("a plan is fitted by one process", "fit it first: dtool fit; then name it: --recipe FILE.json")
    net = open_network(model, runtime, description)
    drawing.attach_weak(net, partial(open_network, runtime=runtime, description=description))
    reference, name = choose_reference(data, classifier, model, net)
    law = None if reference is None else make_law(reference, CHECK_IMAGES, None, drawing.seed, name, None)
    classes = drawing.classes
    labels = parse_classes(classes, net.spec.class_names, net.classes, len((classes or "").split(",")))
    if search is not None:
        if fit is not None:
            raise UsageError("an interval of guidance is found for one recipe by its name", "leave out --fit")
        scale = search if search > 0 else None
        _find_interval(net, law, model, recipe, calls, ms, scale, drawing, labels, conditions, as_json, quiet)
        return
    plans = [] if fit is None else [_fit_plan(net, fit, model, calls, ms, labels, drawing, conditions, quiet)]
    opening = Opening(runtime=runtime, description=description)
    shared_model = SharedModel(name=model, opening=opening, drawing=drawing)
    shared = sharing.resolve(shared_model)
    with show_task_progress(quiet) as tell:
        recommendation = find(
            net, calls=calls, ms=ms, recipes=recipe, seed=drawing.seed, labels=labels, guidance=guidance,
            clip=drawing.clip, law=law, sharing=shared, plans=plans, progress=tell,
            **conditions.read_options(net, None),
        )  # fmt: skip
    if as_json:
        say_json(recommendation.to_dict())
        return
    _show(recommendation, quiet)


def _fit_plan(
    net: Network, path: Path, model: str | None, calls: int | None, ms: float | None, labels: list[int] | None,
    drawing: Drawing, conditions: ConditionWords, quiet: bool,
) -> Plan:  # fmt: skip
    """The plan that is fitted for this budget and written into the file, under the file's name."""
    from dtool.cli.commands.fit import check_files, name_files, save_plan, show_evaluations
    from dtool.fit.run import fit

    files = name_files(path, [0])
    check_files(files, [model, *conditions.list_files(), *drawing.list_files()], named=True, resume=False)
    with show_evaluations(quiet) as tell:
        plan = fit(
            net, calls=calls, ms=ms, guidance=drawing.guidance, clip=drawing.clip, labels=labels, seed=drawing.seed,
            judge=False, on_better=partial(save_plan, path), progress=tell, **conditions.read_options(net, None),
        )  # fmt: skip
    save_plan(path, plan)
    return replace(plan, recipe=str(path))


def parse_search(guidance: str | None) -> float | None:
    """The scale of `3@find`, 0 of a bare `find`, which is for the network's own; None for a guidance."""
    scale, at, word = (guidance or "").rpartition("@")
    if word != "find":
        return None
    try:
        found = float(scale) if at else 0.0
    except ValueError:
        found = nan
    if at and not 0 < found < inf:
        raise UsageError(f"--guidance {guidance}: {scale!r} is no scale", "write it as 3@find")
    return found


def _find_interval(
    net: Network, law: Law | None, model: str | None, recipes: list[str] | None, calls: int | None, ms: float | None,
    scale: float | None, drawing: Drawing, labels: list[int] | None, conditions: ConditionWords, as_json: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """`dtool recommend --guidance 3@find`."""
    from dtool.cli.show.comparison import show_task_progress
    from dtool.compare.guidance_interval import find_guidance_interval

    if ms is not None or len(recipes or ()) > 1:
        raise UsageError("an interval is found for one recipe of so many calls", "give --calls, and one --recipe")
    with show_task_progress(quiet) as tell:
        found = find_guidance_interval(
            net, law, recipe=(recipes or ["ddim"])[0], calls=calls or 20, scale=scale, seed=drawing.seed, labels=labels,
            clip=drawing.clip, progress=tell, **conditions.read_options(net, None),
        )  # fmt: skip
    if as_json:
        say_json(found.to_dict())
    else:
        show_interval(found, model, quiet)


def show_interval(found: GuidanceInterval, model: str | None, quiet: bool) -> None:
    """What was tried, the interval, what to write into the network's card, and what could not be told."""
    trials = [("everywhere", found.plain), ("nowhere", found.none)]
    trials += [("chosen on them", one) for one in found.trials if found.interval and _is_chosen(found, one)]
    trials += [("on other images", found.confirmed)] if found.confirmed is not None else []
    rows = []
    for what, one in trials:
        changes = [one.law_change, one.agreement_change]
        law, agreement = ("-" if change is None else f"{change[0]:+.2g} … {change[1]:+.2g}" for change in changes)
        share = "-" if one.agreement is None else f"{one.agreement:.3f}"
        rows.append(
            [what, one.guidance, str(one.evaluations), str(one.images), format_number(one.law), law, share, agreement]
        )
    heads = ("evaluations", "images", found.metric, "change", "agreement", "change")
    columns = [Column("guidance"), Column(""), *(Column(head, True) for head in heads)]
    print_table(columns, rows, title=f"{found.recipe}, {found.steps} steps; {len(found.trials)} intervals were tried")
    say()
    if found.interval is None or found.confirmed is None:
        say(f"No interval is surely better than guidance {found.scale:g} everywhere.")
    else:
        low, high = found.interval
        say(f"--guidance {found.confirmed.guidance}")
        if not found.holds:
            say("On other images this is not sure: the law error, or the agreement, is not as it was.")
        card = f"--default-guidance {found.scale:g} --guidance-interval={low:g}:{high:g} --remember"
        remark(f"for every command: dtool model {model or 'MODEL'} {card}", quiet)
    remark(found.remark, quiet or not found.remark)


def _is_chosen(found: GuidanceInterval, trial: GuidanceTrial) -> bool:
    return found.confirmed is not None and trial.guidance == found.confirmed.guidance


def _show(recommendation: Recommendation, quiet: bool) -> None:
    from dtool.compare.result import format_calls

    columns = [Column("recipe", fold=True), *(Column(head, True) for head in HEADS)]
    rows = [
        [c.recipe, str(c.steps), str(c.calls), str(c.evaluations), format_number(c.rmse), str(c.images)]
        for c in recommendation.candidates[:SHOWN]
    ]
    print_table(columns, rows, title=f"the best of {len(recommendation.candidates)} candidates")
    say()
    say(f"{recommendation.recipe} with --steps {recommendation.steps}")
    time = (
        ""
        if recommendation.milliseconds is None
        else f", {recommendation.milliseconds:.3g} ms of network calls per image"
    )
    sure = (
        f"best of the finalists in {recommendation.confidence:.0%} of resamples"
        if recommendation.judged
        else "nearer to the solution than ten times its own error, so which of the finalists is best cannot be judged"
    )
    remark(
        f"{format_calls(recommendation.calls, recommendation.evaluations)}{time}; {sure}; "
        f"the solution is itself off by {recommendation.reference_error:.1e}",
        quiet,
    )
    if recommendation.law is not None:
        remark(recommendation.law, quiet)
