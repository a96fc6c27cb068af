"""An interval of guidance is found where there is one, and what cannot be told is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dtool
from dtool.compare.guidance_interval import _choose, find_guidance_interval
from dtool.compare.guidance_trials import GuidanceTrial
from dtool.compare.law_error import make_law
from dtool.errors import UsageError
from dtool.metrics import Reference
from dtool.targets import target


def trial(evaluations=12, law=1.0, high=-0.1, agreement=1.0, agreement_high=0.01, distance=0.1):
    change = None if agreement is None else (-0.1, agreement_high)
    return GuidanceTrial(
        guidance="3", evaluations=evaluations, images=64, law=law, law_change=(-1.0, high), agreement=agreement,
        agreement_change=change, distance=distance,
    )  # fmt: skip


def choose(*trials, none=0.8, plain=1.0):
    numbered = {(float(i), i + 1.0): one for i, one in enumerate(trials)}
    found = _choose(numbered, trial(agreement=plain), trial(agreement=none))
    return None if found is None else int(found[0])


def test_the_cheapest_is_chosen_that_keeps_the_agreement_and_is_surely_nearer_to_the_law():
    assert choose(trial(14, law=0.1), trial(12, law=0.5), trial(12, law=0.2)) == 2
    assert choose(trial(11, high=0.1), trial(12)) == 1, "its law error is not surely lower"
    assert choose(trial(11, agreement=0.94), trial(12, agreement=0.96)) == 1, "a quarter of the effect is lost"
    assert choose(trial(11, agreement_high=-0.01), trial(12)) == 1, "its agreement is surely lower"
    assert choose(trial(high=0.1)) is None
    assert choose(trial(agreement=None, distance=0.3), trial(agreement=None, distance=0.2), none=None, plain=None) == 1


@pytest.fixture(scope="module")
def case():
    law = target("digits-gmm")
    net = law.network()
    means = np.stack([
        dtool.sample(net, "ddim", steps=10, n=8, labels=c, guidance=1).x0.mean(0).ravel() for c in range(net.classes)
    ])  # fmt: skip

    def see(images):
        return -((images.reshape(len(images), 1, -1) - means) ** 2).sum(axis=2)

    return net, law.sample(200, seed=5), see


def test_the_evidence_is_of_one_noise_and_the_chosen_one_is_confirmed_on_another(case):
    net, real, see = case
    law = make_law(Reference(real, classifier=see), 16, ["mmd"], 0, "real", None)
    calls = []
    found = find_guidance_interval(
        net, law, calls=5, scale=3, images=(16, 16), progress=lambda *now: calls.append(now[:2])
    )
    assert (found.plain.evaluations, found.none.evaluations, found.plain.distance) == (10, 5, 0.0)
    assert all(5 < one.evaluations < 10 for one in found.trials)
    assert found.plain.agreement is not None
    assert calls[-1][0] <= calls[-1][1]
    json.dumps(found.to_dict(), allow_nan=False)
    if found.interval is None:
        assert found.confirmed is None
        assert not found.holds
    else:
        token = "3@{:g}:{:g}".format(*found.interval)
        assert found.confirmed.guidance == token
        drawn = dtool.sample(net, "ddim", steps=5, ids=range(16, 32), guidance=token)
        assert drawn.evaluations == found.confirmed.evaluations
        seen = see(drawn.x0).argmax(axis=1) == drawn.labels
        assert found.confirmed.agreement == pytest.approx(seen.mean())


def test_without_a_classifier_it_is_said_what_is_lost(case):
    net, real, _ = case
    law = make_law(Reference(real), 16, ["mmd"], 0, "real", None)
    found = find_guidance_interval(net, law, calls=4, scale=3, images=(16, 16))
    assert found.plain.agreement is None
    assert "without a classifier it is not known" in found.remark


def test_what_cannot_be_judged_is_refused(case):
    net, real, _ = case
    law = make_law(Reference(real), 16, ["mmd"], 0, "real", None)
    with pytest.raises(UsageError, match="judged against real images"):
        find_guidance_interval(net, None, scale=3)
    with pytest.raises(UsageError, match="no guidance at scale 1"):
        find_guidance_interval(net, law)
    with pytest.raises(UsageError, match="-2 is no scale"):
        find_guidance_interval(net, law, scale=-2)
    with pytest.raises(UsageError, match="names its guidance"):
        find_guidance_interval(net, law, recipe="ddim~3", scale=3)
    other = make_law(Reference(real), 16, ["coverage"], 0, "real", None)
    with pytest.raises(UsageError, match="no distance from the data"):
        find_guidance_interval(net, other, scale=3)
