"""Law error: distances to data, to a closed form, and to a network's own statistics."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.measure.pooled_pixels import statistics
from dtool.targets import target
from tests.support.commandline import SHAPE, network


def test_a_good_sampler_scores_better_than_a_bad_one():
    comparison = dtool.compare(network(), ["ddim"], steps=[1, 20], n=60, repeats=1)
    coarse, fine = (entry.figures["fd"] for entry in comparison.entries)
    assert fine.value < coarse.value
    assert fine.low < fine.value < fine.high
    assert comparison.metrics[0].null_mean > 0


def test_too_few_samples_are_said_to_be_too_few():
    comparison = dtool.compare(network(), ["ddim"], steps=2, n=5, repeats=1)
    assert comparison.entries[0].figures == {}
    assert "too few for 12 features" in comparison.metrics[0].skipped


def test_without_a_reference_there_is_no_law():
    bare = dtool.network(lambda x, t: x, shape=SHAPE)
    comparison = dtool.compare(bare, ["ddim"], steps=2, n=2, repeats=1)
    assert comparison.data is None
    assert comparison.entries[0].figures == {}
    reference = statistics(np.random.default_rng(0).standard_normal((50, *SHAPE)))
    against = dtool.compare(bare, ["ddim"], steps=2, n=160, repeats=1, reference=reference)
    assert against.entries[0].figures["fd"].value > 0


QUICK = {"repeats": 1, "n": 200}


@pytest.fixture(scope="module")
def exact():
    return target("gmm:d=2")


def test_both_errors_of_a_closed_form(exact):
    """Few steps are far from the solution and from the law; many are near both; a stochastic rule has no solution."""
    comparison = dtool.compare(exact.network(), ["ddim", "ddpm"], steps=[3, 50], reference=exact, **QUICK)
    few, many, *stochastic = comparison.entries
    assert few.solver.rmse > 5 * many.solver.rmse
    assert few.figures["w2"].value > 2 * many.figures["w2"].value
    assert few.figures["mmd"].z > 10 > many.figures["mmd"].z
    assert all(entry.solver is None and "noise" in entry.why_no_solver for entry in stochastic)
    assert comparison.solution.error < few.solver.rmse / 10
    assert comparison.metrics[0].headline
