"""`dtool likelihood`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.drawing import Classes
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.likelihood_images import ImageSelection
from dtool.cli.flags.likelihood_methods import BOUND, ODE, BoundFlags, OdeFlags, require_one_method
from dtool.cli.flags.loading import MODEL_HELP, OPENING, Opening
from dtool.cli.flags.work_sharing import (
    SHARING,
    SharedModel,
    SharingFlags,
    allow_unfinished,
    sum_with_one_thread,
)
from dtool.cli.show.likelihood import format_figure, show
from dtool.cli.show.output import AsJson, Quiet, format_number, remark, say, say_json
from dtool.cli.show.progress import show_progress
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.compare.work_sharing import WorkSharing
    from dtool.likelihood import Bound, Density

EXAMPLES = (
    "dtool likelihood --data mnist/ -o terms.png",
    "dtool likelihood model.pt --data images/ -n 256 --steps all --variance beta --json",
    "dtool likelihood model.pt --data digits --ode",
)


@with_flags(CONDITIONS, BOUND, ODE, OPENING, SHARING)
def likelihood(
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    data: Annotated[
        str | None,
        typer.Option(help="the images: a folder, IDX files, an .npz, or digits", show_default=False),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="how many of them, drawn at random")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="of the noise, and of which images are drawn")] = 0,
    levels: Annotated[
        str | None,
        typer.Option(
            help="how many values a pixel can have; none: a density [default: 256, of digits 17]", show_default=False
        ),
    ] = None,
    classes: Classes = None,
    *,
    conditions: ConditionWords,
    chain: BoundFlags,
    flow: OdeFlags,
    opening: Opening,
    sharing: SharingFlags,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """How probable a network finds images, in bits per dimension.

    By default the variational bound, term by term: what is left of the image in the noise (L_T), what each step tells
    of it, and what it takes to say the image itself (L_0). With --ode the probability-flow ODE. Lower is better.
    With --workers, or --part and --into on several machines, the images are shared: the document has the same bytes.
    """
    from dtool.util.files import find_option_files, require_distinct_files, require_picture

    if sharing.is_given:
        sum_with_one_thread()
    require_one_method(chain, flow, opening.batch_size)
    if data is None:
        raise UsageError("there are no images", "name them: --data PATH, or --data digits")
    steps = chain.parse_steps()
    if chain.output is not None:
        option_files = find_option_files(chain.scheduler, chain.spacing, opening.description.schedule)
        require_distinct_files([chain.output], [model, data, chain.stats, *option_files])
        require_picture(chain.output)
    if conditions.negative is not None or conditions.without:
        raise UsageError("a likelihood is not guided: nothing is compared", "leave --negative and --without out")
    net = opening.open(model)
    if net.codec is not None:
        raise UsageError("this network samples latents, and their likelihood is not that of pictures",
                         "use a network that samples pictures")  # fmt: skip
    told = conditions.read_options(net, None)
    selection = ImageSelection(net, data, n, seed, levels, classes)
    shared_model = SharedModel(name=model, opening=opening)
    shared = sharing.resolve(shared_model)
    share = None if shared is None else _Sharing(shared, shared_model)
    with allow_unfinished(shared, quiet):
        _measure(selection, share, steps, chain, flow, opening, told, as_json, quiet)


def _measure(
    selection: ImageSelection, share: _Sharing | None, steps: Any, chain: BoundFlags, flow: OdeFlags, opening: Opening,
    told: dict[str, Any], as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """The likelihood by the method that was asked for, shown."""
    if flow.ode:
        options: dict[str, Any] = {"trace": flow.trace, "probes": flow.probes or 1, "tolerance": flow.tolerance or 1e-5}
        options |= told
        _compute_density(selection, options, share, as_json, quiet)
        return
    options = {
        "plan": steps, "scheduler": chain.scheduler, "spacing": chain.spacing, "clip": chain.clip,
        "batch_size": opening.batch_size, **told,
    }  # fmt: skip
    bound = _compute_bound(selection, options, chain.variance, chain.stats, share, quiet)
    _print(bound, selection, chain.output, as_json)


class _Sharing(NamedTuple):
    """Who shares the work, and what opens the network in each process."""

    sharing: WorkSharing
    model: SharedModel

    def measure(
        self, method: Literal["bound", "ode"], selection: ImageSelection, options: dict[str, Any], quiet: bool
    ) -> Any:
        """The likelihood of the chosen images, by all of them."""
        from dtool.likelihood.shared import LikelihoodJob, measure_parts, measure_shared

        ids = selection.ids
        job = LikelihoodJob(opener=self.model, method=method, options=options)
        with show_progress(f"{len(ids)} images", quiet) as show:
            what = job, selection.images(ids), ids.tolist(), selection.labels(ids)
            if self.sharing.folder is not None:
                return measure_parts(*what, self.sharing, show)
            return measure_shared(*what, workers=self.sharing.workers, progress=show)


def _print(bound: Bound, selection: ImageSelection, output: Path | None, as_json: bool) -> None:
    """The bound, and its picture if one was asked for."""
    from dtool.util.files import OutputWriter

    writer = OutputWriter()
    if output is not None:
        from dtool.cli.show.likelihood_picture import draw_picture
        from dtool.cli.show.pictures import make_saver

        about = {"command": "likelihood", "bits": bound.total, "n": bound.n, "seed": bound.seed}
        writer.add("picture", output, make_saver(lambda: draw_picture(bound, selection.net.spec.data_range), **about))
    picture = writer.paths.get("picture")
    if as_json:
        say_json(bound.to_dict() | selection.summary | {"picture": None if picture is None else str(picture)})
    else:
        show(bound)
        if picture is not None:
            say(picture)
    writer.finish()


def _compute_bound(
    selection: ImageSelection, options: dict[str, Any], variance: Any, stats: Path | None, share: _Sharing | None,
    quiet: bool,
) -> Bound:  # fmt: skip
    """The bound; the analytic variance is measured on images that are not among those it is for, if there are any."""
    from dtool.likelihood import bound
    from dtool.likelihood.variational_bound import measure_chain_variance

    statistics: Any = stats
    if variance is None:
        variance = "learned" if selection.net.spec.learned_variance else "analytic"
    if variance == "analytic" and stats is None and (len(selection.others) or share is not None):
        ids, which = (selection.others, "other ") if len(selection.others) else (selection.ids, "")
        with show_progress(f"the variance, on {len(ids)} {which}images", quiet) as show:
            statistics = measure_chain_variance(
                selection.net, selection.images(ids), labels=selection.labels(ids), ids=ids.tolist(),
                seed=selection.seed, progress=show, **options,
            )  # fmt: skip
    if variance == "analytic" and stats is None and not len(selection.others):
        remark("there are no other images: the variance is measured on these, and fits them a little too well", quiet)
    if share is not None:
        options |= {"variance": variance, "statistics": statistics, "levels": selection.levels, "seed": selection.seed}
        measured: Bound = share.measure("bound", selection, options, quiet)
        return measured
    with show_progress(f"{len(selection.ids)} images", quiet) as show:
        return bound(
            selection.net, selection.images(selection.ids), variance=variance, statistics=statistics,
            levels=selection.levels, labels=selection.labels(selection.ids), ids=selection.ids.tolist(),
            seed=selection.seed, progress=show, **options,
        )  # fmt: skip


def _compute_density(
    selection: ImageSelection, options: dict[str, Any], share: _Sharing | None, as_json: bool, quiet: bool
) -> None:
    """Solve the ODE, and say what came of it."""
    density = _solve(selection, options, share, quiet)
    if as_json:
        say_json(density.to_dict() | selection.summary)
        return
    how = "exact trace" if density.trace == "exact" else f"Hutchinson's trace, probes: {density.probes}"
    say(f"{format_figure(density)}  probability-flow ODE, n = {density.n}, seed {density.seed}")
    remark(
        f"{how}, {density.jacobian}; {density.calls:.0f} evaluations per image; the solution is off by less than "
        f"{format_number(density.error, 2)} bits/dim ({density.checked} images, "
        f"against a coarser one)" + ("" if density.seconds is None else f"; {density.seconds:.1f} s"),
        quiet,
    )


def _solve(selection: ImageSelection, options: dict[str, Any], share: _Sharing | None, quiet: bool) -> Density:
    from dtool.likelihood import ode

    if share is not None:
        options |= {"levels": selection.levels, "seed": selection.seed}
        measured: Density = share.measure("ode", selection, options, quiet)
        return measured
    with show_progress(f"{len(selection.ids)} images", quiet) as show:
        return ode(
            selection.net, selection.images(selection.ids), labels=selection.labels(selection.ids),
            levels=selection.levels, ids=selection.ids.tolist(), seed=selection.seed, progress=show, **options,
        )  # fmt: skip
