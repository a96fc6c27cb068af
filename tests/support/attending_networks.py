"""Small networks on PyTorch that are told more than a class: texts, masks, numbers and images."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from dtool.models.conditions import Condition
from dtool.models.spec import NetworkSpec

SHAPE = (2, 4, 6)
TEXT = Condition(name="text", shape=(None, 8), null=0.0)
MASK = Condition(name="mask", shape=(None,), dtype="bool", null=1)
EDGES = Condition(name="edges", shape=(1, 4, 6), null=0.0)
SIZE = Condition(name="size", shape=(), dtype="int64", null=0)


class Attending(nn.Module):
    """A convolution and a cross attention over the words of a text, those of them that the mask shows."""

    def __init__(self, *, masked: bool = False, edges: bool = False, sized: bool = False, classes: int = 0) -> None:
        super().__init__()
        self.enter = nn.Conv2d(SHAPE[0] + edges, 8, 3, padding=1)
        self.time = nn.Linear(2, 8)
        self.words = nn.Linear(8, 8)
        self.table = nn.Embedding(classes, 8) if classes else None
        self.leave = nn.Conv2d(8, SHAPE[0], 3, padding=1)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        *,
        text: Tensor,
        mask: Tensor | None = None,
        edges: Tensor | None = None,
        size: Tensor | None = None,
    ) -> SimpleNamespace:
        """An object with the output in it, as diffusers' networks return one."""
        h = self.enter(x if edges is None else torch.cat([x, edges], dim=1))
        place = torch.stack([torch.sin(t / 50), torch.cos(t / 90)], dim=1)
        h = h + self.time(place)[:, :, None, None]
        if self.table is not None and label is not None:
            h = h + self.table(label)[:, :, None, None]
        if size is not None:
            h = h * (1 + 0.1 * torch.sin(size.float()))[:, None, None, None]
        query = torch.nn.functional.silu(h).flatten(2).transpose(1, 2)
        words = self.words(text)
        shown = None if mask is None else mask[:, None, None, :]
        query, words = query[:, None], words[:, None]  # one head: the exporter wants four axes
        told = torch.nn.functional.scaled_dot_product_attention(query, words, words, attn_mask=shown)[:, 0]
        h = h + told.transpose(1, 2).reshape(h.shape)
        return SimpleNamespace(sample=self.leave(torch.nn.functional.silu(h)))


def make_attending(*conditions: Condition, classes: int = 0, **fields: object) -> tuple[Attending, NetworkSpec]:
    """The module for these conditions, the text among them, with random weights, and its spec."""
    torch.manual_seed(0)
    names = {one.name for one in conditions}
    spec = NetworkSpec(shape=SHAPE, schedule="linear", conditions=conditions, classes=classes, **fields)  # type: ignore[arg-type]
    module = Attending(edges="edges" in names, classes=spec.labels)
    return module.eval(), spec


def make_conditions(count, length, seed=0):
    """Arrays for all of them, of so many images, drawn at random."""
    random = np.random.default_rng(seed)
    mask = random.random((count, length)) < 0.6
    mask[:, 0] = True
    return {
        "text": random.standard_normal((count, length, 8), dtype=np.float32),
        "mask": mask,
        "edges": random.standard_normal((count, 1, 4, 6), dtype=np.float32),
        "size": random.integers(0, 9, count),
    }
