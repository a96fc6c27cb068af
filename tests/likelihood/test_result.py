"""Figures in bits per dimension, with their standard errors, and as JSON."""

import json
from math import isnan, log

import numpy as np
import pytest
from scipy import stats

from dtool.likelihood import bound, ode
from dtool.likelihood.result import mean_and_error
from tests.support.gaussian_data import gaussian_network


def some_images(n):
    return 0.5 * np.random.default_rng(0).standard_normal((n, 4))


def test_a_mean_and_its_standard_error():
    values = np.random.default_rng(1).standard_normal(30)
    assert mean_and_error(values) == pytest.approx((values.mean(), stats.sem(values)), rel=1e-12)
    mean, error = mean_and_error(values[:1])
    assert mean == values[0]
    assert isnan(error), "one value has no spread"


def test_a_bound_is_the_sum_of_its_terms():
    result = bound(gaussian_network(), some_images(7), 5, variance="beta", levels=None)
    assert [term.name for term in result.terms] == ["L_T", "L_4", "L_3", "L_2", "L_1", "L_0"]
    assert sum(term.mean for term in result.terms) == pytest.approx(result.total, abs=1e-12)
    assert result.total == pytest.approx(result.prior + result.rate + result.decoder, abs=1e-12)
    whole = result.per_image.sum(axis=0)
    assert (result.total, result.se) == pytest.approx((whole.mean(), stats.sem(whole)))
    assert result.nats == pytest.approx(result.total * log(2))
    assert [term.rmse for term in result.terms[1:]] == pytest.approx(np.sqrt(result.mse))
    assert isnan(result.terms[0].rmse)
    assert [term.lam for term in result.terms] == pytest.approx([result.lam[0], *result.lam]), "where each step begins"
    assert (result.n, result.steps) == (7, 5)


@pytest.mark.parametrize("method", ["bound", "ode"])
def test_the_json_form_has_the_figures_of_every_image(method):
    x = some_images(3)
    network = gaussian_network()
    result = bound(network, x, 4, levels=None) if method == "bound" else ode(network, x, levels=None, tolerance=1e-3)
    document = json.loads(json.dumps(result.to_dict()))
    assert document["method"] == method
    assert (document["n"], document["dimensions"], document["levels"]) == (3, 4, None)
    assert np.mean(document["images"]) == pytest.approx(document["bits_per_dim"])
    assert document["nats_per_dim"] == pytest.approx(document["bits_per_dim"] * log(2))
    assert document["se"] == pytest.approx(stats.sem(document["images"]))
    if method == "bound":
        assert [term["name"] for term in document["terms"]] == ["L_T", "L_3", "L_2", "L_1", "L_0"]
