"""A diffusers folder as its JSON says it is: which parts, of which classes, in which folders; nothing is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, format_value
from dtool.util import bounded_reading

INDEX, CONFIG, SCHEDULER_CONFIG = "model_index.json", "config.json", "scheduler_config.json"
NETWORK_PARTS = ("unet", "transformer")
MAX_PARTS = 64
# Libraries of parts that are opened; a pipeline's own module, such as stable_diffusion, is that of parts that are not.
LIBRARIES = ("diffusers", "transformers")
UNOPENED = (
    "safety_checker", "feature_extractor", "image_encoder", "watermark", "watermarker", "depth_estimator",
    "low_res_scheduler",
)  # fmt: skip
EXTRA = "pip install 'dtool-diffusion[diffusers]'"
WHOLE = "copy or download the whole folder again"


@dataclass(frozen=True)
class Part:
    """A part of a pipeline: `name` in the index, its `library` and class, called `kind`, and its `folder`."""

    name: str
    library: str
    kind: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Index:
    """A folder's parts by name, the class of its `pipeline` (None: a single network), and the pipeline's settings.

    unopened: parts that are there, and that pictures are made without.
    """

    folder: Path
    pipeline: str | None
    parts: dict[str, Part]
    settings: dict[str, Any]
    unopened: tuple[str, ...] = ()


def read_index(folder: Path) -> Index:
    """The parts of a pipeline's folder, or of that of a single network.

    Raises DtoolError for a folder that is neither, for parts that are missing, for code that comes with the folder, and
    for links that lead out of it.
    """
    if (folder / INDEX).exists():
        return _read_pipeline(folder)
    config = read_config(folder, folder / CONFIG)
    kind = _require_class(config.get("_class_name"), folder / CONFIG)
    return Index(
        folder=folder, pipeline=None, parts={"network": Part("network", "diffusers", kind, folder)}, settings={}
    )


def _read_pipeline(folder: Path) -> Index:
    content = read_config(folder, folder / INDEX)
    pipeline = _require_class(content.get("_class_name"), folder / INDEX)
    parts, settings = {}, {}
    for name, value in content.items():
        if isinstance(value, list) and len(value) == 2 and not name.startswith("_"):
            part = _read_part(folder, name, value)
            if part is not None:
                parts[name] = part
        elif not name.startswith("_"):
            settings[name] = value
    if len(parts) > MAX_PARTS:
        raise DtoolError(f"{folder / INDEX}: it has {len(parts)} parts", f"at most {MAX_PARTS} are opened")
    if not any(name in parts for name in NETWORK_PARTS):
        raise DtoolError(
            f"{folder / INDEX}: it names neither a unet nor a transformer",
            "give the folder of one network, with its config.json",
        )
    unopened = tuple(name for name in UNOPENED if content.get(name) not in (None, [None, None]))
    return Index(folder=folder, pipeline=pipeline, parts=parts, settings=settings, unopened=unopened)


def _read_part(folder: Path, name: str, value: list[Any]) -> Part | None:
    """A part that is there; None for one that is left out, or that pictures are made without."""
    library, kind = value
    if library is None or kind is None:
        return None
    source = folder / INDEX
    if not (isinstance(library, str) and isinstance(kind, str) and kind.isidentifier() and name.isidentifier()):
        raise DtoolError(f"{source}: {name} is {format_value(value)}, not a library and a class", WHOLE)
    if (folder / name / f"{library}.py").exists() or (folder / f"{library}.py").exists():
        raise _make_code_error(source, name, f"{library}.py")
    if name in UNOPENED:
        return None
    if library not in LIBRARIES:
        raise _make_code_error(source, name, f"the library {library!r}")
    place = folder / name
    if not place.is_dir():
        raise DtoolError(f"{source} names {name}, and there is no folder {place}", WHOLE)
    require_inside(folder, place)
    return Part(name, library, kind, place)


def _require_class(name: Any, source: Path) -> str:
    if isinstance(name, list):
        raise _make_code_error(source, "the pipeline", ".".join(str(each) for each in name)[:60])
    if not isinstance(name, str) or not name.isidentifier():
        raise DtoolError(
            f"{source}: _class_name is {format_value(name)}", f"name a class of diffusers there; or {WHOLE}"
        )
    return name


def _make_code_error(source: Path, part: str, what: str) -> DtoolError:
    return DtoolError(
        f"{source}: refused, because {part} is made by code that comes with the folder ({what})",
        "open it with its own code, and give dtool the pipeline: dtool.load(pipeline)",
    )


def require_inside(folder: Path, path: Path) -> None:
    """Raise DtoolError for a path that leads out of `folder` by a link.

    The cache of the Hugging Face hub links every file to ../../blobs, beside its snapshots: those are inside.
    """
    root = folder.resolve()
    homes = [root]
    if root.parent.name == "snapshots":
        homes.append(root.parent.parent / "blobs")
    target = path.resolve()
    if not any(target.is_relative_to(home) for home in homes):
        raise DtoolError(f"{path} is a link that leads out of {folder}", "put the file itself there")


def read_config(folder: Path, path: Path) -> dict[str, Any]:
    """What a JSON file in `folder` says; raises DtoolError if it is missing, leads elsewhere, or holds no object."""
    require_inside(folder, path)
    try:
        content = bounded_reading.read_json(path)
    except FileNotFoundError as error:
        raise DtoolError(f"there is no file {path}", WHOLE) from error
    except (OSError, ValueError) as error:
        raise DtoolError(f"{path}: the file is damaged ({bounded_reading.explain_read_error(error)})", WHOLE) from error
    if not isinstance(content, dict):
        raise DtoolError(f"{path}: it holds {format_value(content)}, not an object", WHOLE)
    return content
