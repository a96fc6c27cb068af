"""Prompts as conditions by a frozen sentence encoder: what reads the words of `dtool train --captions`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.runtime import Runtime
from dtool.models.text import TextEncoder, TextModule
from dtool.models.text_reference import TextReference
from dtool.models.token_ids import encode_row
from dtool.run.sentence_folder import WHOLE, SentenceFolder, locate_encoder

Vectors = NDArray[np.float32]
TOGETHER = 32  # prompts that are encoded at a time, in training
SHORTEST, LONGEST = 32, 256  # tokens of a row
HINT = "say where it is: --text-encoder PATH (text_encoder=)"


class SentenceText(TextEncoder):
    """Makes the condition that `reference` describes, of each prompt alone, on the CPU; opened at its first prompt."""

    belongs_in_file = True

    def __init__(self, folder: SentenceFolder, reference: TextReference) -> None:
        self.folder, self.reference = folder, reference
        self.names = (reference.name,)
        kind = "one vector of it" if reference.pooled else f"its {reference.length} tokens"
        self.about = f"the sentence encoder in {folder.package or folder.path} reads it, and makes {kind}"

    @cached_property
    def tokenizer(self) -> Any:
        """A `tokenizers.Tokenizer` of rows of the reference's length."""
        return self.folder.make_tokenizer(self.reference.length)

    @property
    def pad(self) -> int:
        """The number that fills up a row."""
        number: int = self.tokenizer.padding["pad_id"]
        return number

    @cached_property
    def _run(self) -> Callable[[NDArray[np.int64]], Vectors]:
        return self._open_graph() if self.folder.is_graph else self._open_module()

    def _open_graph(self) -> Callable[[NDArray[np.int64]], Vectors]:
        from dtool.run.sentence_graph import SentenceGraph

        graph = SentenceGraph(self.folder.weights)
        return lambda ids: graph.encode(ids, self.pad, self.reference)

    def _open_module(self) -> Callable[[NDArray[np.int64]], Vectors]:
        import_torch()
        import torch

        module = self.to_module().module

        def run(ids: NDArray[np.int64]) -> Vectors:
            with torch.no_grad():
                vectors: Vectors = module(torch.from_numpy(ids))[0].numpy()
            return vectors

        return run

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The arrays by name, `(len(texts), *shape)` each. Warns of a prompt whose end is cut off."""
        return {self.reference.name: self.encode_together(texts, 1)}

    def encode_together(self, texts: Sequence[str], together: int = TOGETHER) -> Vectors:
        """The condition of each text `(len(texts), *shape)`, so many at a time; a text that occurs twice once."""
        distinct = {text: k for k, text in enumerate(dict.fromkeys(texts))}
        ids = np.array([encode_row(self.tokenizer, text) for text in distinct], dtype=np.int64)
        parts = [self._run(ids[k : k + together]) for k in range(0, len(ids), together)]
        vectors = np.concatenate(parts)
        if vectors.shape[1:] != self.reference.shape or not np.isfinite(vectors).all():
            what = "numbers" if np.isfinite(vectors).all() else "NaN or infinity"
            raise DtoolError(
                f"{self.folder.weights} makes {what} of shape {vectors.shape[1:]}, not {self.reference.shape}",
                "let config.json say the width that it has, and give whole files",
            )
        return np.ascontiguousarray(vectors[[distinct[text] for text in texts]], np.float32)

    def to_module(self) -> TextModule:
        """What it is exported as; raises UsageError for an ONNX file, which is exported as a graph."""
        if self.folder.is_graph:
            return super().to_module()
        from dtool.run.sentence_module import SentenceModule, load_encoder

        module = SentenceModule(load_encoder(self.folder), self.reference, self.pad).eval()
        return TextModule(module=module, tokenizers=(self.tokenizer.to_str(),), lengths=(self.reference.length,))


class MissingText(TextEncoder):
    """In the place of an encoder that is not where the checkpoint says: it refuses prompts, and says what to do."""

    belongs_in_file = True

    def __init__(self, reference: TextReference, why: DtoolError) -> None:
        self.names, self._why = (reference.name,), why
        self.about = f"its sentence encoder is missing: --text-encoder PATH ({why})"

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:  # noqa: ARG002 - an encoder's form
        """Raises DtoolError."""
        raise DtoolError(f"the sentence encoder that reads prompts is missing: {self._why}", HINT)

    def to_module(self) -> TextModule:
        """Raises DtoolError."""
        raise DtoolError(f"the sentence encoder that reads prompts is missing: {self._why}", HINT)


def import_torch() -> None:
    """Raise DtoolError if PyTorch is not installed."""
    from dtool.run.backend_modules import import_torch_backend

    import_torch_backend()


def open_for_training(place: str, captions: Sequence[str], *, pooled: bool, beside: Path) -> SentenceText:
    """The encoder at `place` for a network that is trained on these captions; beside: the folder of its checkpoint.

    Rows have as many tokens as the longest caption, 32 at least and 256 at most. Raises DtoolError for what is no such
    encoder, and for one whose width is not what its config says.
    """
    folder = locate_encoder(place)
    tokenizer = folder.make_tokenizer(LONGEST)
    most = max((sum(row.attention_mask) for row in tokenizer.encode_batch(list(captions))), default=0)
    relative = place if folder.package else Path(os.path.relpath(folder.path, beside)).as_posix()
    known: dict[str, Any] = {
        "place": relative, "is_package": folder.package is not None, "sha256": folder.sha256, "pooled": pooled,
        "length": max(most, SHORTEST), "pooling": folder.pooling if pooled else "mean",
    }  # fmt: skip
    width = _read_width(folder)
    if width is None:
        from dtool.run.sentence_graph import SentenceGraph

        width = SentenceGraph(folder.weights).width
    return SentenceText(folder, TextReference(**known, width=width))


def _read_width(folder: SentenceFolder) -> int | None:
    """The width of its states, as config.json says; None if it does not."""
    width = next((folder.config[name] for name in ("hidden_size", "dim", "d_model") if name in folder.config), None)
    if width is None and not folder.is_graph:
        raise DtoolError(f"{folder.path}: its config.json does not say how wide it is (hidden_size)", WHOLE)
    if width is not None and (not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= 1 << 16):
        raise DtoolError(f"{folder.path}: its config.json says hidden_size {width!r}", WHOLE)
    return width


def open_for_checkpoint(reference: TextReference, source: Path, runtime: Runtime) -> TextEncoder:
    """The encoder of a checkpoint: where the user says that it is, else where the checkpoint does.

    One that is not there is only missed at the first prompt. Raises UsageError if it is another one than was trained
    with.
    """
    place: str | Path = reference.place if reference.is_package else source.parent / reference.place
    try:
        folder = locate_encoder(runtime.text_encoder or place)
        same = folder.sha256 == reference.sha256
    except DtoolError as error:
        if runtime.text_encoder is not None:
            raise
        return MissingText(reference, error)
    if not same:
        raise UsageError(
            f"{folder.path} is another sentence encoder than {source} was trained with",
            f"give that one; its sha256 begins with {reference.sha256[:12]}: --text-encoder PATH (text_encoder=)",
        )
    return SentenceText(folder, reference)
