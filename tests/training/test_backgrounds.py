"""What cut-outs are laid on: drawn colours, and parts of textures."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dtool.data.textures import Textures  # noqa: E402
from dtool.training.backgrounds import (  # noqa: E402
    DRAWN,
    ZOOM,
    cut_from_textures,
    draw_backgrounds,
    move,
    paste_on_background,
    vary_colours,
)


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
    laid, kept = paste_on_background(picture, alpha, generator(), make_textures())
    assert torch.equal(kept, alpha)
    assert bool((laid[:, :, 2:4] == 0).all())
    drawn = draw_backgrounds(shape, generator())
    same = (laid[:, :, 4:] == drawn[:, :, 4:]).flatten(1).all(1)
    assert float(same.float().mean()) == pytest.approx(DRAWN, abs=0.06)


def test_a_share_of_colours_is_changed_and_stays_in_range() -> None:
    pixels = 2 * torch.rand(400, 3, 8, 8, generator=generator()) - 1
    changed = vary_colours(pixels, 0.25, generator())
    assert float(changed.abs().max()) <= 1
    same = (changed == pixels).flatten(1).all(1)
    assert float(same.float().mean()) == pytest.approx(0.75, abs=0.06)
    assert torch.equal(vary_colours(pixels, 0.0, generator()), pixels)
    flat = torch.ones(300, 3, 2, 2) * torch.tensor([-0.6, 0.0, 0.6])[:, None, None]
    order = vary_colours(flat, 1.0, generator()).mean(dim=(2, 3)).argsort(dim=1)
    assert len({tuple(one) for one in order.tolist()}) == 6  # channels in every order


def test_a_share_is_moved_and_what_comes_in_from_outside_is_nothing() -> None:
    square = torch.zeros(300, 2, 16, 12)
    square[:, :, 5:11, 4:8] = 1
    moved = move(square, 0.5, generator())
    same = (moved == square).flatten(1).all(1)
    assert float(same.float().mean()) == pytest.approx(0.5, abs=0.07)
    area = moved[~same][:, 0].sum(dim=(1, 2)) / 24
    assert ZOOM**-2 * 0.85 < float(area.min()) < 0.65
    assert 1.4 < float(area.max()) < ZOOM**2 * 1.15
    rows = (moved[~same][:, 0].sum(dim=2) * torch.arange(16)).sum(1) / moved[~same][:, 0].sum(dim=(1, 2))
    assert float((rows - 7.5).abs().max()) > 1.5
    torch.testing.assert_close(move(torch.ones(9, 1, 8, 8), 0.0, generator()), torch.ones(9, 1, 8, 8))
    assert float(move(torch.ones(50, 1, 8, 8), 1.0, generator()).min()) == 0


def test_a_mask_moves_with_its_picture() -> None:
    picture = torch.ones(200, 3, 8, 8)
    alpha = torch.zeros(200, 1, 8, 8)
    alpha[:, :, 2:6, 2:6] = 1
    laid, kept = paste_on_background(picture, alpha, generator(), make_textures(), varied=0.9)
    assert float((kept != alpha).flatten(1).any(1).float().mean()) > 0.4
    assert (float(kept.min()), float(laid.abs().max()) <= 1) == (0, True)
    inside = (kept > 0.999).expand(-1, 3, -1, -1)
    parts = [laid[i][inside[i]] for i in range(200) if inside[i].any()]
    assert max(float(part.reshape(3, -1).std(dim=1).max()) for part in parts if len(part) > 3) < 1e-3
