"""Flow levels of diffusers' multistep classes, by their formula and by themselves."""

import numpy as np
import pytest

import dtool
from dtool.plan import grid

FLOW = dtool.get_scheduler("flow")


@pytest.mark.parametrize("shift", [1.0, 3.0, 0.5])
@pytest.mark.parametrize("n", [1, 4, 50])
def test_the_formula(n, shift):
    least = shift * 1e-3 / (1 + (shift - 1) * 1e-3)
    levels = {
        "closed": np.linspace(1, 1e-3, n), "even": np.arange(n, 0, -1) / n, "below": 0.999 * np.arange(n, 0, -1) / n,
        "open": np.linspace(1, 1e-3, n + 1)[:-1], "twice": np.linspace(1, least, n),
    }  # fmt: skip
    for ends, u in levels.items():
        if ends in ("closed", "twice") and shift < 1 < n:
            continue  # below what the network was trained on
        most = 1 - 1e-6 if ends == "open" else 1
        found = [p.sigma for p in grid(FLOW, dtool.get_spacing(f"flow-sigmas:shift={shift},ends={ends}"), n)]
        assert found[:-1] == pytest.approx(np.minimum(shift * u / (1 + (shift - 1) * u), most), rel=1e-9)
        assert found[-1] == 0


def test_a_stretch():
    found = [p.sigma for p in grid(FLOW, dtool.get_spacing("flow-sigmas:shift=3,terminal=0.1"), 5)]
    plain = [p.sigma for p in grid(FLOW, dtool.get_spacing("flow-sigmas:shift=3"), 5)]
    assert found[4] == pytest.approx(0.1)
    assert np.diff(found[:5]) / np.diff(plain[:5]) == pytest.approx(0.9 / (1 - plain[4]))


def test_levels_that_the_schedule_does_not_have():
    with pytest.raises(dtool.errors.UsageError, match="is not on the schedule"):
        grid(FLOW, dtool.get_spacing("flow-sigmas:shift=0.5,ends=twice"), 5)


@pytest.mark.parametrize("name", ["UniPCMultistepScheduler", "DPMSolverMultistepScheduler", "DEISMultistepScheduler"])
@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("n", [2, 50])
def test_diffusers(name, shift, n):
    diffusers = pytest.importorskip("diffusers")
    made = getattr(diffusers, name)(use_flow_sigmas=True, flow_shift=shift, prediction_type="flow_prediction")
    made.set_timesteps(n)
    ends = "open" if name.startswith("UniPC") else "below"
    token = f"flow-sigmas:shift={shift},ends={ends},network_time=floor"
    points = grid(FLOW, dtool.get_spacing(token), n)
    assert [p.sigma for p in points[:-1]] == pytest.approx(made.sigmas.tolist()[:-1], abs=2e-7)
    assert [p.t + 1 for p in points[:-1]] == made.timesteps.tolist()
