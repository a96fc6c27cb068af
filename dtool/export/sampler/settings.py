"""What a sampler's file is made of, settled before any work: the plan for this network, the defaults, the form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from dtool.errors import UsageError, did_you_mean
from dtool.export.network.sources import SourceNetwork
from dtool.models.codec import Codec
from dtool.models.micro_batch import choose_default_micro_batch
from dtool.models.spec import NetworkSpec, resolve_schedule
from dtool.onnx.sampler_inputs import EDITS, WORDS
from dtool.plan.api import plan as make_plan
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import has_comparison
from dtool.plan.packed import Room, pack
from dtool.plan.prediction import adapt_to_network
from dtool.plan.recipe import Recipe
from dtool.run.assumptions import warn_of_start
from dtool.run.clipping import Clipping, Threshold, get_own_threshold, parse_threshold
from dtool.run.fitted_plan import require_fitted_settings
from dtool.run.guided_plan import resolve_guidance
from dtool.run.noise import derive_key
from dtool.run.sampler_conditions import is_guidable, require_free_names
from dtool.run.sampler_form import SamplerForm
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class SamplerFileOptions:
    """How a sampler is put into its file. None leaves it to the network's spec, or to the plan.

    freeze: bake every default in, so that the ids (and labels, and conditions) are the only inputs; a `config.pbtxt`
    for Triton is written beside the file. seed: the default seed [default: 0]. history: room for so many older
    predictions, and for an x that is kept, so that other samplers fit. inputs: of "seed", "guidance", "plan" and
    "without" (what guidance compares each condition with) those that must be given at each run, for runtimes that do
    not know inputs with defaults, as JavaScript's; everything else is then constant, as it is given here, and there
    are no traces. "plan" means table, times and init. "image", "mask" and "strength" let a run begin at an image, as
    `dtool.sample` does: named alone they have defaults, and so has all else; beside the others they must be given.
    clip, threshold, guidance: as in `dtool.sample`, as defaults;
    the threshold is part of the graph. micro_batch: how many images are run at a time, the last ones padded; by
    default as many as on the CPU no image's bits depend on, which is tried out, and one of a network that mixes the
    images of a batch. decode: whether the network's codec follows the loop, so that `images` are pictures, and
    "latents" what was sampled; by default where there is a codec. text: put the text encoder into the file, too: its
    inputs are token numbers then, of which guidance compares with those of the empty prompt unless "without" is among
    the inputs or given, and the tokenizer is written beside it; by default only a sentence encoder that dtool trained a
    network with. text_bits: 32, or 8 for its weights in eight bits, of which it is measured what they lose [default: 8
    for such a sentence encoder, else 32].
    """

    freeze: bool = False
    seed: int | None = None
    history: int | None = None
    clip: bool | None = None
    threshold: float | str | Threshold | None = None
    guidance: float | str | None = None
    micro_batch: int | None = None
    inputs: Sequence[str] | None = None
    decode: bool | None = None
    text: bool | None = None
    text_bits: int | None = None


def resolve_sampler(
    source: SourceNetwork, plan: Plan | str, steps: int, options: SamplerFileOptions
) -> tuple[SourceNetwork, Plan, SamplerForm]:
    """The network with the defaults of `options`, the plan made for it, and the form.

    Raises UsageError for a plan that cannot be put into a file.
    """
    spec = source.spec
    threshold = _check_options(options)
    inputs = _resolve_inputs(options, spec, weak=source.weak is not None)
    edits = tuple(word for word in EDITS if word in (inputs or ()))
    require_free_names(spec, edits)
    clip = options.threshold is not None or (spec.clip if options.clip is None else options.clip)
    threshold = threshold or (get_own_threshold(spec) if clip else None)
    trained = NetworkStub(resolve_schedule(spec), spec.prediction)
    if isinstance(plan, str):
        plan = make_plan(plan, steps=Recipe.parse(plan).own_steps or steps, network=trained)
    else:
        plan = adapt_to_network(plan, trained.schedule, spec.prediction)
    warn_of_start(plan)
    plan, guidance = resolve_guidance(spec, plan, options.guidance)
    weak = source.weak is not None
    require_fitted_settings(plan, guidance, Clipping.for_network(spec, threshold) if clip else None, autoguided=weak)
    plan = plan if weak else _drop_comparison(spec, plan)
    _require_guidable(spec, plan, guidance, weak=weak, inputs=inputs)
    spec = spec.model_copy(update={"clip": clip, "guidance": guidance, "guidance_interval": None})
    _require_single_images(source.mixes, spec, options, weak=weak)
    need = replace(Room.for_plan(plan), edits=bool(edits))
    pack(plan, clip, need if options.history is None else replace(need, history=options.history))
    if plan.learned and not spec.learned_variance:
        raise UsageError(f"{plan.recipe} takes the variance from the network, and this one predicts none", "use ddpm")
    form = SamplerForm(
        history=plan.history - 1 if options.history is None else options.history,
        saved=bool(plan.save.any()) or options.history is not None,
        quantile=None if threshold is None else threshold.quantile,
        most=None if threshold is None else threshold.most,
        frozen=options.freeze,
        seed=options.seed or 0,
        micro_batch=options.micro_batch or (1 if source.mixes else choose_default_micro_batch(spec.shape, "cpu")),
        mixes=source.mixes,
        inputs=None if inputs == edits else inputs,
        edits=edits,
        weak=weak,
        picture_shape=_choose_picture_shape(source.codec, options.decode),
        gaps=need.gaps,
        rescales=need.rescales,
    )
    return replace(source, spec=spec), plan, form


def _check_options(options: SamplerFileOptions) -> Threshold | None:
    """The threshold asked for; raises UsageError for options that do not fit together, or do not fit the network."""
    derive_key(options.seed or 0)
    if options.threshold is not None and options.clip is False:
        raise UsageError("threshold is a way of clipping, and clip is off", "give one of them")
    return parse_threshold(options.threshold)


def _drop_comparison(spec: NetworkSpec, plan: Plan) -> Plan:
    """The plan without weights of D - D_without, for a network that has nothing to compare with: it is 0 there."""
    if is_guidable(spec) or plan.guidance or spec.guidance != 1:
        return plan
    return replace(plan, b_without=np.zeros((plan.rows, 0)))


def _require_guidable(spec: NetworkSpec, plan: Plan, scale: float, *, weak: bool, inputs: Sequence[str] | None) -> None:
    """Raise UsageError for guidance of a network that has nothing to compare with, and for a weak one without."""
    if has_comparison(plan, scale) and not is_guidable(spec) and not weak:
        what = "a label that means no class, and this network has none" if spec.classes else "a conditional network"
        raise UsageError(f"guidance needs {what}", "leave out guidance")
    if weak and not has_comparison(plan, scale) and "guidance" not in (inputs or ()):
        raise UsageError("a weaker network is named, and no guidance compares with it", "give a scale: --guidance 2")


def _choose_picture_shape(codec: Codec | None, decode: bool | None) -> tuple[int, ...] | None:
    if decode and codec is None:
        raise UsageError("this network has no codec: what it samples are the pictures", "leave out decode (--decode)")
    return codec.picture_shape if codec is not None and decode is not False else None


def _require_single_images(mixes: bool, spec: NetworkSpec, options: SamplerFileOptions, *, weak: bool) -> None:
    """Raise UsageError if a network that mixes the images of a batch would have to run several together."""
    if mixes and (options.micro_batch or 1) > 1:
        raise UsageError(
            "the network mixes the images of a batch, and a sampler's file runs each alone", "leave out micro_batch"
        )
    if mixes and not weak and (spec.guidance not in (0, 1) or "guidance" in (options.inputs or ())):
        raise UsageError(
            "a sampler's file runs an image with and without its class together, and this network mixes them",
            "leave out guidance (guidance=1), or run the network's own file",
        )


def _resolve_inputs(options: SamplerFileOptions, spec: NetworkSpec, *, weak: bool) -> tuple[str, ...] | None:
    """The inputs that must be given, in one order; raises UsageError for what is no input, or cannot be one."""
    if options.inputs is None:
        return None
    words = [options.inputs] if isinstance(options.inputs, str) else list(options.inputs)
    for word in words:
        if word not in WORDS:
            raise UsageError(f"{word!r} is no input of a sampler that can be chosen", did_you_mean(str(word), WORDS))
    if options.freeze:
        raise UsageError("freeze leaves no inputs but ids, label and conditions", "give freeze or inputs")
    if {*EDITS} & {*words} and "image" not in words:
        raise UsageError("a mask and a strength are of an image to begin at", "name image among the inputs, too")
    if "mask" in words and prod(spec.shape[1:]) < 2:
        raise UsageError(f"a mask tells places apart, and samples of shape {spec.shape} have none", "leave mask out")
    if "without" in words and weak:
        raise UsageError("guidance compares with the weaker network, and with no input", "leave without out")
    if "without" in words and not spec.conditions:
        raise UsageError("what guidance compares with is no class, and no input", "leave without out of the inputs")
    if "guidance" in words and not is_guidable(spec) and not weak:
        raise UsageError("guidance needs classes, and a label that means none", "leave guidance out of the inputs")
    if "seed" in words and options.seed:
        raise UsageError(f"seed={options.seed} is a default, and the input seed has none", "leave out one of them")
    return tuple(word for word in WORDS if word in words)


@dataclass(frozen=True)
class NetworkStub:
    """What `dtool.plan` wants to know of a network."""

    schedule: Schedule
    prediction: Prediction
