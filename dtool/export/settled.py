"""What a sampler's file is made of, settled before any work: the plan for this network, the defaults, the form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from dtool.backends.assumptions import warn_of_start
from dtool.backends.fused import Form
from dtool.backends.fused_inputs import WORDS
from dtool.backends.limit import Limit
from dtool.backends.noise import key
from dtool.errors import UsageError, did_you_mean
from dtool.export.sources import Source
from dtool.networks.network import rows_for
from dtool.networks.spec import NetworkSpec, schedule_of
from dtool.plan.api import plan as make_plan
from dtool.plan.packed import pack
from dtool.plan.plan import Plan
from dtool.plan.prediction import for_network
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule

MICRO_BATCH = 512  # numbers that are run at a time, as on the CPU in every backend


@dataclass(frozen=True)
class SamplerOptions:
    """How a sampler is put into its file. None leaves it to the network's spec, or to the plan.

    freeze: bake every default in, so that the ids (and labels) are the only inputs; a `config.pbtxt` for Triton is
    written beside the file. seed: the default seed. history: room for so many older predictions, and for an x that is
    kept, so that other samplers fit. inputs: of "seed", "guidance" and "plan" those that must be given at each run, for
    runtimes that do not know inputs with defaults, as JavaScript's; everything else is then constant, as it is given
    here, and there are no traces. "plan" means table, times and init. clip, threshold, guidance: as in `dtool.sample`,
    as defaults; the threshold is part of the graph. micro_batch: how many images are run at a time, the last ones
    padded; by default as many as on the CPU no image's bits depend on, which is tried out, and one of a network that
    mixes the images of a batch.
    """

    freeze: bool = False
    seed: int = 0
    history: int | None = None
    clip: bool | None = None
    threshold: float | None = None
    guidance: float | None = None
    micro_batch: int | None = None
    inputs: Sequence[str] | None = None


def settled(found: Source, plan: Plan | str, steps: int, options: SamplerOptions) -> tuple[Source, Plan, Form]:
    """The network with the defaults of `options`, the plan made for it, and the form.

    Raises UsageError for a plan that cannot be put into a file.
    """
    key(options.seed)
    spec = found.spec
    if options.threshold is not None and options.clip is False:
        raise UsageError("threshold is a way of clipping, and clip is off", "give one of them")
    Limit(*spec.data_range, options.threshold)
    if options.guidance is not None and not spec.classes:
        raise UsageError("guidance needs a conditional network", "leave out guidance")
    if options.guidance not in (None, 1) and not spec.guidable:
        raise UsageError("guidance needs a label that means no class, and this network has none", "leave out guidance")
    if options.guidance is not None and not 0 <= options.guidance < inf:
        raise UsageError(f"guidance={options.guidance} is not a scale", "use 0 or more")
    inputs = _inputs(options, spec)
    clip = options.threshold is not None or (spec.clip if options.clip is None else options.clip)
    guidance = spec.guidance if options.guidance is None else options.guidance
    spec = spec.model_copy(update={"clip": clip, "guidance": guidance})
    _require_alone(found.mixes, spec, options)
    trained = Trained(schedule_of(spec), spec.prediction)
    if isinstance(plan, str):
        plan = make_plan(plan, steps=steps, network=trained)
    else:
        plan = for_network(plan, trained.schedule, spec.prediction)
    warn_of_start(plan)
    pack(plan, clip, options.history)
    if plan.learned and not spec.learned_variance:
        raise UsageError(f"{plan.recipe} takes the variance from the network, and this one predicts none", "use ddpm")
    form = Form(
        history=plan.history - 1 if options.history is None else options.history,
        saved=bool(plan.save.any()) or options.history is not None,
        quantile=options.threshold,
        frozen=options.freeze,
        seed=options.seed,
        micro_batch=options.micro_batch or (1 if found.mixes else rows_for(spec.shape, MICRO_BATCH)),
        mixes=found.mixes,
        inputs=inputs,
    )
    return replace(found, spec=spec), plan, form


def _require_alone(mixes: bool, spec: NetworkSpec, options: SamplerOptions) -> None:
    """Raise UsageError if a network that mixes the images of a batch would have to run several together."""
    if mixes and (options.micro_batch or 1) > 1:
        raise UsageError(
            "the network mixes the images of a batch, and a sampler's file runs each alone", "leave out micro_batch"
        )
    if mixes and (spec.guidance not in (0, 1) or "guidance" in (options.inputs or ())):
        raise UsageError(
            "a sampler's file runs an image with and without its class together, and this network mixes them",
            "leave out guidance (guidance=1), or run the network's own file",
        )


def _inputs(options: SamplerOptions, spec: NetworkSpec) -> tuple[str, ...] | None:
    """The inputs that must be given, in one order; raises UsageError for what is no input, or cannot be one."""
    if options.inputs is None:
        return None
    asked = [options.inputs] if isinstance(options.inputs, str) else list(options.inputs)
    for word in asked:
        if word not in WORDS:
            raise UsageError(f"{word!r} is no input of a sampler that can be chosen", did_you_mean(str(word), WORDS))
    if options.freeze:
        raise UsageError("freeze leaves no inputs but ids and label", "give freeze or inputs")
    if "guidance" in asked and not spec.guidable:
        raise UsageError("guidance needs classes, and a label that means none", "leave guidance out of the inputs")
    if "seed" in asked and options.seed:
        raise UsageError(f"seed={options.seed} is a default, and the input seed has none", "leave out one of them")
    return tuple(word for word in WORDS if word in asked)


@dataclass(frozen=True)
class Trained:
    """What `dtool.plan` wants to know of a network."""

    schedule: Schedule
    prediction: Prediction
