"""A sentence encoder in an ONNX file, on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.runtime import Runtime
from dtool.models.text_reference import TextReference
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.interface import KINDS
from dtool.onnx.limits import CALL_SECONDS
from dtool.run.backend_modules import import_onnx_backend

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
STATES = ("last_hidden_state", "token_embeddings")  # what the states of its tokens are called
KNOWN = "export it as sentence-transformers or optimum do: input_ids, attention_mask → last_hidden_state"


class SentenceGraph:
    """The file, and what its inputs and outputs are."""

    def __init__(self, path: Path) -> None:
        """Raises DtoolError for a file that cannot or must not be run, or is called in another way."""
        import_onnx_backend()
        from dtool.onnx.session import open_session

        file = read_checked_file(path)
        self.path, self.inputs = path, {value.name: value for value in file.graph.inputs}
        outputs = {value.name: value for value in file.graph.outputs}
        self.states = next((name for name in STATES if name in outputs), "")
        strange = sorted(self.inputs.keys() - {IDS, MASK, TYPES})
        if not {IDS, MASK} <= self.inputs.keys() or strange or not self.states:
            takes, gives = ", ".join(self.inputs), ", ".join(outputs)
            raise DtoolError(f"{path} takes {takes or 'nothing'} and gives {gives}: it is no sentence encoder", KNOWN)
        dims = outputs[self.states].dims or ()
        if len(dims) != 3 or not isinstance(dims[-1], int):
            raise DtoolError(f"{path}: {self.states} does not say how wide it is", KNOWN)
        self.width = dims[-1]
        self._session = open_session(file.data, str(path), Runtime(device="cpu"), weights=file.weights)

    def encode(self, ids: NDArray[np.int64], pad: int, reference: TextReference) -> NDArray[np.float32]:
        """Rows of token numbers `(B, length)` → `(B, *reference.shape)`; raises DtoolError if the width is another."""
        from dtool.onnx.session import run_session

        mask = ids != pad
        told = {IDS: ids, MASK: mask, TYPES: np.zeros_like(ids)}
        feed = {name: np.ascontiguousarray(told[name], KINDS[value.kind]) for name, value in self.inputs.items()}
        states = np.asarray(run_session(self._session, [self.states], feed, CALL_SECONDS)[0], np.float32)
        if states.shape != (*ids.shape, reference.width):
            raise DtoolError(
                f"{self.path} makes states of shape {states.shape[1:]}, not ({ids.shape[1]}, {reference.width})",
                "let config.json say the width that it has",
            )
        return pool_states(states, mask, reference)


def pool_states(states: NDArray[np.float32], mask: NDArray[np.bool_], reference: TextReference) -> NDArray[np.float32]:
    """The states of tokens `(B, length, width)`, of which `mask` is no padding, as `reference` says they are told."""
    shown = mask[:, :, None].astype(np.float32)
    if not reference.pooled:
        tokens: NDArray[np.float32] = states * shown
        return tokens
    first = states[:, 0]
    pooled = first if reference.pooling == "cls" else (states * shown).sum(1) / np.maximum(shown.sum(1), 1)
    vectors: NDArray[np.float32] = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
    return vectors
