"""`dtool sample`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.decoder import DECODER, DecoderWords
from dtool.cli.flags.drawing import DRAWING, Drawing, NoiseSource, Threshold
from dtool.cli.flags.editing import EDITING, EditingWords
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import MODEL_HELP, OPENING, Opening
from dtool.cli.flags.named_plan import resolve_named_plan
from dtool.cli.flags.parts import PARTS, PartsWords, SampleModel
from dtool.cli.flags.recipe_words import RECIPE_WORDS, RecipeWords
from dtool.cli.flags.sample_files import SAMPLE_FILES, SampleFiles
from dtool.cli.flags.sampler_options import Options
from dtool.cli.show.output import AsJson, Quiet, remark, say, say_json
from dtool.cli.show.progress import show_progress
from dtool.errors import UsageError

if TYPE_CHECKING:
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
    import dtool
    from dtool.cli.flags.values import parse_class_words, parse_classes, parse_ids
    from dtool.cli.show.filling import fill
    from dtool.cli.show.sample_files import check_paths, choose_files, write
    from dtool.parts.block import choose_block_size
    from dtool.parts.job import Job
    from dtool.run.cascade import continue_cascade, parse_levels, split_cascade
    from dtool.run.editing import GivenImage
    from dtool.run.guided_plan import require_use, resolve_guidance
    from dtool.run.interpolation import parse_interpolation
    from dtool.run.repeated_conditions import refuse_extra_prompts, repeat_conditions
    from dtool.run.sampling import require_room
    from dtool.run.starts import count_images
    from dtool.util.files import find_option_files

    many.require_folder()
    many.require_alone(
        {"-o": outputs.output is not None, "--npz": outputs.npz is not None, "--trace": outputs.trace,
         "--latents": outputs.latents, "--ids": ids is not None, "--interpolate": editing.interpolate is not None}
    )  # fmt: skip
    share = many.find_share() if many.into is not None else None
    guidance, image_ids = drawing.guidance, parse_ids(ids)
    path = parse_interpolation(editing.interpolate)
    tokens = (words.recipe, words.plan, words.sampler, words.scheduler, words.spacing, opening.description.schedule)
    own_files = find_option_files(*tokens, *(f"={value}" for value in options.values()))
    parts = split_cascade(model)
    if many.into is None:
        check_paths(
            outputs,
            [*parts, decoder.path, *conditions.list_files(), *editing.list_files(), *drawing.list_files(), *own_files],
        )
    opener = SampleModel(names=tuple(parts), opening=opening, decoder=decoder, drawing=drawing)
    net, *upscalers = networks = opener()
    _check_cascade(parts, networks, outputs)
    levels = None if augment is None else parse_levels(augment, parts, networks)
    files, pictures = {} if many.into else choose_files(networks[-1], outputs), editing.read(net)
    if upscalers and (path or noise or any(value not in (None, False) for value in vars(editing).values())):
        raise UsageError("--image, --mask, --noise and the like are of one network, not of a cascade", "leave them out")
    several = len(conditions.read_prompts() or ()), len(pictures)
    count = count_images(path, n, image_ids, None, None) if path else _count_images(n, image_ids, *several)
    places = image_ids or range(count)
    edited: dict[str, Any] = pictures.take(places) | {"strength": editing.strength}
    plan, *others = [resolve_named_plan(each, words, options, quiet) for each in networks]
    size = many.block_size or choose_block_size(networks[-1].picture_shape, opening.batch_size)
    at_once = max(count if many.into is None else min(count, size), opening.batch_size or 0)
    require_room(net, at_once, plan.rows if outputs.trace else 0, decoded=True)
    for each, own in zip(upscalers, others, strict=True):  # what is refused is refused before any work
        require_room(each, at_once, 0)
        resolve_guidance(each.spec, own, None)
    plan, scale = resolve_guidance(net.spec, plan, guidance)
    require_use(net, plan, scale)
    told = repeat_conditions(net, conditions.read(net, scale))
    refuse_extra_prompts(told, count)
    net.text = None  # all that it would be asked is told: its memory is free for the run
    how: dict[str, Any] = {"seed": drawing.seed, "guidance": scale, "clip": drawing.clip, "threshold": threshold}
    how |= {} if noise is None else {"noise": noise}
    if share is not None:
        job = Job(
            model=opener, plans=(plan, *others), count=count, size=size, seed=drawing.seed, told=told,
            labels=parse_class_words(drawing.classes, net.spec.class_names, net.classes),
            levels=levels, given=pictures if len(pictures) else None, about=pictures.describe(),
            files=opener.list_files(),
            options={
                "guidance": scale, "clip": drawing.clip, "threshold": threshold, "batch_size": opening.batch_size,
                "strength": editing.strength, **({} if noise is None else {"noise": noise}),
            },
        )  # fmt: skip
        fill(job.attach(networks), many, share, as_json=as_json, quiet=quiet)
        return
    labels = parse_classes(drawing.classes, net.spec.class_names, net.classes, count)
    with show_progress(f"{count} images", quiet) as show:
        out = dtool.sample(
            net, plan, n=count, ids=image_ids, labels=labels, trace=outputs.trace, batch_size=opening.batch_size,
            progress=show, interpolate=editing.interpolate, **edited,
            **told.take([path.first] * count if path else places), **how,
        )  # fmt: skip
        if upscalers:
            out = continue_cascade(
                out, networks, others, seed=drawing.seed, batch_size=opening.batch_size, clip=drawing.clip,
                threshold=threshold, levels=levels, progress=show,
            )  # fmt: skip
    net = networks[-1]
    settings = {
        "recipe": plan.recipe, "plan": out.plan.hash, "steps": plan.steps, "calls": out.calls,
        "evaluations": out.evaluations, "n": count,
        "model": model, "backend": net.backend, "device": net.device, **how, **told.describe(), **editing.describe(),
        **drawing.describe(), **({} if levels is None else {"augment": levels}), "dtool": dtool.__version__,
    }  # fmt: skip
    writer = write(
        files, net, out, settings, extra=outputs.has_extra_picture, latents=outputs.latents,
        edited=GivenImage(**edited),
    )  # fmt: skip
    taken = out.plan.steps if out.calls else 0
    remark(f"{count} images, {plan.recipe}, {taken} steps, {format_calls(out)}, {out.seconds:.2f} s", quiet)
    paths = {kind: str(path) for kind, path in files.items() if kind in writer.paths}
    _print_files(paths, net, out, settings, as_json)
    writer.finish()


def _check_cascade(parts: Sequence[str], networks: Sequence[Network], outputs: SampleFiles) -> None:
    """Raise UsageError for parts of a cascade that do not fit, before any work."""
    from dtool.run.cascade import require_cascade

    if len(networks) < 2:
        return
    if outputs.trace:
        raise UsageError("--trace is of one network, not of a cascade", "leave it out")
    require_cascade(parts, networks)


def _count_images(n: int | None, image_ids: Sequence[int] | None, prompts: int, pictures: int) -> int:
    """How many images: as many as are asked for, or named; else one for each prompt or picture, or 16."""
    if image_ids is None:
        return n if n is not None else max(prompts if prompts > 1 else 0, pictures) or 16
    if n is not None and n != len(image_ids):
        raise UsageError(f"-n {n}, but --ids names {len(image_ids)} images", "leave -n out")
    return len(image_ids)


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
