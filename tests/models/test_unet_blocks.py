"""The parts of a U-Net: its time as the paper has it, residuals that begin as the identity, tokens that are heard."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dtool.models.unet_blocks import Attention, ResBlock, UNetLevel, time_embedding  # noqa: E402


def test_time_embedding_is_the_papers() -> None:
    t = torch.tensor([0.0, 3.5, 999.0])
    found = time_embedding(t, 16)
    for i, k in np.ndindex(3, 8):
        angle = float(t[i]) * 10_000 ** (-k / 8)
        assert found[i, k] == pytest.approx(math.cos(angle), abs=1e-4)
        assert found[i, k + 8] == pytest.approx(math.sin(angle), abs=1e-4)


def test_residuals_begin_as_the_identity() -> None:
    x, embedding = torch.randn(2, 16, 4, 4), torch.randn(2, 8)
    assert torch.equal(ResBlock(16, 16, 8, 0.0).eval()(x, embedding), x)
    assert torch.equal(Attention(16, 8)(x), x)


def test_a_level_has_cross_attention_only_where_it_has_attention_and_tokens() -> None:
    for head_width, token_width, count in ((None, 6, 0), (8, None, 0), (8, 6, 2)):
        level = UNetLevel([(16, 16)] * 2, 8, dropout=0.0, head_width=head_width, token_width=token_width)
        assert len(level.cross) == count
        results = level(torch.randn(2, 16, 4, 4), torch.randn(2, 8), tokens=torch.randn(2, 5, 6))
        assert [tuple(each.shape) for each in results] == [(2, 16, 4, 4)] * 2
