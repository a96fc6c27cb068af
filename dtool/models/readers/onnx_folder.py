"""The reader of folders of ONNX files as optimum writes them: network, autoencoder, text encoder; without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dtool.errors import DtoolError, UsageError
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.readers.diffusers_index import (
    INDEX,
    NETWORK_PARTS,
    SCHEDULER_CONFIG,
    WHOLE,
    read_config,
    require_inside,
)  # fmt: skip
from dtool.models.readers.diffusers_scheduler import SchedulerReading, read_scheduler_config
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec

NAME, MODEL, CONFIG = "onnx-folder", "model.onnx", "config.json"
# How pipelines sample unless they are told otherwise: steps and guidance, by the end of their class's name.
USUAL = {
    "StableDiffusionXLPipeline": (50, 5.0),
    "StableDiffusionPipeline": (50, 7.5),
    "DDPMPipeline": (1000, 1.0),
    "DDIMPipeline": (50, 1.0),
}


@dataclass(frozen=True)
class Folder:
    """A folder of ONNX files: the network's file, those of its other parts by name, and what model_index.json says."""

    path: Path
    network: Path
    parts: dict[str, Path]
    index: dict[str, Any]

    @property
    def pipeline(self) -> str:
        """The class of the pipeline; empty if the folder does not say."""
        name = self.index.get("_class_name")
        return name if isinstance(name, str) else ""

    def read_config(self, *names: str) -> dict[str, Any]:
        """The JSON file of the first part of these names that has one; {} if none has."""
        for name in names:
            path = self.path / name / (SCHEDULER_CONFIG if name == "scheduler" else CONFIG)
            if path.is_file():
                return read_config(self.path, path)
        return {}


def is_onnx_folder(source: Any) -> bool:
    """Whether it is a folder with the ONNX file of a network in unet or transformer."""
    return isinstance(source, Path) and source.is_dir() and _find_network(source) is not None


def _find_network(folder: Path) -> Path | None:
    return next((folder / name / MODEL for name in NETWORK_PARTS if (folder / name / MODEL).is_file()), None)


@reader(
    NAME, recognises=is_onnx_folder, summary="a folder of ONNX files as optimum writes it: unet/model.onnx and so on"
)
def onnx_folder(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """Networks with their autoencoder and text encoder on ONNX Runtime. What the user says goes before what the folder
    says. Nothing is downloaded, and no code that comes with a folder is run.

    Raises UsageError for what nobody says, DtoolError for a folder of which a part is missing, broken or unsafe.
    """
    if runtime.backend not in (None, "onnxruntime"):
        raise UsageError(f"{source} runs on onnxruntime, not on {runtime.backend}", "leave out --backend (backend=)")
    folder = read_folder(source)
    reading = _read_scheduler(folder, description)
    from dtool.models.readers.onnx_parts import open_codec, open_text
    from dtool.run.backend_modules import import_onnx_backend

    known = _describe(folder, reading, description)
    network: Network = import_onnx_backend().open_onnx(folder.network, known, runtime)
    if network.plan is not None:
        raise DtoolError(f"{folder.network} is a sampler, not a network", "give that file itself")
    network.codec = open_codec(folder, network.spec.shape, runtime)
    picture = network.spec.shape if network.codec is None else network.codec.picture_shape
    network.text = open_text(folder, network.spec.conditions, picture, runtime)
    network.spec = _add_guidance(folder, network, description)
    network.origin = _make_origin(folder, reading, network)
    return network


def read_folder(path: Path) -> Folder:
    """Which parts are there; raises DtoolError for one that is named and missing, and for a link out of the folder."""
    index = read_config(path, path / INDEX) if (path / INDEX).is_file() else {}
    network = _find_network(path)
    if network is None:
        raise DtoolError(f"{path} has no unet/{MODEL}", WHOLE)
    names = ("vae_decoder", "vae_encoder", "text_encoder", "text_encoder_2")
    parts = {name: path / name / MODEL for name in names if (path / name).is_dir()}
    for name in names:
        value = index.get(name)
        if name not in parts and isinstance(value, list) and any(each is not None for each in value):
            raise DtoolError(f"{path / INDEX} names {name}, and there is no folder {path / name}", WHOLE)
    for name, file in parts.items():
        if not file.is_file():
            raise DtoolError(f"{path / name} holds no {MODEL}", WHOLE)
    for file in (network, *parts.values()):
        require_inside(path, file)
    return Folder(path, network, parts, index)


def _read_scheduler(folder: Folder, description: NetworkSpec | Description) -> SchedulerReading | None:
    """What the scheduler's config says; None if there is none, and the user says it."""
    config = folder.read_config("scheduler")
    if not config or isinstance(description, NetworkSpec):
        return None
    value = folder.index.get("scheduler")
    kind = value[1] if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str) else None
    source = str(folder.path / "scheduler" / SCHEDULER_CONFIG)
    reading = read_scheduler_config(config, class_name=kind, pipeline=folder.pipeline or None, source=source)
    if reading.adapter is not None:
        raise DtoolError(f"{source}: what the network says is no prediction that dtool knows", "export x0 itself")
    return reading


def _describe(
    folder: Folder, reading: SchedulerReading | None, description: NetworkSpec | Description
) -> NetworkSpec | Description:
    """What is said of the network: by the user, else by the folder."""
    if isinstance(description, NetworkSpec):
        return description
    if description.shape is None and (shape := _read_shape(folder)) is not None:
        description = replace(description, shape=shape)
    if reading is None:
        return description
    words: Any = {name: getattr(reading, name) for name in ("schedule", "prediction", "time", "clip")}
    if not reading.learned_variance:
        words["learned_variance"] = False
    said = description.to_fields()
    if said.keys() & {"betas", "levels"}:
        del words["schedule"]
    return replace(description, **{name: value for name, value in words.items() if name not in said})


def _read_shape(folder: Folder) -> tuple[int, ...] | None:
    """One sample's shape, as the network's config says; None if it does not."""
    config = folder.read_config(folder.network.parent.name)
    channels, size = config.get("in_channels"), config.get("sample_size")
    sizes = tuple(size) if isinstance(size, list) else (size, size)
    numbers = (channels, *sizes)
    if len(numbers) == 3 and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers):
        return numbers
    return None


def _find_usual(folder: Folder) -> tuple[int | None, float]:
    return next((usual for name, usual in USUAL.items() if folder.pipeline.endswith(name)), (None, 1.0))


def _add_guidance(folder: Folder, network: Network, description: NetworkSpec | Description) -> NetworkSpec:
    """The spec with the guidance that the pipeline uses, if there is a text encoder to compare with no text."""
    if isinstance(description, NetworkSpec) or description.guidance is not None or network.text is None:
        return network.spec
    return network.spec.model_copy(update={"guidance": _find_usual(folder)[1]})


def _make_origin(folder: Folder, reading: SchedulerReading | None, network: Network) -> Origin:
    parts = ", ".join([folder.network.parent.name, *folder.parts])
    assumptions = [] if reading is None else [*reading.assumptions]
    if network.spec.conditions and network.text is None:
        assumptions.append("it has no text encoder: its conditions are to be given as arrays")
    if getattr(network.codec, "is_scale_assumed", False):
        assumptions.append("no config says how its latents are scaled: by 0.18215, as in Stable Diffusion 1")
    if getattr(network.text, "zero_empty", False):
        assumptions.append("guidance compares with zeros, as diffusers does where no negative prompt is given")
    return Origin(
        reader=NAME, what=f"a folder of ONNX files ({folder.pipeline or 'no pipeline is named'}): {parts}",
        recipe=None if reading is None else reading.recipe, steps=None if reading is None else _find_usual(folder)[0],
        differences=() if reading is None else reading.differences, assumptions=tuple(assumptions),
    )  # fmt: skip


def is_finite_number(value: Any) -> bool:
    """Whether a value of a config is one finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
