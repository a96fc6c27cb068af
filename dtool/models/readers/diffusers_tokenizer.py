"""From prompts to token numbers as a folder's tokenizer files say, by the library tokenizers alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dtool.errors import DtoolError, format_value
from dtool.models.readers.diffusers_index import WHOLE, read_config
from dtool.models.token_ids import PromptWarning, require_library
from dtool.util import bounded_reading

MAX_LENGTH = 4096  # tokens
CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


class PromptTokenizer:
    """Prompts as rows of `length` token numbers, cut off or padded as their makers do.

    backend: a `tokenizers.Tokenizer`, which is copied. pad: the number that fills up a row.
    """

    def __init__(self, backend: Any, pad: int, length: int) -> None:
        self.length, self.pad = length, pad
        self._whole, self._cut = (type(backend).from_str(backend.to_str()) for _ in range(2))
        self._whole.no_truncation()
        self._whole.no_padding()
        self._cut.enable_truncation(length)
        self._cut.enable_padding(length=length, pad_id=pad, pad_token=self._cut.id_to_token(pad) or "")

    def to_json(self) -> str:
        """It as the library's own JSON, which says too how a row is cut off and filled up."""
        return str(self._cut.to_str())

    def __call__(self, texts: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
        """(token numbers, 1 for what is no padding), a row of `length` each. Warns of what is cut off."""
        for text, whole in zip(texts, self._whole.encode_batch(list(texts)), strict=True):
            if len(whole.ids) > self.length:
                lost = self._whole.decode(whole.ids[self.length - 1 : -1]).replace("</w>", " ").strip()
                warnings.warn(
                    PromptWarning(
                        f"the prompt {format_value(text)} has {len(whole.ids)} tokens, and {self.length} are read: "
                        f"{format_value(lost)} is cut off"
                    ),
                    stacklevel=2,
                )
        rows = self._cut.encode_batch(list(texts))
        return [row.ids for row in rows], [row.attention_mask for row in rows]


def open_tokenizer(root: Path, folder: Path, length: int | None = None) -> PromptTokenizer:
    """The tokenizer in a folder: tokenizer.json, or CLIP's vocab.json and merges.txt.

    length: tokens of a row [default: the folder's model_max_length]. Raises DtoolError for a folder that lacks its
    files, and for files that contradict each other.
    """
    require_library()
    from tokenizers import Tokenizer

    config = read_config(root, folder / "tokenizer_config.json")
    special = _read_special_tokens(root, folder, config)
    if (folder / "tokenizer.json").exists():
        read_config(root, folder / "tokenizer.json")  # within bounds, and JSON
        try:
            backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises nothing more exact
            why = " ".join(str(error).split())[:120]
            raise DtoolError(f"{folder / 'tokenizer.json'}: the file is damaged ({why})", WHOLE) from error
    elif (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        backend = _build_clip(root, folder, special)
    else:
        raise DtoolError(
            f"{folder} holds neither tokenizer.json nor vocab.json with merges.txt",
            "save it with a newer transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )
    backend.add_special_tokens(sorted(set(special.values())))
    pad = backend.token_to_id(special.get("pad_token", "<pad>"))
    if pad is None:
        raise DtoolError(f"{folder}: its vocabulary lacks {special.get('pad_token', '<pad>')!r}, which pads", WHOLE)
    return PromptTokenizer(backend, pad, length or _read_length(config, folder))


def adopt_tokenizer(tokenizer: Any, length: int | None = None) -> PromptTokenizer:
    """A tokenizer of transformers that is in memory."""
    require_library()
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or tokenizer.pad_token_id is None:
        raise DtoolError(
            f"{type(tokenizer).__name__} is a tokenizer that is written in Python", "use the fast one of that name"
        )
    return PromptTokenizer(
        backend, tokenizer.pad_token_id, length or _read_length({"model_max_length": tokenizer.model_max_length}, None)
    )


def _read_length(config: dict[str, Any], folder: Path | None) -> int:
    length = config.get("model_max_length")
    if not isinstance(length, int) or not 2 <= length <= MAX_LENGTH:
        where = "the tokenizer" if folder is None else str(folder / "tokenizer_config.json")
        raise DtoolError(f"{where}: model_max_length is {format_value(length)}", f"write 2 … {MAX_LENGTH} there")
    return length


def _read_special_tokens(root: Path, folder: Path, config: dict[str, Any]) -> dict[str, str]:
    """bos_token, eos_token, unk_token and pad_token by name, as transformers reads them."""
    said = dict(config)
    if "added_tokens_decoder" not in config and (folder / "special_tokens_map.json").exists():
        said |= read_config(root, folder / "special_tokens_map.json")
    special = {}
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        value = said.get(name)
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            special[name] = value
    if "CLIP" in str(config.get("tokenizer_class")):
        end = special.setdefault("eos_token", "<|endoftext|>")
        special = {"bos_token": "<|startoftext|>", "unk_token": end, "pad_token": "<|endoftext|>"} | special
    return special


def _build_clip(root: Path, folder: Path, special: dict[str, str]) -> Any:
    """CLIP's byte-level byte-pair encoding, as transformers 5.24 builds it of the same two files."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import BPE

    vocabulary = read_config(root, folder / "vocab.json")
    try:
        lines = bounded_reading.read_text(folder / "merges.txt", bounded_reading.MAX_JSON_BYTES).split("\n")
        merges = [(pair[0], pair[1]) for line in lines if not line.startswith("#version") and (pair := line.split())]
        start, end = special["bos_token"], special["eos_token"]
        ids = vocabulary[end], vocabulary[start]
        model = BPE(
            vocab=vocabulary, merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>",
            fuse_unk=False, unk_token=special["unk_token"],
        )  # fmt: skip
    except (OSError, KeyError, IndexError, ValueError, TypeError) as error:
        raise DtoolError(f"{folder}: vocab.json and merges.txt are no tokenizer of CLIP's", WHOLE) from error
    except Exception as error:  # the library raises nothing more exact
        raise DtoolError(f"{folder}: merges.txt does not fit vocab.json", WHOLE) from error
    backend = Tokenizer(model)
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing((end, ids[0]), (start, ids[1]), False, False)
    return backend
