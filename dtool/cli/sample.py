"""`dtool sample`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.arguments import (
    MODEL_HELP,
    Backend,
    BatchSize,
    Classes,
    Clip,
    Device,
    Guidance,
    Opening,
    Seed,
    Threshold,
    open_network,
    progress_bar,
    with_opening,
)  # fmt: skip
from dtool.cli.options import DEFAULT_SAMPLER, Options, sampler_names, scheduler_names, spacing_names
from dtool.cli.output import AsJson, Quiet, remark, say, say_json
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.networks.network import Network
    from dtool.plan import Plan, Recipe

EXAMPLES = (
    "dtool sample --scheduler cosine --sigma tilde",
    "dtool sample --sampler dpmpp-2m --spacing karras --steps 20 --class 3,1,4 -n 30",
    "dtool sample model.onnx --recipe ddim:eta=0.5 --steps 25 --ids 0-63 --npz samples.npz",
    "dtool sample foreign.onnx --schedule linear --prediction eps --shape 3,32,32",
)
HOW, FILES = "The recipe", "Files"


@with_opening
def sample(
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="how many images [default: 16]")] = None,
    seed: Seed = 0,
    ids: Annotated[str | None, typer.Option(help="which images of the seed: 0-15 or 3,40", show_default=False)] = None,
    classes: Classes = None,
    guidance: Guidance = None,
    clip: Clip = None,
    threshold: Threshold = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="the rule: see dtool samplers [default: ddpm]", autocompletion=sampler_names, rich_help_panel=HOW
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="noise schedule: see dtool schedulers [default: the network's own]",
            autocompletion=scheduler_names,
            rich_help_panel=HOW,
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            help="where the steps fall: see dtool spacings [default: trailing]",
            autocompletion=spacing_names,
            rich_help_panel=HOW,
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="how many steps [default: 50]", rich_help_panel=HOW)] = None,
    points: Annotated[
        str | None, typer.Option(help="your own times instead, falling: 999,750,500,250", rich_help_panel=HOW)
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="all in one word: ddim:eta=0.5@cosine/karras", rich_help_panel=HOW)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the picture [default: samples.png]", rich_help_panel=FILES)
    ] = None,
    npz: Annotated[
        Path | None, typer.Option(help="write the array too: x0, labels, ids", rich_help_panel=FILES)
    ] = None,
    trace: Annotated[
        bool,
        typer.Option("--trace", help="a second picture: x_t above the image predicted from it", rich_help_panel=FILES),
    ] = False,
    device: Device = "auto",
    backend: Backend = None,
    batch_size: BatchSize = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    *,
    opening: Opening,
    options: Options,
) -> None:
    """Draw samples from a network, and write them as a picture.

    Image i of a seed starts from the same noise whatever the sampler, the batch or the backend. The options of the
    chosen sampler are flags, listed below: --help shows those of the sampler that you name.
    """
    import dtool
    from dtool.backends.sampling import require_room
    from dtool.cli.sample_files import check_paths, files_for, write
    from dtool.cli.values import class_list, id_list
    from dtool.files import files_in
    from dtool.networks.labels import label_names

    chosen = id_list(ids)
    if chosen is not None and n is not None and n != len(chosen):
        raise UsageError(f"-n {n}, but --ids names {len(chosen)} images", "leave -n out")
    count = len(chosen) if chosen is not None else 16 if n is None else n
    said = (recipe, sampler, scheduler, spacing, opening.schedule, *(f"={value}" for value in options.values()))
    check_paths(output, npz, trace, [model, *files_in(*said)])
    net = open_network(model, device, backend, opening)
    files = files_for(net, output, npz, trace)
    plan = _plan(net, sampler, recipe, scheduler, spacing, steps, points, options)
    require_room(net, max(count, batch_size or 0), plan.rows if trace else 0)
    names = net.spec.names
    labels = class_list(classes, net.spec.class_names, net.classes, count)
    with progress_bar(f"{count} images", quiet) as show:
        out = dtool.sample(
            net, plan, n=count, seed=seed, ids=chosen, labels=labels, guidance=guidance, clip=clip, threshold=threshold,
            trace=trace, batch_size=batch_size, progress=show,
        )  # fmt: skip
    settings = {
        "recipe": plan.recipe, "plan": plan.hash, "steps": plan.steps, "calls": out.calls, "n": count, "seed": seed,
        "model": model, "backend": net.backend, "device": net.device,
        "guidance": guidance, "clip": clip, "threshold": threshold, "dtool": dtool.__version__,
    }  # fmt: skip
    writing = write(files, net, out, settings, extra=output is None and npz is not None)
    remark(f"{count} images, {plan.recipe}, {plan.steps} steps, {out.calls} calls, {out.seconds:.2f} s", quiet)
    written = {kind: str(path) for kind, path in files.items() if kind in writing.written}
    if as_json and written:
        if out.labels is not None:
            settings |= {"labels": out.labels.tolist(), "label_names": label_names(names, out.labels)}
        say_json({"files": written, "seconds": out.seconds, **settings})
    for path in () if as_json else written.values():
        say(path)
    writing.finish()


def _plan(
    net: Network,
    sampler: str | None,
    recipe: str | None,
    scheduler: str | None,
    spacing: str | None,
    steps: int | None,
    points: str | None,
    options: Options,
) -> Plan:
    """The plan that was asked for; of a file that holds a sampler its own, or as much of it as was not asked for."""
    from dtool.cli.values import times
    from dtool.plan.api import plan as make_plan

    if net.plan is not None and sampler is None and recipe is None:
        unknown, own = _understood(net.plan.recipe)
        defaults = {name: value for name, value in own.rule.options if value is not None}
        if options == defaults and (scheduler, spacing, steps, points) == (None,) * 4:
            return net.plan
        if unknown is not None:
            hint = "install the package that has it, or name another with --sampler; its own plan runs as it is"
            raise UsageError(f"{net.plan.recipe} must be compiled again for that, and {unknown}", hint) from unknown
        steps = net.plan.steps if steps is None and points is None else steps
        wanted = own.where(None, None, **options)
    else:
        wanted = _recipe(sampler, recipe, options)
    return make_plan(wanted, scheduler=scheduler, spacing=spacing, steps=steps, points=times(points), network=net)


def _understood(recipe: str) -> tuple[UsageError | None, Recipe]:
    """A file's recipe, and what is unknown in it, if anything is.

    A sampler that is not installed has no flags: they are those of the usual one, which then stands in its place.
    """
    from dtool.plan.recipe import Recipe, recipe_of_file

    try:
        return None, recipe_of_file(recipe, "the sampler's file")
    except UsageError as error:
        return error, Recipe.parse(DEFAULT_SAMPLER)


def _recipe(sampler: str | None, recipe: str | None, options: Options) -> Any:
    """The recipe that was asked for, with the sampler's options as the flags have them."""
    from dtool.plan import Recipe

    if recipe is not None and sampler is not None:
        raise UsageError("--recipe names the sampler already", "leave --sampler out")
    named = next((name for name in (recipe, sampler) if name is not None), DEFAULT_SAMPLER)
    return Recipe.parse(named).where(None, None, **options)
