"""`dtool sample`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.decoder import DECODER, DecoderWords
from dtool.cli.flags.drawing import DRAWING, Drawing, NoiseSource, Threshold
from dtool.cli.flags.editing import EDITING, EditingWords
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import MODEL_HELP, OPENING, Opening
from dtool.cli.flags.parts import PARTS, PartsWords
from dtool.cli.flags.recipe_words import RECIPE_WORDS, RecipeWords
from dtool.cli.flags.sample_files import SAMPLE_FILES, SampleFiles
from dtool.cli.flags.sampler_options import Options
from dtool.cli.flags.work_sharing import sum_with_one_thread
from dtool.cli.show.output import AsJson, Quiet, remark, say, say_json
from dtool.cli.show.progress import show_progress

if TYPE_CHECKING:
    from dtool.cli.flags.sample_words import SampleRun
    from dtool.models.network import Network
    from dtool.run.sampling import Samples

EXAMPLES = (
    "dtool sample --scheduler cosine --sigma tilde",
    "dtool sample --sampler dpmpp-2m --spacing karras --steps 20 --class 3,1,4 -n 30",
    "dtool sample model.onnx --recipe ddim:eta=0.5 --steps 25 --ids 0-63 --npz samples.npz",
    "dtool sample foreign.onnx --schedule linear --prediction eps --shape 3,32,32",
    "dtool sample base.pt+x2.pt+x4.pt --augment 0.1 -n 8 --steps 20",
    "dtool sample model.pt -n 50000 --into samples/ --workers 4",
    'dtool sample pipeline/ --prompt "a red fox" --prompt "a blue fox" --negative "blurred" --guidance 5',
    "dtool sample --sampler ddpm --steps 50 --image photo.png --mask mask.png --fit -n 4",
    "dtool sample model.pt --plan saved.json",
)


@with_flags(DRAWING, CONDITIONS, EDITING, RECIPE_WORDS, SAMPLE_FILES, PARTS, DECODER, OPENING)
def sample(
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="how many images [default: 16]")] = None,
    ids: Annotated[str | None, typer.Option(help="which images of the seed: 0-15 or 3,40", show_default=False)] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL[,LEVEL]",
            help="of a cascade: noise on the pictures that each network is fed, one level for all or one each",
            show_default=False,
        ),
    ] = None,
    *,
    drawing: Drawing,
    conditions: ConditionWords,
    editing: EditingWords,
    threshold: Threshold = None,
    noise: NoiseSource = None,
    words: RecipeWords,
    outputs: SampleFiles,
    many: PartsWords,
    decoder: DecoderWords,
    opening: Opening,
    as_json: AsJson = False,
    quiet: Quiet = False,
    options: Options,
) -> None:
    """Draw samples from a network, and write them as a picture.

    Image i of a seed starts from the same noise whatever the sampler, the batch or the backend. The options of the
    chosen sampler are flags, listed below: --help shows those of the sampler that you name. MODEL may be a cascade,
    base.pt+x2.pt: each network is fed the pictures of the one before it. With --into, many images are drawn into a
    folder, by as many processes as you like, and what was interrupted goes on; dtool merge joins them.
    """
    if many.into is not None:
        sum_with_one_thread()
    from dtool.cli.flags.sample_words import SampleWords
    from dtool.cli.show.filling import fill

    typed = SampleWords(
        model=model, n=n, ids=ids, augment=augment, drawing=drawing, conditions=conditions, editing=editing,
        threshold=threshold, noise=noise, recipe=words, outputs=outputs, many=many, decoder=decoder, opening=opening,
        options=options, quiet=quiet,
    )  # fmt: skip
    share = typed.find_share()
    run = typed.prepare()
    if share is not None:
        fill(run.make_job(), many, share, as_json=as_json, quiet=quiet)
        return
    _write(run, _draw(run), as_json)


def _draw(run: SampleRun) -> Samples:
    """The images, by the network or by all of a cascade."""
    import dtool
    from dtool.run.cascade import continue_cascade

    typed, several = run.words, run.networks
    labels = run.parse_labels()
    with show_progress(f"{run.count} images", typed.quiet) as show:
        out = dtool.sample(
            several[0], run.plans[0], n=run.count, ids=run.image_ids, labels=labels, trace=typed.outputs.trace,
            batch_size=typed.opening.batch_size, progress=show, interpolate=typed.editing.interpolate, **run.edited,
            **run.told.take(run.noise_ids), **run.how,
        )  # fmt: skip
        if len(several) > 1:
            out = continue_cascade(
                out, several, run.plans[1:], seed=typed.drawing.seed, batch_size=typed.opening.batch_size,
                clip=typed.drawing.clip, threshold=typed.threshold, levels=run.levels, progress=show,
            )  # fmt: skip
    return out


def _write(run: SampleRun, out: Samples, as_json: bool) -> None:
    """Write the files, and say what was done."""
    from dtool.cli.show.sample_files import write
    from dtool.run.editing import GivenImage

    outputs, plan, settings = run.words.outputs, run.plans[0], _describe(run, out)
    net, quiet = run.networks[-1], run.words.quiet
    writer = write(
        run.files, net, out, settings, extra=outputs.has_extra_picture, latents=outputs.latents,
        edited=GivenImage(**run.edited),
    )  # fmt: skip
    taken = out.plan.steps if out.calls else 0
    remark(f"{run.count} images, {plan.recipe}, {taken} steps, {format_calls(out)}, {out.seconds:.2f} s", quiet)
    paths = {kind: str(path) for kind, path in run.files.items() if kind in writer.paths}
    _print_files(paths, net, out, settings, as_json)
    writer.finish()


def _describe(run: SampleRun, out: Samples) -> dict[str, Any]:
    """What the images were made with, as the files and --json have it."""
    import dtool

    typed, plan, net = run.words, run.plans[0], run.networks[-1]
    return {
        "recipe": plan.recipe, "plan": out.plan.hash, "steps": plan.steps, "calls": out.calls,
        "evaluations": out.evaluations, "n": run.count,
        "model": typed.model, "backend": net.backend, "device": net.device, **run.how, **run.told.describe(),
        **typed.editing.describe(), **typed.drawing.describe(),
        **({} if run.levels is None else {"augment": run.levels}), "dtool": dtool.__version__,
    }  # fmt: skip


def format_calls(out: Samples) -> str:
    """How many network calls an image took, and evaluations, if guidance makes more of them."""
    more = f" ({out.evaluations} evaluations)" if out.evaluations != out.calls else ""
    return f"{out.calls} calls{more}"


def _print_files(paths: dict[str, str], net: Network, out: Samples, settings: dict[str, Any], as_json: bool) -> None:
    """The paths of what was written; as JSON with the settings and the labels."""
    from dtool.models.labels import name_labels

    if as_json and paths:
        if out.labels is not None:
            settings |= {"labels": out.labels.tolist(), "label_names": name_labels(net.spec.names, out.labels)}
        say_json({"files": paths, "seconds": out.seconds, **settings})
    for path in () if as_json else paths.values():
        say(path)
