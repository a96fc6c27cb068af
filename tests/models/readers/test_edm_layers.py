"""EDM's layers: what filters keep, what halving and doubling are to each other, and what attention is of nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dtool.models.readers.edm_layers import Block, Convolution, make_filter, make_norm

BOX, BINOMIAL = (1.0, 1.0), (1.0, 3.0, 3.0, 1.0)
PLAIN: dict[str, Any] = {"adaptive": False, "past": True, "scale": 0.5**0.5, "eps": 1e-6}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fill(module: Any) -> Any:
    torch.manual_seed(1)
    for parameter in module.double().parameters():
        torch.nn.init.normal_(parameter)
    return module


def test_the_box_halves_by_the_mean_and_doubles_by_repeating() -> None:
    x = draw(1, 2, 6, 6)
    halved, doubled = (Convolution(2, 2, 0, change=change).double()(x) for change in ("down", "up"))
    torch.testing.assert_close(halved, torch.nn.functional.avg_pool2d(x, 2))
    torch.testing.assert_close(doubled, x.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("taps", [BOX, BINOMIAL])
def test_doubling_is_four_times_the_transpose_of_halving(taps: tuple[float, ...]) -> None:
    down, up = (Convolution(2, 2, 0, change=change, taps=taps).double() for change in ("down", "up"))
    x, y = draw(1, 2, 8, 8), draw(1, 2, 4, 4, seed=1)
    torch.testing.assert_close(4 * (down(x) * y).sum(), (x * up(y)).sum())
    assert make_filter(taps).sum() == 1


def test_halving_before_or_after_a_convolution_is_another_border_alone() -> None:
    """Of a kernel that is 0 but for its centre both are the same everywhere."""
    fused = fill(Convolution(2, 3, 3, change="down", taps=BINOMIAL, fused=True))
    plain = Convolution(2, 3, 3, change="down", taps=BINOMIAL).double()
    with torch.no_grad():
        fused.weight[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
    plain.load_state_dict(fused.state_dict())
    x = draw(1, 2, 8, 8)
    torch.testing.assert_close(fused(x), plain(x))


def test_a_norm_has_at_least_four_channels_a_group() -> None:
    assert [make_norm(channels, 1e-5).num_groups for channels in (4, 16, 64, 256)] == [1, 4, 16, 32]


def test_a_block_whose_second_convolution_is_zero_is_its_way_past() -> None:
    block = fill(Block(8, 8, 4, **PLAIN))
    torch.nn.init.zeros_(block.conv1.weight)
    torch.nn.init.zeros_(block.conv1.bias)
    x = draw(2, 8, 4, 4)
    torch.testing.assert_close(block(x, draw(2, 4)), x * 0.5**0.5)


@pytest.mark.parametrize("adaptive", [True, False])
def test_what_the_embedding_does(adaptive: bool) -> None:
    block = fill(Block(8, 12, 4, **{**PLAIN, "adaptive": adaptive}))
    x, embedding = draw(2, 8, 4, 4), draw(2, 4)
    assert block.affine.out_features == (24 if adaptive else 12)
    assert (block(x, embedding)[1] - block(x, embedding.flip(0))[1]).abs().max() > 1e-3


def test_attention_without_a_query_is_the_mean() -> None:
    block = fill(Block(8, 8, 4, heads=2, **PLAIN))
    x = draw(1, 8, 4, 4)
    mixed = draw(1, 24, 4, 4).reshape(1, 8, 3, 4, 4)
    mixed[:, :, 0] = 0
    met = block._attend(mixed.reshape(1, 24, 4, 4))
    torch.testing.assert_close(met, mixed[:, :, 2].mean(dim=(2, 3), keepdim=True).expand_as(met))
    assert block(x, draw(1, 4)).shape == x.shape


def test_attention_sends_a_pixel_what_it_asks_for() -> None:
    block = Block(8, 8, 4, heads=1, **PLAIN)
    mixed = torch.zeros(1, 8, 3, 2)
    mixed[0, 0, 0] = torch.tensor([0.0, 300.0])  # the second pixel asks along the first channel
    mixed[0, 0, 1] = torch.tensor([1.0, -1.0])  # where the first pixel answers
    mixed[0, :, 2, 0] = torch.arange(8.0)
    met = block._attend(mixed.reshape(1, 24, 1, 2))
    torch.testing.assert_close(met[0, :, 0, 1], torch.arange(8.0))
