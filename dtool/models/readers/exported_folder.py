"""The reader of folders that `dtool export` wrote: a whole pipeline as ONNX files with a manifest, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.description import Description
from dtool.models.manifest import FORMAT, MANIFEST
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.reader import reader
from dtool.models.runtime import Runtime
from dtool.models.spec import NetworkSpec
from dtool.models.text import TextEncoder
from dtool.models.token_ids import encode_row, require_library
from dtool.onnx.external_data import is_plain_name
from dtool.util import bounded_reading

_AGAIN = "export the pipeline again"


@dataclass(frozen=True)
class TokenizerFile:
    """The input that a tokenizer's numbers are for, and the tokenizer, JSON of the library tokenizers."""

    input: str
    document: str


class ExportedText(TextEncoder):
    """Prompts, by tokenizers and the file `text.onnx`, as conditions; each prompt is computed alone."""

    def __init__(self, path: Path, tokenizers: Sequence[TokenizerFile], names: Sequence[str], runtime: Runtime) -> None:
        """Raises DtoolError for files that cannot be used, or do not fit together."""
        self.path, self.files = path, tuple(tokenizers)
        require_library()
        from tokenizers import Tokenizer

        from dtool.models.readers.onnx_parts import OnnxPart  # which needs ONNX Runtime

        self.names, self._part = tuple(names), OnnxPart(path, runtime)
        inputs = [value.name for value in self._part.inputs]
        if sorted(inputs) != sorted(one.input for one in tokenizers) or not {*names} <= {*self._part.outputs}:
            raise DtoolError(f"{path} has the inputs {', '.join(inputs)}, which its manifest does not name", _AGAIN)
        by_input = {one.input: one.document for one in tokenizers}
        try:
            self._tokenizers = [Tokenizer.from_str(by_input[name]) for name in inputs]
        except Exception as error:  # the library raises nothing more exact
            raise DtoolError(f"a tokenizer beside {path} is damaged ({error})", _AGAIN) from error

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The arrays by name, `(len(texts), *shape)` each. Warns of a prompt whose end is cut off."""
        known = {text: self._encode_one(text) for text in dict.fromkeys(texts)}
        return {name: np.stack([known[text][k] for text in texts]) for k, name in enumerate(self.names)}

    def _encode_one(self, text: str) -> list[NDArray[Any]]:
        ids = [np.array([encode_row(tokenizer, text)], dtype=np.int64) for tokenizer in self._tokenizers]
        return [array[0] for array in self._part(ids, self.names)]


def is_exported(source: Any) -> bool:
    """Whether `source` is the path of a folder that `dtool export` wrote."""
    return isinstance(source, Path) and source.is_dir() and (source / MANIFEST).is_file() and _has_format(source)


def _has_format(folder: Path) -> bool:
    try:
        manifest = bounded_reading.read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and str(manifest.get("format", "")).startswith("dtool pipeline")


@reader("dtool-folder", recognises=is_exported, summary="a pipeline that dtool export wrote")
def exported_folder(source: Path, description: NetworkSpec | Description, runtime: Runtime) -> Network:
    """The sampler or network in a folder, with its decoder and its text encoder.

    Raises DtoolError for a folder whose manifest is of another version, or names what is not there.
    """
    from dtool.run.load_codec import load_codec
    from dtool.run.onnx_opening import open_onnx

    manifest = bounded_reading.read_json(source / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise DtoolError(f"{source / MANIFEST} is of the format {manifest.get('format')}", "use a newer dtool")
    try:
        text, parts = manifest["text"], manifest["parts"]
        main = locate_part(source, parts.get("sampler") or parts["network"])
        network = open_onnx(main, description, runtime)
        if "decoder" in parts:
            network.codec = load_codec(locate_part(source, parts["decoder"]), network.shape, runtime=runtime)
        tokenizers = [
            TokenizerFile(one["input"], bounded_reading.read_text(locate_part(source, one["file"]), 1 << 26))
            for one in text["tokenizers"]
        ]
        network.text = ExportedText(locate_part(source, text["file"]), tokenizers, text["outputs"], runtime)
        recipe, steps = manifest.get("recipe"), manifest.get("steps")
        is_named = network.plan is None and isinstance(recipe, str) and isinstance(steps, int)  # a sampler has its own
        network.origin = Origin(
            reader="dtool-folder",
            what="a pipeline that dtool exported",
            recipe=recipe if is_named else None,
            steps=steps if is_named else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DtoolError(f"{source / MANIFEST} does not say what its parts are", _AGAIN) from error
    return network


def find_sampler(folder: Path) -> Path | None:
    """The sampler's file in a folder of `dtool export`; None if there is none, or no such folder."""
    if not is_exported(folder):
        return None
    parts = bounded_reading.read_json(folder / MANIFEST).get("parts")
    return locate_part(folder, parts["sampler"]) if isinstance(parts, dict) and "sampler" in parts else None


def locate_part(folder: Path, name: Any) -> Path:
    """A file of the folder; raises DtoolError for what is no plain name, or not there."""
    if not isinstance(name, str) or not is_plain_name(name):
        raise DtoolError(f"{folder / MANIFEST} names {str(name)[:80]!r}, which is no file of its folder", _AGAIN)
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise DtoolError(f"there is no file {path}", "copy the whole folder again")
    return path
