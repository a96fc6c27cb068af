"""The field of a fit is the network as a plan's rows see it: entries, guidance, clipping, counts."""

import numpy as np
import pytest

import dtool
from dtool.fit.field import Field
from dtool.fit.noises import draw_noises
from dtool.run.clipping import Clipping
from dtool.targets import target

LAM = -0.4


@pytest.mark.parametrize("clip", [None, Clipping(-0.5, 0.5)])
@pytest.mark.parametrize("basis", ["eps", "x0"])
def test_entries_are_the_predictions_of_the_law(basis, clip):
    law = target("gmm:d=2")
    net = law.network(schedule="vp", prediction="v")
    noises = draw_noises(net, "judging", 7, seed=0, scale=1.0)
    field = Field(net, basis=basis, clip=clip)
    _, alpha, sigma = field.locate(LAM)
    image = np.asarray(law.x0(noises.z, dtool.Point(alpha, sigma)))
    image = image if clip is None else image.clip(-0.5, 0.5)
    wanted = image if basis == "x0" else (noises.z - alpha * image) / sigma
    assert np.abs(field.predict(noises.z, LAM, noises) - wanted).max() < 1e-9
    assert field.calls == 7


def test_guidance_evaluates_twice_where_it_acts_and_once_elsewhere():
    net = target("digits-gmm").network()
    guidance = dtool.get_guidance("2@-1:3")
    noises = draw_noises(net, "judging", 3, seed=0, scale=2.0)
    counted = []
    field = Field(net, guidance=guidance, on_call=counted.append)
    inside = field.predict(noises.z, -0.5, noises)
    assert (field.calls, sum(counted)) == (6, 6)
    plain = Field(net).predict(noises.z, -0.5, noises)
    assert np.abs(inside - plain).max() > 1e-3
    outside = field.predict(noises.z, -2.0, noises)
    assert field.calls == 9
    assert np.array_equal(outside, Field(net).predict(noises.z, -2.0, noises))


def test_a_plan_of_the_same_row_gives_the_same_guided_entry():
    net = target("digits-gmm").network()
    noises = draw_noises(net, "judging", 3, seed=0, scale=3.0)
    field = Field(net, guidance=dtool.get_guidance("3"), basis="x0")
    out = dtool.sample(net, "ddim~3", steps=1, x=noises.z, labels=noises.options["labels"])
    assert np.abs(field.predict(noises.z, float(net.schedule.lam[-1]), noises) - out.x0).max() < 1e-9
