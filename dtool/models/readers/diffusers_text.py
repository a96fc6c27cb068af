"""The text encoders of a diffusers pipeline: from prompts to the conditions that its network takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtool.errors import DtoolError, UsageError
from dtool.models.readers.diffusers_tokenizer import PromptTokenizer
from dtool.models.readers.time_ids import contrast_time_ids
from dtool.models.text import TextEncoder, TextModule

KINDS = ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel")
SD3_LENGTH, FLUX_LENGTH = 256, 512  # tokens that T5 reads: max_sequence_length of the two pipelines
Arrays = dict[str, NDArray[Any]]
Pair = tuple[PromptTokenizer, Any]  # a tokenizer and its encoder
Run = Callable[..., Any]  # what the encoder of a pair says of a prompt, with options of its own
OpenTokenizer = Callable[[int | None], PromptTokenizer]  # of a row's length; None: the tokenizer's own


@dataclass(frozen=True, kw_only=True)
class TextParts:
    """A pipeline's text encoders and tokenizers by name, each `text_encoder(_2, _3)` and `tokenizer(_2, _3)`.

    zero_empty: whether guidance compares with zeros, and not with the empty prompt's embedding.
    constants: conditions that are the same for every prompt, by name. is_refiner: whether its time_ids are others where
    guidance compares.
    """

    encoders: Mapping[str, Any]
    tokenizers: Mapping[str, OpenTokenizer]
    zero_empty: bool
    constants: Arrays
    is_refiner: bool = False

    def open(self, number: int, length: int | None = None) -> tuple[PromptTokenizer, Any]:
        """The tokenizer and the encoder of this number, 1 … 3; raises DtoolError if one of them is missing."""
        suffix = "" if number == 1 else f"_{number}"
        for name, parts in ((f"text_encoder{suffix}", self.encoders), (f"tokenizer{suffix}", self.tokenizers)):
            if name not in parts:
                raise DtoolError(f"the pipeline has no {name}, which reads its prompts", "use the whole pipeline")
        return self.tokenizers[f"tokenizer{suffix}"](length), self.encoders[f"text_encoder{suffix}"]

    def has(self, number: int) -> bool:
        """Whether there is an encoder of this number."""
        return ("text_encoder" if number == 1 else f"text_encoder_{number}") in self.encoders


class DiffusersText(TextEncoder):
    """Prompts as conditions. compute: their arrays by name, `(B, *shape)` each, by what `run(pair, …)` gives.

    Each is computed alone, so that a prompt means the same beside any others. pairs: the tokenizers and encoders.
    """

    def __init__(
        self,
        compute: Callable[[Run], dict[str, Tensor]],
        parts: TextParts,
        made: tuple[str, ...],
        pairs: Sequence[Pair],
    ) -> None:
        self._compute, self._parts, self._pairs, self._made = compute, parts, pairs, made
        self.constants = tuple(parts.constants)
        self.names = (*made, *self.constants)

    def encode(self, texts: Sequence[str]) -> Arrays:
        """The arrays by name, `(len(texts), *shape)` each."""
        known = {text: self._encode_one(text) for text in dict.fromkeys(texts)}
        return {name: np.stack([known[text][name] for text in texts]) for name in self.names}

    def _encode_one(self, text: str) -> Arrays:
        with torch.no_grad():
            made = {name: value[0].float().cpu().numpy() for name, value in self._compute(partial(_run, text)).items()}
        if self._parts.zero_empty and not text:
            made = {name: np.zeros_like(value) for name, value in made.items()}
        return made | self._parts.constants

    def contrast(self, constants: Mapping[str, Any]) -> Mapping[str, Any]:
        """As they are, but a refiner's time_ids."""
        if not self._parts.is_refiner:
            return constants
        ids = constants.get("time_ids", self._parts.constants["time_ids"])
        return {**constants, "time_ids": contrast_time_ids(ids)}

    def to_module(self) -> TextModule:
        """All of it as one module; raises UsageError for a refiner's, which is not the same where guidance compares."""
        if self._parts.is_refiner:
            raise UsageError(
                "a refiner's guidance compares with another score, which a file of its text encoder does not know",
                "export the sampler alone, to one .onnx file, and give it what the network is told as arrays",
            )
        module = _TextModule(self._compute, self._parts, self._pairs, self._made)
        tokenizers = [tokenizer for tokenizer, _ in self._pairs]
        return TextModule(
            module=module,
            tokenizers=tuple(tokenizer.to_json() for tokenizer in tokenizers),
            lengths=tuple(tokenizer.length for tokenizer in tokenizers),
        )


class _TextModule(torch.nn.Module):
    """`DiffusersText` on token numbers."""

    def __init__(
        self,
        compute: Callable[[Run], dict[str, Tensor]],
        parts: TextParts,
        pairs: Sequence[Pair],
        made: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.encoders = torch.nn.ModuleList(encoder for _, encoder in pairs)
        self.compute, self.made = compute, made
        self.places = {id(tokenizer): k for k, (tokenizer, _) in enumerate(pairs)}  # a copy asks for the same
        self.zero_empty = parts.zero_empty
        self.empty = [torch.tensor(tokenizer([""])[0]) for tokenizer, _ in pairs]
        self.constants = [torch.from_numpy(value)[None] for value in parts.constants.values()]

    def forward(self, *ids: Tensor) -> tuple[Tensor, ...]:
        """The conditions of prompts whose token numbers are `ids`, `(B, length)` for each tokenizer."""

        def run(pair: Pair, **options: Any) -> Any:
            place = self.places[id(pair[0])]
            encoder = self.encoders[place]
            shown = (ids[place] != pair[0].pad).long() if getattr(encoder.config, "use_attention_mask", False) else None
            return encoder(ids[place], attention_mask=shown, **options)

        made = self.compute(run)
        arrays = [made[name] for name in self.made]
        if self.zero_empty:
            same = [(one == empty).all(dim=1) for one, empty in zip(ids, self.empty, strict=True)]
            is_empty = torch.stack(same).all(dim=0)
            arrays = [
                torch.where(is_empty.reshape(-1, *[1] * (each.ndim - 1)), torch.zeros_like(each), each)
                for each in arrays
            ]
        return (*arrays, *(value.expand(len(ids[0]), *value.shape[1:]) for value in self.constants))


def _run(text: str, pair: Pair, **options: Any) -> Any:
    """What the encoder says of a prompt. It is shown what is padding only if its config asks for that."""
    tokenizer, encoder = pair
    ids, mask = (torch.tensor(rows, device=encoder.device) for rows in tokenizer([text]))
    shown = mask if getattr(encoder.config, "use_attention_mask", False) else None
    return encoder(ids, attention_mask=shown, **options)


def make_clip_text(parts: TextParts) -> DiffusersText:
    """Stable Diffusion and latent consistency models: the last hidden state."""
    pair = parts.open(1)
    return DiffusersText(lambda run: {"text": run(pair)[0]}, parts, ("text",), [pair])


def make_two_clip_text(parts: TextParts) -> DiffusersText:
    """Stable Diffusion XL: the last but one hidden states side by side, and the second's projected pooled text."""
    pairs = [parts.open(number) for number in (1, 2) if number == 2 or parts.has(number)]

    def compute(run: Run) -> dict[str, Tensor]:
        outputs = [run(pair, output_hidden_states=True) for pair in pairs]
        states = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        return {"text": states, "pooled": outputs[-1].text_embeds}

    return DiffusersText(compute, parts, ("text", "pooled"), pairs)


def make_sd3_text(parts: TextParts, width: int) -> DiffusersText:
    """Stable Diffusion 3: both of CLIP's side by side, filled up with zeros to `width`, and T5's after them.

    Without T5 its tokens are zeros (diffusers' own way).
    """
    pairs = [parts.open(1), parts.open(2)]
    third = parts.open(3, SD3_LENGTH) if parts.has(3) else None

    def compute(run: Run) -> dict[str, Tensor]:
        outputs = [run(pair, output_hidden_states=True) for pair in pairs]
        clip = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
        clip = torch.nn.functional.pad(clip, (0, width - clip.shape[-1]))
        t5 = clip.new_zeros(len(clip), SD3_LENGTH, width) if third is None else run(third)[0]
        pooled = torch.cat([output.text_embeds for output in outputs], dim=-1)
        return {"text": torch.cat([clip, t5.to(clip)], dim=-2), "pooled": pooled}

    return DiffusersText(compute, parts, ("text", "pooled"), pairs if third is None else [*pairs, third])


def make_flux_text(parts: TextParts) -> DiffusersText:
    """Flux: T5's hidden states, and CLIP's pooled text."""
    clip, t5 = parts.open(1), parts.open(2, FLUX_LENGTH)

    def compute(run: Run) -> dict[str, Tensor]:
        return {"text": run(t5)[0], "pooled": run(clip).pooler_output}

    return DiffusersText(compute, parts, ("text", "pooled"), [clip, t5])


def make_text(kind: str, parts: TextParts, conditions: Mapping[str, tuple[int | None, ...]]) -> DiffusersText | None:
    """The text encoder for a network of the class `kind`, whose conditions have these shapes by name.

    None if the pipeline has none. Raises DtoolError where one is missing, or makes other arrays than the network takes.
    """
    if "text" not in conditions or not parts.encoders:
        return None
    if kind == "SD3Transformer2DModel":
        text = make_sd3_text(parts, conditions["text"][-1] or 0)
    elif kind == "FluxTransformer2DModel":
        text = make_flux_text(parts)
    else:
        text = make_two_clip_text(parts) if "pooled" in conditions else make_clip_text(parts)
    for name, array in text.encode([""]).items():
        shape = conditions.get(name)
        if shape is None or len(shape) != array.ndim - 1 or shape[-1:] != array.shape[1:][-1:]:
            raise DtoolError(
                f"the text encoders make {name} of shape {array.shape[1:]}, and the network takes {shape}",
                "use the parts that belong together",
            )
    return text
