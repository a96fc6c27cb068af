"""A session: what is fitted, with which guidance and clipping, on which noises; and what is refused."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.fit.session import FitOptions, FitSession
from dtool.models.fingerprint import measure_outputs
from dtool.targets import target


def test_solutions_are_made_once_and_a_part_is_a_part(mixture_session):
    noises, teacher = mixture_session.take("training")
    before = mixture_session.field.calls
    few, part = mixture_session.take("training", 5)
    assert mixture_session.field.calls == before
    assert np.array_equal(few.z, noises.z[:5])
    assert np.array_equal(part.images, teacher.images[:5])
    assert np.allclose(part.locate(0.3), teacher.locate(0.3)[:5])


def test_a_record_says_for_what_it_was_fitted(mixture_session):
    record = mixture_session.make_record(0.1, 0.2, "all", 7)
    schedule = mixture_session.network.schedule
    assert (record.alpha, record.sigma) == (schedule.alpha[-1], schedule.sigma[-1])
    assert record.outputs == measure_outputs(mixture_session.network)
    assert (record.guidance, record.scale, record.clip) == ("", 1.0, "")
    guided = FitSession(target("digits-gmm").network(), FitOptions(guidance=2.0, clip=True, noises=(4, 4, 4)))
    assert (guided.guidance.scale, guided.scale) == (2.0, 2.0)
    assert guided.make_record(0.1, 0.2, "all", 7).clip == "-1:1"
    assert FitSession(target("digits-gmm").network(), FitOptions(noises=(4, 4, 4))).scale == 1.0


def test_what_cannot_be_fitted_is_refused():
    for changes in ({"history": 0}, {"noises": (1, 4, 4)}, {"basis": "v"}):
        with pytest.raises(UsageError, match="history="):
            FitOptions(**changes)
    net = dtool.network(lambda x, t, label: 0.3 * x, shape=(2,), classes=2)
    with pytest.raises(UsageError, match="no table can be fitted with guidance"):
        FitSession(net, FitOptions(guidance="cfg:scale=2.0,rescale=0.5"))
