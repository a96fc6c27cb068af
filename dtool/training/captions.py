"""What a network is told in training of its pictures' captions: their vectors, computed once, some of them hidden."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtool.data.captions import Captions, read_captions
from dtool.errors import UsageError
from dtool.models.conditions import Condition
from dtool.models.text_reference import TextReference
from dtool.models.unet_conditions import TextInput
from dtool.run.sentence_text import SentenceText, open_for_training
from dtool.training.config import TrainConfig
from dtool.util import memory


@dataclass(frozen=True)
class CaptionVectors:
    """vectors `(texts + 1, *reference.shape)`: of the distinct captions in their order, then of the empty prompt."""

    reference: TextReference
    vectors: Tensor

    @classmethod
    def encode(cls, text: SentenceText, captions: Captions) -> CaptionVectors:
        """Each distinct caption once; raises UsageError if there is no memory for them."""
        count = len(captions.texts) + 1
        what = f"the vectors of {count} captions"
        memory.require_room(8 * count * prod(text.reference.shape), what, "use --text-condition pooled")
        return cls(text.reference, torch.from_numpy(text.encode_together([*captions.texts, ""])))

    @property
    def condition(self) -> Condition:
        """As the network's spec lists it. The null value of a vector is the empty prompt's; that of tokens is made."""
        null = tuple(self.vectors[-1].tolist()) if self.reference.pooled else None
        return Condition(name=self.reference.name, shape=self.reference.shape, null=null)

    @property
    def input(self) -> TextInput:
        """As the U-Net takes it."""
        length = None if self.reference.pooled else self.reference.length
        return TextInput(name=self.reference.name, width=self.reference.width, length=length)

    def choose(
        self, captions: Captions, index: Tensor, dropout: float, generator: torch.Generator, noise: float = 0.0
    ) -> Tensor:
        """For the pictures at `index` (B,) one of their captions each, or with probability `dropout` the empty prompt.

        Classifier-free guidance, arXiv:2207.12598, algorithm 1. noise: see `blur`; the empty prompt has none. Returns
        `(B, *reference.shape)`.
        """
        rows = index.numpy()
        which, hidden = (torch.rand(len(rows), generator=generator).numpy() for _ in range(2))
        place = captions.places[rows, (which * captions.counts[rows]).astype(np.int64)]
        chosen = self.vectors[torch.from_numpy(np.where(hidden < dropout, len(self.vectors) - 1, place))]
        if not noise:
            return chosen
        shown = torch.from_numpy(hidden >= dropout).reshape(-1, *[1] * (chosen.dim() - 1))
        return torch.where(shown, self.blur(chosen, noise, generator), chosen)

    def blur(self, vectors: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Vectors `(B, …, width)` with noise of the captions' own covariance, each as long as before.

        Its length, as a share of the vector's, is on average u·noise, with one u for a row, uniform in 0 … 1. A network
        that is told a prompt that it has not seen is then told something near to what it was trained on (conditioning
        augmentation, arXiv:1612.03242, section 3.2, with fixed variance).
        """
        share = noise * torch.rand(len(vectors), *[1] * (vectors.dim() - 1), generator=generator)
        length = vectors.norm(dim=-1, keepdim=True)
        moved = vectors + share * length * (torch.randn(vectors.shape, generator=generator) @ self._spread)
        result: Tensor = moved * (length / moved.norm(dim=-1, keepdim=True).clamp_min(1e-12))
        return result

    @cached_property
    def _spread(self) -> Tensor:
        """A root (width, width) of the covariance of the captions' vectors, of trace 1."""
        rows = self.vectors[:-1].reshape(-1, self.vectors.shape[-1])
        covariance = torch.cov(rows[rows.norm(dim=-1) > 0].T.double(), correction=0).nan_to_num()
        values, axes = torch.linalg.eigh(covariance / covariance.trace().clamp_min(1e-12))
        root: Tensor = (values.clamp_min(0).sqrt()[:, None] * axes.T).float()
        return root

    def take_first(self, captions: Captions, index: slice) -> Tensor:
        """The first caption of each of the pictures at `index`."""
        return self.vectors[torch.from_numpy(captions.places[index, 0])]

    def make_examples(self, captions: Captions, count: int) -> dict[str, NDArray[np.float32]]:
        """What a network is told for the first few pictures, by name."""
        return {self.reference.name: self.take_first(captions, slice(0, count)).numpy()}


@dataclass(frozen=True)
class ReadCaptions:
    """The captions of all pictures, and the encoder that reads them, both checked; no vector is computed yet."""

    captions: Captions
    text: SentenceText

    def encode(self) -> CaptionVectors:
        """Their vectors."""
        return CaptionVectors.encode(self.text, self.captions)


def open_captions(
    data: str,
    captions: str | None,
    text_encoder: str | None,
    config: TrainConfig,
    beside: Path,
    *,
    classes: bool | None,
) -> ReadCaptions | None:
    """What a training with words begins with; None for one without. beside: the folder of its checkpoint.

    Raises UsageError for options that do not go together, and what `read_captions` and `open_for_training` raise.
    """
    if captions is None or text_encoder is None:
        if captions is not None:
            raise UsageError(
                f"--captions {captions}: there is nothing to read them", "give a sentence encoder: --text-encoder PATH"
            )
        if text_encoder is not None:
            raise UsageError(f"--text-encoder {text_encoder} has no captions to read", "give them: --captions FILE.csv")
        for name in ("caption_dropout", "caption_noise", "text_condition"):
            if getattr(config, name) != TrainConfig.model_fields[name].default:
                option = f"--{name.replace('_', '-')} {getattr(config, name)}"
                raise UsageError(f"{option} is of --captions, and there are none", "give them, or leave it out")
        return None
    if classes:
        raise UsageError("--classes and --captions are two ways of saying what to draw", "leave one of them out")
    if config.task is not None:
        raise UsageError(f"--task {config.task} takes no captions", "leave out --task, or --captions")
    found = read_captions(captions, data)
    pooled = config.text_condition == "pooled"
    return ReadCaptions(found, open_for_training(text_encoder, found.texts, pooled=pooled, beside=beside))
