"""The folder of a sentence encoder: which of its files are read, and what they say; nothing of it is run."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, UsageError
from dtool.models.text_reference import Pooling
from dtool.models.token_ids import make_row_tokenizer, require_library
from dtool.util import bounded_reading

TOKENIZER, CONFIG, POOLING = "tokenizer.json", "config.json", "1_Pooling/config.json"
GRAPHS = ("model.onnx", "onnx/model.onnx")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
PADDING = ("[PAD]", "<pad>", "<|endoftext|>")  # words that fill up a row where nothing says which
MAX_TOKENIZER = 1 << 26
WHOLE = "give the whole folder: tokenizer.json with model.onnx, or with config.json and model.safetensors"


@dataclass(frozen=True)
class SentenceFolder:
    """A sentence encoder's files. weights: an ONNX file, or weights of transformers with config.json beside them.

    package: the name of the installed package that it is part of, if it was named so.
    """

    path: Path
    weights: Path
    package: str | None = None

    @property
    def is_graph(self) -> bool:
        """Whether it is an ONNX file."""
        return self.weights.suffix == ".onnx"

    @cached_property
    def sha256(self) -> str:
        """Of its weights and its tokenizer."""
        digest = hashlib.sha256()
        for path in (self.weights, self.path / TOKENIZER):
            with bounded_reading.open_model(path) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    @cached_property
    def config(self) -> dict[str, Any]:
        """What config.json says; {} without one."""
        return _read_json(self.path / CONFIG) if (self.path / CONFIG).is_file() else {}

    @property
    def pooling(self) -> Pooling:
        """How its states become one vector; raises UsageError for a way that dtool does not have."""
        said = _read_json(self.path / POOLING) if (self.path / POOLING).is_file() else {}
        ways = sorted(name for name, is_on in said.items() if name.startswith("pooling_mode") and is_on)
        if ways in ([], ["pooling_mode_mean_tokens"]):
            return "mean"
        if ways == ["pooling_mode_cls_token"]:
            return "cls"
        raise UsageError(
            f"{self.path / POOLING} asks for {', '.join(ways)}",
            "use an encoder of mean or cls, or --text-condition tokens",
        )

    def make_tokenizer(self, length: int) -> Any:
        """Its tokenizer, of rows of `length` numbers, with what fills them up; raises DtoolError for a damaged one."""
        require_library()
        path = self.path / TOKENIZER
        try:
            document = bounded_reading.read_text(path, MAX_TOKENIZER)
        except (OSError, ValueError) as error:
            why = bounded_reading.explain_read_error(error)
            raise DtoolError(f"{path} cannot be read ({why})", WHOLE) from error
        return make_row_tokenizer(document, length, PADDING, str(path))


def locate_encoder(place: str | Path) -> SentenceFolder:
    """The encoder in a folder, or in an installed package of that name, which is not imported.

    Raises DtoolError for what is not there, and for a folder that is no sentence encoder.
    """
    path = Path(place)
    if path.is_dir():
        return _read_folder(path)
    if path.exists():
        raise UsageError(f"{place} is a file, and a sentence encoder is a folder", WHOLE)
    found = _find_package(str(place))
    if found is None:
        raise DtoolError(f"there is no folder {place}, and no installed package of that name", WHOLE)
    return found


def _find_package(name: str) -> SentenceFolder | None:
    module, spec = name.replace("-", "_"), None
    with contextlib.suppress(ValueError, ImportError):  # of names that are no package's
        spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    inner = sorted(path for path in root.iterdir() if path.is_dir() and (path / TOKENIZER).is_file())
    folder = next((each for each in (root, *inner) if (each / TOKENIZER).is_file()), None)
    if folder is None:
        raise DtoolError(f"the package {name} holds no {TOKENIZER}", "name another, or give the encoder's folder")
    return _read_folder(folder, name)


def _read_folder(path: Path, package: str | None = None) -> SentenceFolder:
    if not (path / TOKENIZER).is_file():
        raise DtoolError(f"{path} holds no {TOKENIZER}, which reads the prompts", WHOLE)
    weights = [path / name for name in GRAPHS] + [path / name for name in WEIGHTS if (path / CONFIG).is_file()]
    found = next((each for each in weights if each.is_file()), None)
    if found is None:
        raise DtoolError(f"{path} holds no encoder beside its {TOKENIZER}", WHOLE)
    return SentenceFolder(path, found, package)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = bounded_reading.read_json(path)
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        raise DtoolError(f"{path} is no JSON ({bounded_reading.explain_read_error(error)})", WHOLE) from error
    if not isinstance(content, dict):
        raise DtoolError(f"{path} is no JSON object", WHOLE)
    return content
