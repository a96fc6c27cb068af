"""A text encoder as an ONNX graph, with its tokenizers; what holds it needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class TextGraph:
    """The graph with inputs of these names, one for each tokenizer, which is JSON of the library tokenizers.

    empty: for each input the row of token numbers that the empty prompt is; all rows of an input are of one length.
    """

    proto: onnx.ModelProto
    inputs: tuple[str, ...]
    tokenizers: tuple[str, ...]
    empty: tuple[tuple[int, ...], ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many token numbers a row of each input has."""
        return tuple(len(row) for row in self.empty)
