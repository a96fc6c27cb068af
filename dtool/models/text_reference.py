"""What a checkpoint says of the sentence encoder that its network was trained with, which is not in the file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Pooling = Literal["mean", "cls"]


class TextReference(BaseModel):
    """A frozen sentence encoder, and how its prompts become the condition `name`.

    place: its folder, relative to the checkpoint's, or, with `is_package`, the name of an installed package. sha256: of
    its weights and its tokenizer. length: the tokens of a row. pooled: whether the condition is one vector `(width,)`,
    the states pooled by `pooling` and of length 1, or the states of all tokens `(length, width)`, zeros for padding.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "text"
    place: str = Field(min_length=1, max_length=4096)
    is_package: bool = False
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    width: int = Field(gt=0, le=1 << 16)
    length: int = Field(ge=3, le=512)
    pooled: bool = True
    pooling: Pooling = "mean"

    @property
    def shape(self) -> tuple[int, ...]:
        """The condition of one image."""
        return (self.width,) if self.pooled else (self.length, self.width)
