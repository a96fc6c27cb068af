"""dtool.compare: what a comparison holds."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from tests.support.commandline import SHAPE, network


def test_a_comparison_has_a_row_a_recipe_and_step_count_from_the_same_noise():
    net, calls = network(), []
    comparison = dtool.compare(
        net,
        ["ddim", "ddpm:sigma=tilde", "ddim:eta=0"],
        steps=(6, 3),
        n=5,
        repeats=1,
        progress=lambda *now: calls.append(now),
    )
    rows = [(e.name, e.recipe, e.steps, e.calls) for e in comparison.entries]
    assert rows[:2] == [("ddim", "ddim", 3, 3), ("ddim", "ddim", 6, 6)]
    assert rows[2:] == [("ddpm:sigma=tilde", "ddpm", 3, 3), ("ddpm:sigma=tilde", "ddpm", 6, 6)]
    assert comparison.images.shape == (4, 5, *SHAPE)
    alone = dtool.sample(net, "ddim", steps=6, n=5)
    np.testing.assert_array_equal(comparison.images[1], alone.x0)
    assert comparison.rmse[1, 2] == pytest.approx(
        np.sqrt(np.mean((comparison.images[1] - comparison.images[2]) ** 2)), rel=1e-5
    )
    assert (np.diag(comparison.rmse) == 0).all()
    assert all(e.seconds > 0 and e.images_per_second == pytest.approx(5 / e.seconds) for e in comparison.entries)
    done, total, _ = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == total[-1]


def test_one_image_has_a_row_but_no_quality():
    comparison = dtool.compare(network(), ["ddim"], steps=2, n=1, repeats=1)
    assert comparison.data is None
    assert comparison.entries[0].figures == {}


def test_every_row_says_its_guidance_and_what_it_costs():
    net = dtool.targets.target("digits-gmm").network()
    guidances = [3, "3@-1.3:0.3", "cfgpp:scale=0.6"]
    comparison = dtool.compare(net, ["ddim", "ddpm~1"], steps=8, n=4, repeats=1, guidance=guidances)
    rows = [(e.name, e.scale, e.calls, e.evaluations) for e in comparison.entries]
    assert rows == [
        ("ddim~3", 3.0, 8, 16),
        ("ddim~3@-1.3:0.3", 3.0, 8, 11),
        ("ddim~cfgpp:scale=0.6", 0.6, 8, 16),
        ("ddpm~1", 1.0, 8, 8),
    ]
    for entry, images, guidance in zip(comparison.entries, comparison.images, guidances, strict=False):
        alone = dtool.sample(net, "ddim", steps=8, n=4, guidance=guidance)
        np.testing.assert_array_equal(images, alone.x0)
        assert entry.evaluations == alone.evaluations
    assert [entry.solver is not None for entry in comparison.entries] == [True, True, False, False]
    assert "leads to no limit" in comparison.entries[2].why_no_solver
    assert "of the ODE of its own guidance" in comparison.verdict
    tokens = [entry["guidance"] for entry in comparison.to_dict()["entries"]]
    assert tokens == ["cfg:scale=3.0", "cfg:low=-1.3,high=0.3,scale=3.0", "cfgpp:scale=0.6", "cfg:scale=1.0"]


def test_what_is_kept_of_one_guidance_is_not_taken_for_another(tmp_path):
    net = dtool.targets.target("digits-gmm").network()
    for guidance in (1, 3, "3@-1.3:0.3"):
        told = {"steps": 4, "n": 20, "repeats": 1, "solver": False, "keep": tmp_path / "kept"}
        images = dtool.compare(net, ["ddim"], guidance=guidance, **told).images
        np.testing.assert_array_equal(images[0], dtool.sample(net, "ddim", steps=4, n=20, guidance=guidance).x0)
        again = dtool.compare(net, ["ddim"], guidance=guidance, **told)
        np.testing.assert_array_equal(again.images, images)


def test_noise_of_one_path_an_image(tmp_path):
    """What is drawn is `dtool.sample`'s with noise="path", and what is kept of other noise is not taken for it."""
    net = network()
    made = {
        noise: dtool.compare(net, ["ddpm"], steps=4, n=3, repeats=1, noise=noise, keep=tmp_path / "kept")
        for noise in (None, "rows", "path")
    }
    np.testing.assert_array_equal(made["path"].images[0], dtool.sample(net, "ddpm", steps=4, n=3, noise="path").x0)
    np.testing.assert_array_equal(made["rows"].images[0], made[None].images[0])
    assert np.abs(made["path"].images[0] - made["rows"].images[0]).max() > 1e-3
    assert [one.to_dict()["noise"] for one in made.values()] == ["rows", "rows", "path"]
    with pytest.raises(dtool.UsageError, match="neither path nor rows"):
        dtool.compare(net, ["ddpm"], steps=4, n=3, noise="brownian")
