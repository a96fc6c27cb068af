"""From prompts to conditions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from dtool.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TextModule:
    """A text encoder as it is exported.

    module: an nn.Module, called with token numbers `(B, length)` int64, one array for each tokenizer; it returns the
    conditions in the order of the encoder's `names`. tokenizers: each as the JSON of the library tokenizers, which says
    how a row is cut off and filled up. lengths: those of their rows.
    """

    module: Any
    tokenizers: tuple[str, ...]
    lengths: tuple[int, ...]


class TextEncoder(ABC):
    """Makes the conditions called `names` from prompts; of the empty prompt those that guidance compares with.

    about: what `dtool model` says of it, if anything. belongs_in_file: whether a sampler's file has it inside where
    nobody says otherwise, its weights in eight bits.
    constants: those of `names` that are the same for every prompt, such as a picture's size: what the user gives goes
    before them, and guidance compares with it too.
    """

    names: tuple[str, ...]
    constants: tuple[str, ...] = ()
    about: str = ""
    belongs_in_file: ClassVar[bool] = False

    def contrast(self, constants: Mapping[str, Any]) -> Mapping[str, Any]:
        """What guidance compares with, of these `constants` that the user gives: as they are, for most encoders."""
        return constants

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The arrays by name, `(len(texts), *shape)` each."""

    def to_module(self) -> TextModule:
        """What it is exported as; raises UsageError for an encoder that cannot be."""
        raise UsageError(
            f"the text encoder of this model ({type(self).__name__}) is no PyTorch module that can be exported",
            "export the sampler alone, to one .onnx file, and give it what the network is told as arrays",
        )
