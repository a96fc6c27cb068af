"""Prompts as token numbers, for a sampler's file that has the text encoder inside."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, format_value
from dtool.models.text import TextEncoder
from dtool.util import bounded_reading

MAX_BYTES = 1 << 26


class PromptWarning(UserWarning):
    """A prompt is longer than the text encoder reads: its end is cut off."""


class TokenIds(TextEncoder):
    """The conditions called `names`, a row of token numbers each, by tokenizers of the library tokenizers."""

    def __init__(self, tokenizers: Mapping[str, Any]) -> None:
        self.names, self._tokenizers = tuple(tokenizers), tokenizers

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The token numbers, `(len(texts), length)` int64 each. Warns of a prompt whose end is cut off."""
        rows = {name: [encode_row(tokenizer, text) for text in texts] for name, tokenizer in self._tokenizers.items()}
        return {name: np.array(each, dtype=np.int64) for name, each in rows.items()}


def open_token_ids(files: Mapping[str, str], beside: Path) -> TokenIds | None:
    """The tokenizers in files beside a sampler's file, by the input that each is for; None without the library.

    Raises DtoolError for a file that is not there, or damaged.
    """
    if importlib.util.find_spec("tokenizers") is None:
        return None
    from tokenizers import Tokenizer

    opened = {}
    for name, file in files.items():
        path = beside.parent / file
        if Path(file).name != file or "\\" in file or path.is_symlink() or not path.is_file():
            raise DtoolError(f"{beside} needs its tokenizer, {path}", "copy it there, too; it was exported beside it")
        try:
            opened[name] = Tokenizer.from_str(bounded_reading.read_text(path, MAX_BYTES))
        except Exception as error:  # the library raises nothing more exact
            raise DtoolError(f"{path} is damaged ({str(error)[:120]})", "export the sampler again") from error
    return TokenIds(opened)


def encode_row(tokenizer: Any, text: str) -> list[int]:
    """The token numbers of a prompt, by a `tokenizers.Tokenizer` that cuts off rows. Warns of what is cut off."""
    row = tokenizer.encode(text)
    if row.overflowing:
        parts = (
            [n for n, is_own in zip(part.ids, part.attention_mask, strict=True) if is_own] for part in row.overflowing
        )
        lost = " ".join(map(tokenizer.decode, parts)).replace("</w>", " ").strip()
        cause = f"the prompt {format_value(text)} is longer than the {len(row.ids)} tokens that are read"
        warnings.warn(PromptWarning(f"{cause}: {format_value(lost)} is cut off"), stacklevel=4)
    ids: list[int] = row.ids
    return ids


def encode_prompts(document: str, prompts: Sequence[str]) -> NDArray[np.int64]:
    """Rows of token numbers; document: a tokenizer as JSON of the library tokenizers. What is cut off is not said."""
    require_library()
    from tokenizers import Tokenizer

    return np.array([row.ids for row in Tokenizer.from_str(document).encode_batch(list(prompts))], np.int64)


def encode_empty(document: str, length: int) -> tuple[int, ...]:
    """The empty prompt's row; document: a tokenizer as JSON of the library tokenizers.

    Raises DtoolError for a tokenizer that does not make rows of this length.
    """
    require_library()
    from tokenizers import Tokenizer

    row = tuple(Tokenizer.from_str(document).encode("").ids)
    if len(row) != length:
        raise DtoolError(
            f"the tokenizer makes {len(row)} numbers of the empty prompt, and the text encoder reads {length}",
            "let it fill up rows to that length: Tokenizer.enable_padding(length=…)",
        )
    return row


def make_row_tokenizer(document: str, length: int, padding: Sequence[str], source: str) -> Any:
    """A `tokenizers.Tokenizer` of JSON that cuts off and fills up rows to `length` numbers.

    They are filled up with what the document says, or else the first word of `padding` that it knows. Raises DtoolError
    for one that is damaged, or knows none of them; `source` names it there.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(document)
    except Exception as error:  # the library raises nothing more exact
        why = " ".join(str(error).split())[:120]
        raise DtoolError(f"{source} is no tokenizer ({why})", "save it with a newer transformers") from error
    said = tokenizer.padding
    word = (
        said["pad_token"] if said else next((word for word in padding if tokenizer.token_to_id(word) is not None), "")
    )
    number = said["pad_id"] if said else tokenizer.token_to_id(word)
    if number is None:
        raise DtoolError(
            f"{source} does not say what fills up a row", "let it say so: Tokenizer.enable_padding(pad_id=…)"
        )
    direction = said["direction"] if said else "right"
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(direction=direction, length=length, pad_id=number, pad_token=word)
    return tokenizer


def require_library() -> None:
    """Raise DtoolError if the library is not installed."""
    if importlib.util.find_spec("tokenizers") is None:
        raise DtoolError("tokenizers is needed to read prompts", "pip install 'dtool-diffusion[diffusers]'")
