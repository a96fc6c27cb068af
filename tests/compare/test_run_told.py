"""Comparisons of a network that is told prompts, and samples latents."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.compare.document import make_document
from dtool.compare.picture import draw_picture
from tests.support.told_networks import PICTURE, Doubling, text_network

TOLD = {"prompt": ["a cat", "a dog"], "negative": "bad", "guidance": 2.0}


def test_image_i_of_every_recipe_is_told_the_same() -> None:
    comparison = dtool.compare(text_network(), ["ddim", "heun"], steps=4, n=5, repeats=1, solver=False, **TOLD)
    own = dtool.sample(
        text_network(), "heun", steps=4, prompt=["a cat", "a dog"] * 2 + ["a cat"], negative="bad", guidance=2
    )
    np.testing.assert_array_equal(comparison.images[1], Doubling().decode(own.x0))
    assert comparison.shape == PICTURE
    assert comparison.to_dict()["prompts"] == ["a cat", "a dog", "a cat", "a dog", "a cat"]
    assert comparison.to_dict()["told"]["negative"] == ["bad"]
    assert draw_picture(comparison).size[0] > 0


def test_metrics_and_solver_errors_are_measured() -> None:
    real = np.random.default_rng(0).uniform(-1, 1, (40, *PICTURE)).astype(np.float32)
    comparison = dtool.compare(
        text_network(), ["ddim"], steps=8, n=20, repeats=1, reference=real, metrics=["mmd"], prompt="a cat"
    )
    assert comparison.entries[0].figures["mmd"].value > 0
    assert comparison.entries[0].solver is not None


def test_pictures_are_decoded_in_small_batches_and_traces_where_they_are_shown() -> None:
    pytest.importorskip("altair")
    from dtool.report import render_page

    net = text_network()
    comparison = dtool.compare(net, ["ddim"], steps=6, n=4, repeats=1, solver=False, traces=2, prompt="<b>cat</b>")
    assert isinstance(net.codec, Doubling)
    assert max(net.codec.sizes) <= 3
    document = make_document(comparison)
    page = render_page(document, comparison.images[:, :2], list(comparison.traces), net.codec.decode)
    assert "&lt;b&gt;cat&lt;/b&gt;" in page
    assert "data:image/" in page


def test_images_that_were_kept_are_those_of_the_same_prompts(tmp_path: Path) -> None:
    from dtool.compare.kept_images import make_cache_key
    from dtool.run.guided_conditions import Request
    from dtool.run.repeated_conditions import repeat_conditions

    net = text_network()
    keys = [make_cache_key(net, **repeat_conditions(net, Request(prompt=p)).describe()) for p in ("a", "b", "a")]
    assert keys[0] == keys[2] != keys[1]


def test_recommendations_and_benchmarks_are_told_too() -> None:
    net = text_network(guidance=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = dtool.recommend(net, calls=4, recipes=["ddim", "dpmpp-2m"], prompt="a cat")
        assert best.recipe in ("ddim", "dpmpp-2m")
        figures = dtool.bench(net, "ddim", steps=2, batches=[2], rounds=1, prompt="a cat", guidance=3.0)
    assert "dtool.sample" in {timing.name for timing in figures.timings}


def test_likelihoods_are_told_too() -> None:
    net = text_network(codec=False)
    images = np.random.default_rng(0).uniform(-0.3, 0.3, (4, *net.shape))
    cat, dog, both = (
        dtool.likelihood.bound(net, images, 5, variance="beta", levels=None, prompt=prompt).per_image
        for prompt in ("a cat", "a dog", ["a cat", "a dog"])
    )
    np.testing.assert_allclose(both[:, ::2], cat[:, ::2])
    np.testing.assert_allclose(both[:, 1::2], dog[:, 1::2])
    assert not np.allclose(cat, dog)
    density = dtool.likelihood.ode(net, images[:1], steps=4, levels=None, prompt="a cat", conditions={"size": 0.1})
    assert np.isfinite(density.per_image).all()
