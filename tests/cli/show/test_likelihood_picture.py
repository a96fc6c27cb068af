"""The picture of a bound: bits of each step, bits so far, and what they buy."""

import numpy as np
import pytest

from dtool.cli.show import likelihood_picture
from dtool.likelihood import bound
from tests.support.gaussian_data import gaussian_network


def make_panels(monkeypatch, result, data_range=(-1.0, 1.0)):
    """The panels, title and note that are drawn."""
    seen = []
    monkeypatch.setattr(likelihood_picture, "draw_figure", lambda *words: seen.append(words))
    likelihood_picture.draw_picture(result, data_range)
    return seen[0]


def make_bound(steps, n=6, schedule="linear"):
    x = 0.5 * np.random.default_rng(0).standard_normal((n, 4))
    network = gaussian_network(schedule=schedule, prediction="x0")
    return bound(network, x, steps, variance="tilde", levels=None, seed=1)


def test_the_curves_are_the_terms(monkeypatch):
    result = make_bound(9)
    (single, so_far, bought), title, _ = make_panels(monkeypatch, result, (0.0, 4.0))
    mean = result.per_image.mean(axis=1)
    *bands, steps, last = single.lines
    assert steps.y == pytest.approx(mean[1:-1])
    assert last.y == pytest.approx(mean[-1:])
    assert [band.name for band in bands] == [likelihood_picture.BAND] * 2
    errors = result.per_image.std(axis=1, ddof=1)[1:-1] / np.sqrt(6)
    assert (bands[1].y - bands[0].y) / 4 == pytest.approx(errors)
    assert steps.x == pytest.approx(2 * result.lam[:-1]), "against log-SNR"
    assert so_far.lines[-1].y[-1] == pytest.approx(result.total)
    assert (so_far.lines[0].x == 2 * result.lam).all()
    assert bought.lines[0].y == pytest.approx(255 / 4 * np.sqrt(result.mse))
    assert bought.lines[0].x == pytest.approx(np.cumsum(mean)[:-1])
    assert f"{result.total:.3f} ± {result.se:.3f} bits/dim" in title


def test_a_level_without_signal_has_a_place_left_of_the_others(monkeypatch):
    result = make_bound(6, schedule="linear:zero_snr=true")
    assert np.isinf(result.lam[0])
    (single, *_), _, _ = make_panels(monkeypatch, result)
    assert single.lines[-2].x[:2] == pytest.approx([2 * result.lam[1] - 2, 2 * result.lam[1]])


@pytest.mark.parametrize(("steps", "n"), [(1, 3), (1, 1), (2, 1), (80, 2)])
def test_few_steps_one_image_and_many_steps_are_drawn(steps, n, monkeypatch):
    result = make_bound(steps, n)
    assert likelihood_picture.draw_picture(result, (-1.0, 1.0)).size[0] > 900
    panels, title, _ = make_panels(monkeypatch, result)
    assert ("±" in title) == (n > 1)
    assert (panels[1].lines[0].dots is None) == (steps > likelihood_picture.MARKED)
