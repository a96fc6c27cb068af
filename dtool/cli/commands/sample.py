"""`dtool sample`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dtool.cli.flags.conditions import CONDITIONS, ConditionWords
from dtool.cli.flags.decoder import DECODER, DecoderWords
from dtool.cli.flags.drawing import DRAWING, Drawing, NoiseSource, Threshold
from dtool.cli.flags.editing import EDITING, EditingWords
from dtool.cli.flags.groups import with_flags
from dtool.cli.flags.loading import MODEL_HELP, OPENING, Opening
from dtool.cli.flags.recipe_words import RECIPE_WORDS, RecipeWords
from dtool.cli.flags.sample_files import SAMPLE_FILES, SampleFiles
from dtool.cli.flags.sampler_options import DEFAULT_SAMPLER, Options
from dtool.cli.show.output import AsJson, Quiet, remark, say, say_json
from dtool.cli.show.progress import show_progress
from dtool.errors import UsageError

if TYPE_CHECKING:
    from dtool.models.network import Network
    from dtool.plan import Plan, Recipe
    from dtool.run.sampling import Samples

EXAMPLES = (
    "dtool sample --scheduler cosine --sigma tilde",
    "dtool sample --sampler dpmpp-2m --spacing karras --steps 20 --class 3,1,4 -n 30",
    "dtool sample model.onnx --recipe ddim:eta=0.5 --steps 25 --ids 0-63 --npz samples.npz",
    "dtool sample foreign.onnx --schedule linear --prediction eps --shape 3,32,32",
    "dtool sample base.pt+x2.pt+x4.pt -n 8 --steps 20",
    'dtool sample pipeline/ --prompt "a red fox" --prompt "a blue fox" --negative "blurred" --guidance 5',
    "dtool sample --sampler ddpm --steps 50 --image photo.png --mask mask.png --fit -n 4",
)


@with_flags(DRAWING, CONDITIONS, EDITING, RECIPE_WORDS, SAMPLE_FILES, DECODER, OPENING)
def sample(
    model: Annotated[str | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="how many images [default: 16]")] = None,
    ids: Annotated[str | None, typer.Option(help="which images of the seed: 0-15 or 3,40", show_default=False)] = None,
    *,
    drawing: Drawing,
    conditions: ConditionWords,
    editing: EditingWords,
    threshold: Threshold = None,
    noise: NoiseSource = None,
    words: RecipeWords,
    outputs: SampleFiles,
    decoder: DecoderWords,
    opening: Opening,
    as_json: AsJson = False,
    quiet: Quiet = False,
    options: Options,
) -> None:
    """Draw samples from a network, and write them as a picture.

    Image i of a seed starts from the same noise whatever the sampler, the batch or the backend. The options of the
    chosen sampler are flags, listed below: --help shows those of the sampler that you name. MODEL may be a cascade,
    base.pt+x2.pt: each network is fed the pictures of the one before it.
    """
    import dtool
    from dtool.cli.flags.values import parse_classes, parse_ids
    from dtool.cli.show.sample_files import check_paths, choose_files, write
    from dtool.run.cascade import continue_cascade, split_cascade
    from dtool.run.editing import GivenImage
    from dtool.run.guided_plan import require_use, resolve_guidance
    from dtool.run.interpolation import parse_interpolation
    from dtool.run.repeated_conditions import refuse_extra_prompts, repeat_conditions
    from dtool.run.sampling import require_room
    from dtool.run.starts import count_images
    from dtool.util.files import find_option_files

    guidance, image_ids = drawing.guidance, parse_ids(ids)
    path = parse_interpolation(editing.interpolate)
    tokens = (words.recipe, words.sampler, words.scheduler, words.spacing, opening.description.schedule)
    own_files = find_option_files(*tokens, *(f"={value}" for value in options.values()))
    parts = split_cascade(model)
    check_paths(
        outputs,
        [*parts, decoder.path, *conditions.list_files(), *editing.list_files(), *drawing.list_files(), *own_files],
    )
    net = decoder.attach(opening.open(parts[0] if parts else None), opening.runtime)
    drawing.attach_weak(net, opening.open)
    upscalers = _open_upscalers(parts, net, opening, outputs)
    files, pictures = choose_files(upscalers[-1] if upscalers else net, outputs), editing.read(net)
    if upscalers and (path or noise or any(value not in (None, False) for value in vars(editing).values())):
        raise UsageError("--image, --mask, --noise and the like are of one network, not of a cascade", "leave them out")
    several = len(conditions.read_prompts() or ()), len(pictures)
    count = count_images(path, n, image_ids, None, None) if path else _count_images(n, image_ids, *several)
    places = image_ids or range(count)
    edited: dict[str, Any] = pictures.take(places) | {"strength": editing.strength}
    plan, *others = [_resolve_plan(each, words, options, quiet) for each in (net, *upscalers)]
    require_room(net, max(count, opening.batch_size or 0), plan.rows if outputs.trace else 0, decoded=True)
    for each, own in zip(upscalers, others, strict=True):  # what is refused is refused before any work
        require_room(each, max(count, opening.batch_size or 0), 0)
        resolve_guidance(each.spec, own, None)
    plan, scale = resolve_guidance(net.spec, plan, guidance)
    require_use(net, plan, scale)
    told = repeat_conditions(net, conditions.read(net, scale))
    refuse_extra_prompts(told, count)
    net.text = None  # all that it would be asked is told: its memory is free for the run
    how: dict[str, Any] = {"seed": drawing.seed, "guidance": scale, "clip": drawing.clip, "threshold": threshold}
    how |= {} if noise is None else {"noise": noise}
    labels = parse_classes(drawing.classes, net.spec.class_names, net.classes, count)
    with show_progress(f"{count} images", quiet) as show:
        out = dtool.sample(
            net, plan, n=count, ids=image_ids, labels=labels, trace=outputs.trace, batch_size=opening.batch_size,
            progress=show, interpolate=editing.interpolate, **edited,
            **told.take([path.first] * count if path else places), **how,
        )  # fmt: skip
        if upscalers:
            out = continue_cascade(
                out, [net, *upscalers], others, seed=drawing.seed, batch_size=opening.batch_size, clip=drawing.clip,
                threshold=threshold, progress=show,
            )  # fmt: skip
    net = upscalers[-1] if upscalers else net
    settings = {
        "recipe": plan.recipe, "plan": out.plan.hash, "steps": plan.steps, "calls": out.calls,
        "evaluations": out.evaluations, "n": count,
        "model": model, "backend": net.backend, "device": net.device, **how, **told.describe(), **editing.describe(),
        **drawing.describe(), "dtool": dtool.__version__,
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


def _open_upscalers(parts: Sequence[str], base: Network, opening: Opening, outputs: SampleFiles) -> list[Network]:
    """The networks after the first of a cascade; raises UsageError for parts that do not fit, before any work."""
    from dtool.run.cascade import require_cascade

    if len(parts) < 2:
        return []
    if outputs.trace:
        raise UsageError("--trace is of one network, not of a cascade", "leave it out")
    upscalers = [opening.open(part) for part in parts[1:]]
    require_cascade(parts, [base, *upscalers])
    return upscalers


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


def _resolve_plan(net: Network, words: RecipeWords, options: Options, quiet: bool) -> Plan:
    """The plan that was asked for; of a file that holds a sampler its own, or as much of it as was not asked for.

    Of another library's network, where no sampler is named, it is what its makers sample it with.
    """
    from dtool.cli.flags.values import parse_times
    from dtool.plan.api import plan as make_plan

    steps, times = words.steps, parse_times(words.points)
    if net.plan is not None and not words.names_a_sampler:
        unknown, own = _parse_recipe(net.plan.recipe)
        defaults = {name: value for name, value in own.rule.options if value is not None}
        if options == defaults and not words.has_grid:
            return net.plan
        if unknown is not None:
            hint = "install the package that has it, or name another with --sampler; its own plan runs as it is"
            raise UsageError(f"{net.plan.recipe} must be compiled again for that, and {unknown}", hint) from unknown
        steps = net.plan.steps if steps is None and times is None else steps
        recipe = own.complete(None, None, **options)
    elif (theirs := _choose_makers_recipe(net, words, options)) is not None:
        assert net.origin is not None, "what has their recipe"
        recipe, steps = theirs, net.origin.steps if steps is None and times is None else steps
        remark(" ".join([f"{recipe}, as its makers sample it.", *net.origin.differences]), quiet)
    else:
        recipe = _build_recipe(words, options)
    return make_plan(recipe, scheduler=words.scheduler, spacing=words.spacing, steps=steps, points=times, network=net)


def _choose_makers_recipe(net: Network, words: RecipeWords, options: Options) -> Recipe | None:
    """What a network's makers sample it with, where neither a sampler is named nor an option of the usual one.

    A schedule or a spacing that is named takes the place of theirs.
    """
    from dtool.plan import Recipe
    from dtool.samplers import get_sampler

    if net.origin is None or net.origin.recipe is None or words.names_a_sampler:
        return None
    usual = dict(get_sampler(DEFAULT_SAMPLER).options)
    if any(usual.get(name) != value for name, value in options.items()):
        return None
    recipe = Recipe.parse(net.origin.recipe)
    if words.scheduler is not None:
        recipe = replace(recipe, scheduler=None)
    return replace(recipe, spacing=None) if words.spacing is not None or words.points is not None else recipe


def _parse_recipe(recipe: str) -> tuple[UsageError | None, Recipe]:
    """A file's recipe, and what is unknown in it, if anything is.

    A sampler that is not installed, or is another library's, has no flags: they are those of the usual one, which then
    stands in its place.
    """
    from dtool.plan.foreign import find_library
    from dtool.plan.recipe import Recipe, parse_recipe_of_file

    if find_library(recipe) is not None:
        error = UsageError("it was adopted from another library", f"name it again: --recipe {recipe}")
        return error, Recipe.parse(DEFAULT_SAMPLER)
    try:
        return None, parse_recipe_of_file(recipe, "the sampler's file")
    except UsageError as error:
        return error, Recipe.parse(DEFAULT_SAMPLER)


def _build_recipe(words: RecipeWords, options: Options) -> Any:
    """The recipe that was asked for, with the sampler's options as the flags have them."""
    from dtool.plan import Recipe

    if words.recipe is not None and words.sampler is not None:
        raise UsageError("--recipe names the sampler already", "leave --sampler out")
    token = next((name for name in (words.recipe, words.sampler) if name is not None), DEFAULT_SAMPLER)
    return Recipe.parse(token).complete(None, None, **options)
