"""The manifest of a folder of blocks: what its images are, so that no others come among them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dtool.errors import DtoolError, UsageError
from dtool.parts.block import Blocks, divide
from dtool.parts.job import Job
from dtool.util import bounded_reading
from dtool.util.files import make_write_error
from dtool.version import __version__

NAME = "manifest.json"
Kind = Literal["npz", "png"]
PACKAGES = {"onnxruntime": "onnxruntime", "torch": "torch", "numpy": "numpy"}
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)

# What two manifests must agree on, the plainest first, and how a person calls it.
COMPARED = {
    "seed": "seed", "images": "-n", "block": "--block-size", "kind": "--format", "recipe": "recipe", "steps": "steps",
    "plan": "plan", "shape": "pictures of", "range": "the range",
}  # fmt: skip


class Manifest(BaseModel):
    """What a folder of blocks holds.

    images: how many ids there are; block: how many in a block; kind: of its files. shape, range: of one picture and of
    its numbers. recipe, steps: of the plan; plan, model: hashes; plans: the tables themselves. settings: what the
    images depend on besides. versions: of the packages that the first run had, which may change the last bits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    images: int = Field(ge=1)
    block: int = Field(ge=1)
    kind: Kind
    seed: int = Field(ge=0)
    shape: tuple[int, ...]
    range: tuple[float, float]
    recipe: str
    steps: int
    plan: str
    model: str
    settings: dict[str, Any]
    plans: tuple[dict[str, Any], ...]
    versions: dict[str, str]

    @classmethod
    def of(cls, job: Job, kind: Kind) -> Manifest:
        """That of a job whose blocks are files of this kind."""
        network, blocks, table = job.networks[-1], job.blocks, job.tables[0]
        return cls(
            images=job.count, block=blocks.size, kind=kind, seed=job.seed, shape=network.picture_shape,
            range=network.picture_range, recipe=table.recipe, steps=table.steps, plan=job.plan_hash,
            model=job.model_hash, settings=job.settings,
            plans=tuple(json.loads(each.to_json()) for each in job.tables), versions=list_versions(job),
        )  # fmt: skip

    @property
    def blocks(self) -> Blocks:
        """The blocks that the folder holds when it is complete."""
        return divide(self.images, self.block)

    def to_json(self) -> str:
        """As it is written: one entry a line."""
        entries = self.model_dump(mode="json").items()
        lines = (f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in entries)
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def list_differences(self, other: Manifest) -> Iterator[str]:
        """In what another manifest is of other images, the plainest first: "seed 0, and this run has seed 1"."""
        pairs = [(what, getattr(self, name), getattr(other, name)) for name, what in COMPARED.items()]
        pairs += [(name, self.settings.get(name), other.settings.get(name)) for name in sorted(other.settings)]
        for what, own, new in (*pairs, ("model", self.model, other.model)):
            if own != new and what == "network":
                yield "another network"
            elif own != new:
                yield f"{what} {_shorten(own)}, and this run has {what} {_shorten(new)}"


def list_versions(job: Job) -> dict[str, str]:
    """The versions of what computes: dtool, Python, NumPy, and the backends of the job's networks."""
    used = {"numpy", *(network.backend for network in job.networks)}
    found = {"dtool": __version__, "python": platform.python_version()}
    for package, module in sorted(PACKAGES.items()):
        if module in used:
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[package] = metadata.version(package)
    return found


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder, None if there is none; raises UsageError for what is none of dtool's."""
    path = folder / NAME
    try:
        return Manifest.model_validate(bounded_reading.read_json(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        cause = f"{path} is no manifest of images that dtool reads ({error.error_count()} things are wrong)"
        raise UsageError(cause, "name another folder") from error
    except OSError as error:
        raise DtoolError(f"{path}: {error.strerror or error}", "name a folder that you may read") from error
    except ValueError as error:
        raise UsageError(f"{path} is no manifest of images ({error})", "name another folder") from error


def claim_folder(folder: Path, manifest: Manifest) -> Manifest:
    """Make `folder` one of these images, or find that it is; returns the manifest that is in it.

    Of several that make it at the same time one writes the manifest, and the others compare theirs. Raises UsageError
    for a folder of other images, and for one that is neither empty nor dtool's; WriteError if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise make_write_error(folder, error) from error
    found = read_manifest(folder)
    if found is None:
        if strangers and not (folder / NAME).exists():
            raise UsageError(
                f"{folder} holds other things ({min(strangers)}), and no images of dtool's",
                "name a new folder, or an empty one, with --into",
            )
        _write_first(folder / NAME, manifest.to_json())
        found = read_manifest(folder)
        if found is None:
            raise DtoolError(f"{folder / NAME} is gone", "let nobody remove files there while it is drawn into")
    differences = list(found.list_differences(manifest))
    if differences:
        raise UsageError(f"{folder} was drawn with {differences[0]}", "name another folder, with --into")
    return found


def _write_first(path: Path, text: str) -> None:
    """Write a file whole unless there is one: of several that try, one does."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise make_write_error(path, error) from error
    temporary = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - it is open already
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            temporary.replace(path)  # a file system without links: the last one stays, and all compare theirs with it
    except OSError as error:
        raise make_write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"
