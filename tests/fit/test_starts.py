"""Where searches begin: rising times within the schedule, early and late."""

import numpy as np
import pytest

from dtool.fit.starts import GAP, list_starts, separate
from dtool.targets import target


@pytest.mark.parametrize("schedule", ["linear", "cosine", "edm", "flow", "linear:zero_snr=true"])
@pytest.mark.parametrize("calls", [1, 2, 5, 12])
def test_times_rise_within_the_schedule(schedule, calls):
    net = target("gmm:d=2").network(schedule=schedule)
    lam = net.schedule.lam[np.isfinite(net.schedule.lam)]
    starts = list_starts(net, calls)
    assert len(starts) > 8
    for times in starts:
        assert times.shape == (calls,)
        assert (np.diff(times) > 0.5 * GAP).all()
        assert lam[-1] - 1e-9 <= times[0]
        assert times[-1] <= lam[0] + 1e-9
    first = [times[0] for times in starts]
    assert max(first) - min(first) > 0.5 or calls == 1, "some begin late"


def test_times_that_meet_are_moved_apart():
    moved = separate(np.array([5.0, 0.0, 0.0, -9.0]), -2.0, 1.0, 0.1)
    assert moved.tolist() == pytest.approx([-2.0, 0.0, 0.1, 1.0])
    crowded = separate(np.full(50, 0.5), 0.0, 1.0, 0.1)
    assert (np.diff(crowded) > 0).all()
    assert crowded[0] >= 0
    assert crowded[-1] <= 1
