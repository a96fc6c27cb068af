"""A text encoder of a few weights on PyTorch, with a tokenizer of a few words."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

import dtool
from dtool.models.conditions import Condition
from dtool.models.text import TextEncoder, TextModule
from tests.support.attending_networks import make_attending
from tests.support.tiny_codecs import TinyCodec

WORDS = ("<pad>", "<unk>", "a", "small", "red", "blue", "house", "by", "the", "sea")
LENGTH, PAD = 6, 0


class TinyText(TextEncoder):
    """Makes `text` `(LENGTH, 8)`: a word each."""

    names = ("text",)

    def __init__(self) -> None:
        torch.manual_seed(2)
        self.tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="<unk>"))
        self.tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        self.tokenizer.enable_truncation(LENGTH)
        self.tokenizer.enable_padding(length=LENGTH, pad_id=PAD, pad_token="<pad>")
        self.table = nn.Embedding(len(WORDS), 8)
        self.mix = nn.Linear(8, 8)

    def encode(self, texts):
        ids = torch.tensor([encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))])
        with torch.no_grad():
            return {"text": self.to_module().module(ids)[0].numpy()}

    def to_module(self):
        return TextModule(module=_Words(self), tokenizers=(self.tokenizer.to_str(),), lengths=(LENGTH,))


class _Words(nn.Module):
    def __init__(self, text: TinyText) -> None:
        super().__init__()
        self.table, self.mix = text.table, text.mix

    def forward(self, ids):
        words = self.table(ids)
        return (torch.tanh(self.mix(words)) + words.mean(dim=1, keepdim=True),)


def make_host():
    """A network that is told such a text, with a codec and this encoder."""
    module, spec = make_attending(Condition(name="text", shape=(LENGTH, 8)), clip=True, guidance=3.0)
    host = dtool.load(module, spec=spec, device="cpu")
    host.codec, host.text = TinyCodec(), TinyText()
    return host
