"""Certificates 5 and 7: the backends agree step by step, and an image does not depend on its batch."""

import numpy as np
import pytest

from dtool.certify import backends
from dtool.plan import Recipe
from dtool.run.own_function import network
from tests.support.rules import configurations, examined

RECIPES = [*configurations(), "dpmpp-2m@cosine/karras", "heun@linear:zero_snr=true"]


@pytest.mark.parametrize("token", RECIPES)
def test_backends_agree_step_by_step(token):
    found = backends.differences(Recipe.parse(token))
    assert found["numpy"] == 0
    assert all(value <= backends.BAR for value in found.values() if value is not None), found


@pytest.mark.parametrize("token", RECIPES)
def test_an_image_does_not_depend_on_its_batch(token):
    assert not any(backends.batch_differences(Recipe.parse(token)).values())


def test_the_three_networks_are_one():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, *backends.SHAPE)).astype(np.float32)
    t = rng.uniform(0, 999, 5).astype(np.float32)
    for _, net in backends.make_networks(Recipe.parse("ddim")):
        if net is not None:
            output = net.numpy(net.predict(net.array(x), net.array(t)))
            assert output == pytest.approx(backends.closed_form(x, t), abs=1e-6)
    assert np.ptp(backends.closed_form(x[:1], t[:, None])[:, 0, 0, 0]) > 0.01, "it depends on t"


def test_another_network_is_found(monkeypatch):
    def other(_):
        yield "numpy", network(backends.closed_form, shape=backends.SHAPE)
        yield "torch", network(lambda x, t: 1.01 * backends.closed_form(x, t), shape=backends.SHAPE)
        yield "onnxruntime", None

    monkeypatch.setattr(backends, "make_networks", other)
    result = examined("ddim", "backends")["backends"]
    assert result.status == "fail"
    assert "not installed: onnxruntime" in result.detail


def test_a_network_that_looks_at_its_neighbours_is_found(monkeypatch):
    def leaking(_):
        net = network(lambda x, t: backends.closed_form(x, t) + x.mean(axis=0), shape=backends.SHAPE)
        net.is_builtin = True  # or its images would be run one at a time
        yield "numpy", net

    monkeypatch.setattr(backends, "make_networks", leaking)
    assert examined("ddim", "batch")["batch"].status == "fail"
    assert examined("ddim", "backends")["backends"].status == "skip"
