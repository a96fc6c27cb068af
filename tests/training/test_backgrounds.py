"""What cut-outs are laid on: drawn colours, and parts of textures."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dtool.data.textures import Textures  # noqa: E402
from dtool.training.backgrounds import DRAWN, cut_from_textures, draw_backgrounds, paste_on_background  # noqa: E402


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def make_textures() -> Textures:
    """Two that are told apart: one rises to the right in red, the other downwards in blue; they differ in size."""
    red, blue = np.zeros((3, 16, 64), np.uint8), np.zeros((3, 40, 8), np.uint8)
    red[0], blue[2] = np.arange(64) * 4, (np.arange(40) * 6)[:, None]
    return Textures((red, blue))


def test_backgrounds_are_colours_in_range_that_differ() -> None:
    drawn = draw_backgrounds(torch.Size((64, 3, 8, 8)), generator())
    assert float(drawn.abs().max()) <= 1
    assert float(drawn.mean(dim=(2, 3)).std()) > 0.2
    assert torch.equal(drawn, draw_backgrounds(torch.Size((64, 3, 8, 8)), generator()))


def test_parts_of_textures_are_of_all_sizes_and_places_and_half_are_mirrored() -> None:
    cut = cut_from_textures(make_textures(), torch.Size((400, 3, 8, 8)), generator())
    assert float(cut.abs().max()) <= 1
    is_red = (cut[:, 2] < -0.999).flatten(1).all(1)
    assert 0.4 < float(is_red.float().mean()) < 0.6
    red, blue = cut[is_red][:, 0], cut[~is_red][:, 2]
    slope = (red[:, 4, 6] - red[:, 4, 1]) * 127.5 / 5  # grey levels a pixel: 4 as they are, 8 where made small by 2
    assert 0.4 < float((slope > 0).float().mean()) < 0.6
    assert (round(float(slope.abs().min()), 1), round(float(slope.abs().max()))) == (4.0, 8)
    assert bool((blue[:, 7] > blue[:, 0]).all())  # never upside down
    assert float(red.mean(dim=(1, 2)).std()) > 0.2
    assert torch.equal(cut, cut_from_textures(make_textures(), torch.Size((400, 3, 8, 8)), generator()))


def test_a_quarter_is_drawn_where_there_are_textures_and_drawn_ones_stay_what_they_were() -> None:
    shape = torch.Size((400, 3, 8, 8))
    picture, alpha = torch.zeros(shape), torch.zeros(400, 1, 8, 8)
    alpha[:, :, 2:4] = 1
    laid = paste_on_background(picture, alpha, generator(), make_textures())
    assert bool((laid[:, :, 2:4] == 0).all())
    drawn = draw_backgrounds(shape, generator())
    same = (laid[:, :, 4:] == drawn[:, :, 4:]).flatten(1).all(1)
    assert float(same.float().mean()) == pytest.approx(DRAWN, abs=0.06)
