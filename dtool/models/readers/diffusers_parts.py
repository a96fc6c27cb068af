"""The parts of a diffusers pipeline as objects: made from a folder, or those of a pipeline in memory."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from dtool.errors import DtoolError, UsageError, format_value
from dtool.models import autoencoder, weight_file
from dtool.models.quiet_transformers import silence_transformers
from dtool.models.readers import diffusers_text
from dtool.models.readers.diffusers_fields import DESCRIPTIONS
from dtool.models.readers.diffusers_index import (
    EXTRA,
    NETWORK_PARTS,
    SCHEDULER_CONFIG,
    UNOPENED,
    WHOLE,
    Index,
    Part,
    read_config,
)
from dtool.models.readers.diffusers_text import OpenTokenizer
from dtool.models.readers.diffusers_tokenizer import adopt_tokenizer, open_tokenizer
from dtool.models.readers.diffusers_weights import build_module, read_weights

RENAMED = {"Transformer2DModel": "DiTTransformer2DModel"}  # the name of before diffusers 0.29


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A pipeline taken apart. source: its name in errors. pipeline: its class, or None for a network alone.

    scheduler: the scheduler's config and class. settings: the pipeline's own, force_zeros_for_empty_prompt among them.
    unopened: names of parts that are there and are not used, a safety checker among them.
    """

    source: str
    pipeline: str | None
    network: Any
    scheduler: tuple[Mapping[str, Any], str] | None = None
    autoencoder: Any = None
    encoders: dict[str, Any] = field(default_factory=dict)
    tokenizers: dict[str, OpenTokenizer] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    unopened: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The network's class in diffusers."""
        return get_class_name(self.network)


def get_class_name(value: Any) -> str:
    """The first class of an object that is diffusers' own: a class of the user's may be derived from it."""
    names = (each.__name__ for each in type(value).__mro__ if each.__module__.split(".")[0] == "diffusers")
    return next(names, type(value).__name__)


def load_parts(index: Index) -> Parts:
    """The parts of a folder, with their weights. Every class is looked at before the first weight is read.

    Raises DtoolError for a part of an unknown class, for a missing package, and what `read_weights` raises.
    """
    library = _import(index, "diffusers")
    if index.pipeline is not None and index.pipeline not in dir(library):  # which imports no pipeline
        raise DtoolError(
            f"{index.folder}: diffusers {library.__version__} has no pipeline {index.pipeline}",
            "pip install -U diffusers; or open it with its own code, and give dtool the pipeline",
        )
    name = next(each for each in ("network", *NETWORK_PARTS) if each in index.parts)
    if index.parts[name].kind in autoencoder.KINDS:
        raise UsageError(
            f"{index.folder} holds an autoencoder, and no network",
            f"dtool train DATA --codec {index.folder} trains one; --decoder {index.folder} decodes by it",
        )
    network = _require_kind(index, index.parts[name], (*DESCRIPTIONS, *RENAMED))
    codec = index.parts.get("vae")
    if codec is not None:
        _require_kind(index, codec, autoencoder.KINDS)
    encoders = [part for part in index.parts.values() if part.name.startswith("text_encoder")]
    for part in encoders:
        _require_kind(index, part, diffusers_text.KINDS)
    return Parts(
        source=str(index.folder),
        pipeline=index.pipeline,
        network=_build_diffusers(index, network),
        scheduler=_read_scheduler(index),
        autoencoder=None if codec is None else _build_diffusers(index, codec),
        encoders={part.name: _build_transformers(index, part) for part in encoders},
        tokenizers={
            part.name: partial(open_tokenizer, index.folder, part.folder)
            for part in index.parts.values()
            if part.name.startswith("tokenizer")
        },
        settings=index.settings,
        unopened=index.unopened,
    )


def load_autoencoder(index: Index) -> Any:
    """The autoencoder of a folder that holds one alone, or of a pipeline's, with its weights.

    Raises UsageError for a folder without one, DtoolError for what cannot be read.
    """
    _import(index, "diffusers")
    part = index.parts.get("vae") or index.parts.get("network")
    if part is None or part.kind not in autoencoder.KINDS:
        raise UsageError(
            f"{index.folder} holds no autoencoder that is known here",
            f"give a folder of {' or '.join(autoencoder.KINDS)}, or of a pipeline with one",
        )
    return _build_diffusers(index, part)


def _import(index: Index, name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise DtoolError(f"{name} is needed to open {index.folder}", EXTRA)
    return importlib.import_module(name)


def _require_kind(index: Index, part: Part, known: tuple[str, ...]) -> Part:
    if part.kind not in known:
        raise DtoolError(
            f"{index.folder}: {part.name} is of the class {part.kind}, which dtool does not open",
            f"known: {', '.join(known)}; or make it a module of your own: dtool.network(…)",
        )
    return part


def _read_scheduler(index: Index) -> tuple[Mapping[str, Any], str] | None:
    part = index.parts.get("scheduler")
    if part is None:
        path = index.folder / SCHEDULER_CONFIG  # beside the config of a network alone
        if not path.exists():
            return None
        config = read_config(index.folder, path)
        return config, str(config.get("_class_name"))
    return read_config(index.folder, part.folder / SCHEDULER_CONFIG), part.kind


def _build_diffusers(index: Index, part: Part) -> Any:
    """A network or an autoencoder of diffusers."""
    config = read_config(index.folder, part.folder / "config.json")
    kind = RENAMED.get(part.kind, part.kind)
    named = config.get("_class_name")
    if RENAMED.get(str(named), named) != kind:
        raise DtoolError(
            f"{part.folder}: its config.json is of the class {format_value(named)}, not {part.kind}", WHOLE
        )
    state = read_weights(index.folder, part.folder)
    made = getattr(importlib.import_module("diffusers"), kind)
    known = inspect.signature(made.__init__).parameters
    settings = {key: value for key, value in config.items() if key in known}

    def make() -> Any:
        try:
            return made.from_config(settings)
        except Exception as error:  # whatever a constructor stumbles over
            why = " ".join(str(error).split())[:160]
            raise DtoolError(f"{part.folder}/config.json: diffusers makes no {kind} of it ({why})", WHOLE) from error

    return build_module(make, state, part.folder)


def _build_transformers(index: Index, part: Part) -> Any:
    """A text encoder, by transformers' own loading of the weights, which knows their older names."""
    library = _import(index, "transformers")
    content = read_config(index.folder, part.folder / "config.json")
    state = read_weights(index.folder, part.folder)
    made = getattr(library, part.kind)
    try:
        config = made.config_class.from_dict(content)
        with silence_transformers(library):
            module, report = made.from_pretrained(
                None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True,
                ignore_mismatched_sizes=True,
            )  # fmt: skip
    except Exception as error:
        why = " ".join(str(error).split())[:160]
        raise DtoolError(f"{part.folder}: transformers makes no {part.kind} of it ({why})", WHOLE) from error
    for what, names in (("lack", report["missing_keys"]), ("have the wrong shape for", report["mismatched_keys"])):
        if names:
            first = min(str(name[0] if isinstance(name, tuple) else name) for name in names)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise DtoolError(
                f"{part.folder}: the weights {what} {first}{more}",
                f"config.json and the weights belong to different networks: {WHOLE}",
            )
    weight_file.require_numbers(module.state_dict(), part.folder)
    return module.eval().requires_grad_(False)


def take_parts(source: Any) -> Parts:
    """The parts of a pipeline in memory, of (module, scheduler), or of a module alone.

    Raises DtoolError for a network of a class that dtool does not open.
    """
    if isinstance(source, tuple):
        module, scheduler = source
        taken = Parts(
            source=type(module).__name__, pipeline=None, network=module,
            scheduler=(dict(scheduler.config), get_class_name(scheduler)),
        )  # fmt: skip
    elif hasattr(source, "components"):
        taken = _take_pipeline(source)
    else:
        taken = Parts(source=type(source).__name__, pipeline=None, network=source)
    if taken.kind not in DESCRIPTIONS:
        raise DtoolError(
            f"{taken.source}: dtool does not open networks of the class {taken.kind}",
            f"known: {', '.join(DESCRIPTIONS)}; or make it a module of your own: dtool.network(…)",
        )
    return taken


def _take_pipeline(pipeline: Any) -> Parts:
    parts = {name: part for name, part in pipeline.components.items() if part is not None}
    name = next((each for each in NETWORK_PARTS if each in parts), None)
    if name is None:
        raise UsageError(f"the {type(pipeline).__name__} has neither a unet nor a transformer", "give its network")
    scheduler = parts.get("scheduler")
    return Parts(
        source=type(pipeline).__name__,
        pipeline=get_class_name(pipeline),
        network=parts[name],
        scheduler=None if scheduler is None else (dict(scheduler.config), get_class_name(scheduler)),
        autoencoder=parts.get("vae"),
        encoders={name: part for name, part in parts.items() if name.startswith("text_encoder")},
        tokenizers={
            name: partial(adopt_tokenizer, part) for name, part in parts.items() if name.startswith("tokenizer")
        },
        settings=dict(pipeline.config),
        unopened=tuple(name for name in UNOPENED if name in parts),
    )
