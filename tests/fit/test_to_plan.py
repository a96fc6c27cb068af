"""A fitted table as a plan: on every schedule and prediction, with its guidance and its record."""

import numpy as np
import pytest

import dtool
from dtool.fit.field import Field
from dtool.fit.noises import draw_noises
from dtool.fit.table import run_table
from dtool.fit.to_plan import make_fitted_plan, read_table
from dtool.plan.prediction import adapt_to_network
from dtool.targets import target
from tests.fit.test_table import TABLE


@pytest.mark.parametrize("basis", ["eps", "x0"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "edm:sigma_data=0.5"])
@pytest.mark.parametrize("schedule", ["linear", "edm", "flow"])
def test_the_plan_runs_as_the_table(schedule, prediction, basis):
    net = target("gmm:d=2").network(schedule=schedule, prediction=prediction)
    noises = draw_noises(net, "judging", 4, seed=0, scale=1.0)
    plan = make_fitted_plan(net, TABLE, basis=basis)
    images = run_table(Field(net, basis=basis), TABLE, noises).images
    out = dtool.sample(net, plan, x=plan.init * noises.z)
    assert np.abs(out.x0 - images).max() < 1e-9 * np.abs(images).max()
    assert np.allclose(read_table(plan).lam, TABLE.lam, atol=1e-6)
    assert adapt_to_network(plan, net.schedule, net.prediction) is plan


def test_guidance_is_written_into_its_rows():
    net = target("digits-gmm").network()
    plan = make_fitted_plan(net, TABLE, basis="x0", guidance=dtool.get_guidance("2@-1:3"))
    assert plan.scale == 2.0
    assert plan.guided.tolist() == [0.0, 1.0, 1.0]
    assert plan.recipe == "fit:calls=3~cfg:low=-1.0,high=3.0,scale=2.0"
