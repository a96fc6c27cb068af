"""The reader of diffusers folders and of what diffusers holds in memory: pipelines, (module, scheduler), modules."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, UsageError
from dtool.models.codec import Codec
from dtool.models.description import Description
from dtool.models.network import Network
from dtool.models.reader import reader
from dtool.models.readers.diffusers_index import CONFIG, EXTRA, INDEX, read_config, read_index
from dtool.models.requirements import refuse_onnx_options
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec

SUMMARY = "a folder of diffusers, or its pipeline, (module, scheduler), or module in memory"


def is_diffusers_object(source: Any) -> bool:
    """Whether an object is of one of diffusers' classes, or of one derived from it; diffusers is not imported."""
    module = source[0] if isinstance(source, tuple) and len(source) == 2 else source
    if module is not source and not hasattr(source[1], "config"):  # a spec, say
        return False
    return any(each.__module__.split(".")[0] == "diffusers" for each in type(module).__mro__)


def is_diffusers(source: Any) -> bool:
    """Whether it is a folder with model_index.json, or with a config.json that names a class of diffusers; or such an
    object.
    """
    if not isinstance(source, Path):
        return is_diffusers_object(source)
    if not source.is_dir():
        return False
    if (source / INDEX).exists():
        return True
    if not (source / CONFIG).exists():
        return False
    try:
        return "_class_name" in read_config(source, source / CONFIG)
    except DtoolError:
        return False


def open_autoencoder(
    path: Path, latent_shape: tuple[int, ...], scale: float | None, shift: float | None, runtime: Runtime
) -> Codec:
    """The codec of a folder with an autoencoder of diffusers, alone or among the parts of a pipeline.

    scale, shift: in the place of those that its config says. Raises what `dtool.run.load_codec` does.
    """
    index = read_index(path)
    require_packages(f"open {path}")
    from dtool.models.diffusers_codec import DiffusersCodec
    from dtool.models.readers.diffusers_parts import load_autoencoder
    from dtool.run.torch_backend import choose_device

    codec = DiffusersCodec(load_autoencoder(index), latent_shape)
    codec.replace_factors(scale, shift)
    codec.move(choose_device(runtime.device))
    return codec


@reader("diffusers", recognises=is_diffusers, summary=SUMMARY, open_codec=open_autoencoder)
def diffusers_folder(source: Any, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """Pipelines and networks of diffusers, with codec, text encoder and origin. What is said of it goes before what it
    says. Nothing is downloaded, and no code that comes with a folder is run.

    Raises UsageError for what nobody says, DtoolError for a folder that is broken, unsafe, or of unknown classes.
    """
    if runtime.backend not in (None, "torch"):
        raise UsageError(f"a network of diffusers runs on torch, not on {runtime.backend}", "leave out --backend")
    refuse_onnx_options("a network of diffusers", "torch", runtime)
    if isinstance(source, Path):
        index = read_index(source)  # before PyTorch is imported: what it refuses is not waited for
        require_packages(f"open {source}")
    from dtool.models.readers.diffusers_assembly import assemble
    from dtool.models.readers.diffusers_parts import load_parts, take_parts

    parts = load_parts(index) if isinstance(source, Path) else take_parts(source)
    return assemble(parts, description, runtime.device)


def require_packages(purpose: str) -> None:
    """Raise DtoolError unless PyTorch and diffusers are installed."""
    for name in ("torch", "safetensors", "diffusers"):
        if importlib.util.find_spec(name) is None:
            raise DtoolError(f"{name} is needed to {purpose}", EXTRA)
