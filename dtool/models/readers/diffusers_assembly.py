"""From the parts of a diffusers pipeline to a network of dtool's: its spec, codec, text encoder and origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from dtool.errors import DtoolError, UsageError, format_value
from dtool.models.autoencoder import KINDS as CODECS
from dtool.models.description import Description
from dtool.models.diffusers_codec import DiffusersCodec
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.readers.diffusers_fields import DESCRIPTIONS, Fields, describe_text_unet, is_refiner_alone
from dtool.models.readers.diffusers_index import INDEX
from dtool.models.readers.diffusers_networks import Adapted
from dtool.models.readers.diffusers_parts import Parts
from dtool.models.readers.diffusers_pipelines import USUAL, Usual, make_pictures
from dtool.models.readers.diffusers_scheduler import SchedulerReading, read_scheduler_config
from dtool.models.readers.diffusers_text import Arrays, DiffusersText, TextParts, make_text
from dtool.models.readers.time_ids import COUNT, REFINER_COUNT, make_time_ids
from dtool.models.spec import NetworkSpec
from dtool.run.torch_backend import TorchNetwork
from dtool.util.options import describe_mistake

NAME = "diffusers"


def assemble(parts: Parts, description: NetworkSpec | Description, device: str) -> Network:
    """The network on `device`. What `description` says goes before what the parts say.

    Raises UsageError for what no part says and the user does not say either, DtoolError for parts that do not fit.
    """
    fields = _describe_network(parts)
    if isinstance(description, NetworkSpec):
        network: Network = TorchNetwork(fields.module, description, device)
        network.origin = Origin(reader=NAME, what=_describe(parts))
        return network
    shape = _choose_shape(parts, fields, description)
    reading = _read_scheduler(parts, description, shape)
    usual = USUAL.get(parts.pipeline or "", Usual())
    codec = _make_codec(parts, shape)
    text = _make_text(parts, fields, usual, (codec or NoCodec(shape)).picture_shape)
    spec = _make_spec(parts, fields, description, reading, shape, _choose_guidance(fields, usual, text))
    adapter = None if reading is None else reading.adapter
    module = fields.module if adapter is None else Adapted(fields.module, adapter.wrap)
    network = TorchNetwork(module, spec, device)
    _place(network, codec, parts)
    network.codec, network.text = codec, text
    network.pictures = None if codec is None else make_pictures(parts.pipeline, fields.images, spec, codec)
    network.origin = _make_origin(parts, fields, reading, usual, text, description)
    return network


def _describe_network(parts: Parts) -> Fields:
    """What the network's config says; and its pipeline's, which alone says that a network is a refiner's."""
    is_refiner = _read_flag(parts, "requires_aesthetics_score", False)
    if parts.pipeline is None and parts.kind == "UNet2DConditionModel":
        is_refiner = is_refiner_alone(parts.network)
    if is_refiner:
        return describe_text_unet(parts.network, REFINER_COUNT)
    return DESCRIPTIONS[parts.kind](parts.network)


def _choose_guidance(fields: Fields, usual: Usual, text: DiffusersText | None) -> float:
    """The pipeline's own scale where there is something to compare with: the empty prompt, or no class."""
    return usual.guidance if text is not None or (fields.classes and not fields.conditions) else 1.0


@dataclass(frozen=True)
class NoCodec:
    """The pictures of a network that has no autoencoder: what it samples."""

    picture_shape: tuple[int, ...]


def _choose_shape(parts: Parts, fields: Fields, description: Description) -> tuple[int, ...]:
    shape = description.shape or fields.shape
    if shape is None:
        raise UsageError(
            f"{parts.source}: the network's config does not say how large its images are",
            f"say --shape {fields.channels},HEIGHT,WIDTH (spec={{'shape': …}})",
        )
    if len(shape) != 3 or shape[0] != fields.channels:
        raise UsageError(
            f"the network has {fields.channels} channels; shape is {shape}", "give (channels, height, width)"
        )
    return tuple(shape)


def _read_scheduler(parts: Parts, description: Description, shape: tuple[int, ...]) -> SchedulerReading | None:
    if parts.scheduler is None:
        if description.schedule is None and description.betas is None and description.levels is None:
            above = "the folder above it" if (Path(parts.source).parent / INDEX).exists() else "the whole pipeline"
            raise UsageError(
                f"{parts.source} does not say under which schedule the network was trained",
                f"say --schedule and --prediction (spec={{'schedule': …, 'prediction': …}}), or give {above}",
            )
        return None
    config, name = parts.scheduler
    patch = 2 if parts.kind == "FluxTransformer2DModel" else parts.network.config.get("patch_size") or 1
    tokens = (shape[1] // patch) * (shape[2] // patch)
    return read_scheduler_config(
        config, class_name=name, tokens=tokens, pipeline=parts.pipeline, source=f"{parts.source}: scheduler"
    )


def _make_codec(parts: Parts, shape: tuple[int, ...]) -> DiffusersCodec | None:
    if parts.autoencoder is None:
        return None
    if type(parts.autoencoder).__name__ not in CODECS:
        raise DtoolError(
            f"{parts.source}: the autoencoder is of the class {type(parts.autoencoder).__name__}",
            f"known: {', '.join(CODECS)}",
        )
    return DiffusersCodec(parts.autoencoder, shape)


def _make_text(parts: Parts, fields: Fields, usual: Usual, picture: tuple[int, ...]) -> DiffusersText | None:
    shapes = {condition.name: condition.shape for condition in fields.conditions}
    height, width = picture[1:]
    count = shapes.get("time_ids", (COUNT,))[0] or COUNT
    constants: Arrays = {
        "time_ids": make_time_ids(height, width, count),
        "guidance_scale": np.array(usual.told_scale, dtype=np.float32),
    }
    chosen = {name: value for name, value in constants.items() if name in shapes}
    zero = parts.pipeline is not None and "pooled" in shapes and _zeroes_empty(parts)
    texts = TextParts(
        encoders=parts.encoders, tokenizers=parts.tokenizers, zero_empty=zero, constants=chosen,
        is_refiner=count == REFINER_COUNT,
    )  # fmt: skip
    return make_text(parts.kind, texts, shapes)


def _zeroes_empty(parts: Parts) -> bool:
    """Whether the pipeline compares with zeros where no negative prompt is given."""
    return "XL" in (parts.pipeline or "") and _read_flag(parts, "force_zeros_for_empty_prompt", True)


def _read_flag(parts: Parts, name: str, default: bool) -> bool:
    """A setting of the pipeline's own; raises DtoolError for what is neither true nor false."""
    value = parts.settings.get(name, default)
    if not isinstance(value, bool):
        raise DtoolError(f"{parts.source}: {name} is {format_value(value)}", "write true or false there")
    return value


def _make_spec(
    parts: Parts,
    fields: Fields,
    description: Description,
    reading: SchedulerReading | None,
    shape: tuple[int, ...],
    guidance: float,
) -> NetworkSpec:
    trained: dict[str, Any] = {}
    if reading is not None:
        trained = reading.to_fields()
    elif parts.kind in ("SD3Transformer2DModel", "FluxTransformer2DModel"):
        trained = {"prediction": "flow", "time": "index+1"}
    classes = fields.classes if description.classes is None else description.classes
    if classes not in (fields.classes, fields.classes - (not fields.null_class)):
        raise UsageError(f"the network's class table has {fields.classes} classes, not {classes}", "leave out classes")
    null_class = fields.null_class or classes < fields.classes
    values = {
        **trained, "conditions": fields.fit_conditions(shape), "learned_variance": fields.learned_variance,
        "class_names": _read_class_names(parts, classes), "guidance": guidance,
        **description.to_fields(), "shape": shape, "classes": classes, "null_class": null_class,
    }  # fmt: skip
    if classes and not null_class and not fields.conditions and "guidance" not in description.to_fields():
        values["guidance"] = 1.0
    try:
        return NetworkSpec(**values)
    except ValidationError as error:
        first = error.errors()[0]
        own = first.get("ctx", {}).get("error")
        if isinstance(own, UsageError):
            raise UsageError(f"{parts.source}: {own}", own.hint) from error
        raise UsageError(f"{parts.source}: {describe_mistake(first)}", "see help(dtool.NetworkSpec)") from error


def _read_class_names(parts: Parts, classes: int) -> tuple[str, ...]:
    """The names in a pipeline's id2label, "0" … by class; none if it does not name all."""
    names = parts.settings.get("id2label")
    if not classes or not isinstance(names, dict) or len(names) != classes:
        return ()
    found = [names.get(str(i), names.get(i)) for i in range(classes)]
    return tuple(name for name in found if isinstance(name, str)) if all(isinstance(n, str) for n in found) else ()


def _place(network: Network, codec: DiffusersCodec | None, parts: Parts) -> None:
    if codec is not None:
        codec.move(network.device)
    for encoder in parts.encoders.values():
        encoder.to(network.device).eval()


def _describe(parts: Parts) -> str:
    others = [] if parts.autoencoder is None else [type(parts.autoencoder).__name__]
    others += [type(encoder).__name__ for encoder in parts.encoders.values()]
    whole = parts.pipeline or "a network of diffusers alone"
    return f"{whole}: {', '.join([parts.kind, *others])}"


def _make_origin(
    parts: Parts,
    fields: Fields,
    reading: SchedulerReading | None,
    usual: Usual,
    text: DiffusersText | None,
    said: Description,
) -> Origin:
    assumptions = [*fields.assumptions] if not said.shape or parts.kind != "FluxTransformer2DModel" else []
    differences: tuple[str, ...] = ()
    if reading is not None:
        assumptions += reading.assumptions
        differences = reading.differences + usual.differences
    if "safety_checker" in parts.unopened:
        differences += ("its safety checker does not look at the pictures",)
    if text is not None and _zeroes_empty(parts):
        assumptions.append("guidance compares with zeros, as diffusers does where no negative prompt is given")
    if fields.conditions and text is None:
        assumptions.append("it has no text encoder: its conditions are to be given as arrays")
    return Origin(
        reader=NAME, what=_describe(parts), recipe=None if reading is None else reading.recipe,
        steps=usual.steps if reading is not None else None, differences=differences, assumptions=tuple(assumptions),
    )  # fmt: skip
