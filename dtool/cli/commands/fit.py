"""`dtool fit`."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.drawing import DRAWING, Drawing
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import DESCRIPTION, RUNTIME, Opening, open_network
from dtool.cli.flags.work_sharing import SharedModel, Workers, sum_with_one_thread
from dtool.cli.show.output import AsJson, Quiet, remark, say, say_json
from dtool.errors import UsageError
from dtool.models.description import Description
from dtool.models.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtool.fit.session import FitSession
    from dtool.fit.work import Work
    from dtool.plan import Plan

EXAMPLES = (
    "dtool fit --calls 5 -o five.json",
    "dtool fit model.onnx --calls 3,4,5,6,8,10 -o fits.json",
    "dtool fit model.onnx --guidance 3 --ms 40 --minutes 5 -o fast.json",
    "dtool fit --calls 5 -o five.json --resume",
    "dtool fit model.onnx --calls 8 --workers 4 -o eight.json",
    "dtool fit gmm:d=2 --calls 6 --basis x0 --eta 0.5 -o noisy.json",
)
MEANING = "RMSE to the solution from the start of the schedule, from the same noise"
MEANING_OF_LAW = "sliced W2: the distance of two sets of images along many directions, from the solution's"


@with_flags(DRAWING, CONDITIONS, RUNTIME, DESCRIPTION)
def fit(
    model: Annotated[
        str | None,
        typer.Argument(
            help="a network's file, or a closed form such as gmm:d=2 [default: the network inside the package]",
            show_default=False,
        ),
    ] = None,
    calls: Annotated[
        str | None, typer.Option(help="network calls per image, one number or several", show_default=False)
    ] = None,
    ms: Annotated[
        float | None, typer.Option(help="or the milliseconds of network calls, measured here", show_default=False)
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="the longest that a fit may take, its judgement not counted", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="the plan, as FILE.json; of several budgets FILE-5.json and so on [default: fit-5.json]",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="go on from the plan in --output")] = False,
    basis: Annotated[str, typer.Option(help="what rows remember: eps, noises, or x0, images")] = "eps",
    history: Annotated[int, typer.Option(min=1, help="how many predictions a row uses")] = 3,
    noises: Annotated[str, typer.Option(help="how many noises to fit on, to stop by, and to judge on")] = "96,64,128",
    judge: Annotated[
        bool, typer.Option("--judge/--no-judge", help="measure it on held-out noises, beside named recipes")
    ] = True,
    shared_times: Annotated[
        bool,
        typer.Option("--shared-times", help="of several budgets: the times of each are among those of the largest"),
    ] = False,
    eta: Annotated[
        float | None,
        typer.Option(
            help="a stochastic plan with this share of DDPM's noise, fitted to the law with exact marginals "
            "(--basis x0)",
            show_default=False,
        ),
    ] = None,
    *,
    drawing: Drawing,
    conditions: ConditionWords,
    runtime: Runtime,
    description: Description,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit the best plan to a network, guidance and number of calls.

    Times and rows are found from forward passes alone. The plan aims at the converged solution from the start of the
    schedule. It is for this network, guidance and clipping, and is refused for another (FILE.json:force=true runs it
    all the same). Interrupted, the best plan so far is in the file, and --resume goes on. --seed chooses other noises;
    the same seed gives the same plan. --workers share the solutions and the judgement; a search is one process's.
    """
    if workers is not None:
        sum_with_one_thread()
    from dtool.cli.flags.values import parse_classes
    from dtool.cli.show.fit import show_plan
    from dtool.fit.plan_runs import share_runs
    from dtool.fit.run import choose_calls, fit_budget, start_session
    from dtool.fit.session import FitOptions
    from dtool.run.repeated_conditions import repeat_conditions

    net = open_network(model, runtime, description)
    drawing.attach_weak(net, partial(open_network, runtime=runtime, description=description))
    guidance: Any = drawing.guidance
    counts = parse_budget(calls, ms) or [choose_calls(net, None, ms, guidance)]
    files = name_files(output, counts)
    check_files(
        files, [model, *conditions.list_files(), *drawing.list_files()], named=output is not None, resume=resume
    )
    require_one_way(len(counts), eta=eta, shared_times=shared_times, resume=resume)
    words = drawing.classes
    labels = parse_classes(words, net.spec.class_names, net.classes, len((words or "").split(",")))
    options = FitOptions(
        guidance=guidance, clip=drawing.clip, basis=parse_basis(basis), history=history, noises=parse_noises(noises),
        seed=drawing.seed, labels=labels,
        told=repeat_conditions(net, conditions.read(net, None)),
    )  # fmt: skip
    shared_model = SharedModel(name=model, opening=Opening(runtime=runtime, description=description), drawing=drawing)
    with share_runs(net, shared_model.share(workers)) as runs, show_evaluations(quiet) as tell:
        session, work = start_session(net, options, progress=tell, runs=runs)
        plans: list[Plan] = []
        for count in sorted(counts, reverse=shared_times):
            work.on_better = partial(save_plan, files[count])
            if eta is not None:
                plan = fit_stochastic(session, count, eta, work, judge=judge)
            elif shared_times and plans:
                plan = fit_within(session, plans[-1], count, work, judge=judge)
            else:
                before = read_plan(files[count]) if resume else None
                plan = fit_budget(session, count, work, minutes=minutes, resume=before, judge=judge)
            plans.append(plan)
    if as_json:
        say_json({str(files[plan.rows]): plan.fit.to_dict() for plan in plans if plan.fit is not None})
        return
    for plan in sorted(plans, key=lambda one: one.rows):
        show_plan(plan, quiet)
        say(files[plan.rows])
    remark(MEANING if eta is None else MEANING_OF_LAW, quiet)


def require_one_way(budgets: int, *, eta: float | None, shared_times: bool, resume: bool) -> None:
    """Raise UsageError for ways of fitting that do not go together, or not with so many budgets."""
    if eta is not None and (shared_times or resume):
        raise UsageError("a stochastic plan is fitted anew, with times of its own", "leave out --eta, or the others")
    if shared_times and (budgets < 2 or resume):
        raise UsageError("times are shared by several budgets", "give them: --calls 4,6,8, without --resume")


def parse_budget(calls: str | None, ms: float | None) -> list[int]:
    """The numbers of calls, none where milliseconds are given; raises UsageError for both or neither."""
    from dtool.cli.flags.values import parse_counts
    from dtool.fit.run import MOST_CALLS

    if (calls is None) == (ms is None):
        raise UsageError("a budget is a number of calls or of milliseconds", "give one: --calls 5 or --ms 40")
    if ms is not None and not 0 < ms < float("inf"):
        raise UsageError(f"--ms {ms:g} is not a time", "give the milliseconds per image, e.g. 40")
    counts = [] if calls is None else parse_counts(calls, "--calls")
    if counts and max(counts) > MOST_CALLS:
        raise UsageError(f"--calls {max(counts)} is no budget of a fit", f"use 1 to {MOST_CALLS}")
    return counts


def parse_noises(text: str) -> tuple[int, int, int]:
    """`96,64,128` → how many noises of each kind, 2 or more."""
    parts = text.split(",")
    numbers = [int(part) for part in parts if part.strip().isdecimal() and len(part) < 8]
    if len(numbers) != 3 or len(parts) != 3 or min(numbers) < 2:
        raise UsageError(f"--noises {text}: not three numbers from 2", "write it as 96,64,128")
    return numbers[0], numbers[1], numbers[2]


def parse_basis(word: str) -> Any:
    """The basis; raises UsageError for another word."""
    if word not in ("eps", "x0"):
        raise UsageError(f"--basis {word}: a row remembers noises or images", "use eps or x0")
    return word


def name_files(output: Path | None, counts: list[int]) -> dict[int, Path]:
    """The file of each budget; raises UsageError for a name that is no plan's."""
    if output is None:
        return {count: Path(f"fit-{count}.json") for count in counts}
    if output.suffix.lower() != ".json":
        raise UsageError(f"{output}: a plan is JSON", "end its name in .json")
    if len(counts) == 1:
        return {counts[0]: output}
    return {count: output.with_name(f"{output.stem}-{count}{output.suffix}") for count in counts}


def check_files(files: dict[int, Path], inputs: list[Any], *, named: bool, resume: bool) -> None:
    """Find out before any work that a plan cannot be written, is an input, or would replace what dtool has not made."""
    from dtool.errors import DtoolError
    from dtool.util.files import require_distinct_files, require_writable

    require_distinct_files(files.values(), inputs)
    for path in files.values():
        require_writable(path)
        if resume and not path.exists():
            raise UsageError(f"there is no plan in {path} to go on from", "leave out --resume")
        if path.exists() and not named:
            try:
                read_plan(path)
            except DtoolError as error:
                raise UsageError(f"{path} exists, and is no plan", "name another file: -o FILE.json") from error


def read_plan(path: Path) -> Plan:
    """The plan in a file."""
    from dtool.plan.saved import read_plan_file

    return read_plan_file(path)


def save_plan(path: Path, plan: Plan) -> None:
    """Write a plan whole, or leave the one before."""
    from dtool.util.files import write_atomically

    write_atomically(path, lambda temporary: temporary.write_text(plan.to_json(), encoding="utf-8"))


def fit_within(session: FitSession, larger: Plan, count: int, work: Work, *, judge: bool) -> Plan:
    """The plan of fewer calls whose times are among those of a larger one."""
    from dtool.fit.shared_times import fit_subset

    return fit_subset(session, larger, count, work, judge=judge)


def fit_stochastic(session: FitSession, count: int, eta: float, work: Work, *, judge: bool) -> Plan:
    """The plan that is fitted to the law."""
    from dtool.fit.law_fit import fit_law

    return fit_law(session, count, eta, work, judge=judge)


@contextmanager
def show_evaluations(quiet: bool) -> Iterator[Any]:
    """A function (evaluations, what) that shows on a terminal what is being done, and how much has been."""
    import sys

    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("solving", total=None)
        yield lambda done, what: bar.update(task, description=f"{what}, {done} evaluations of the network")
