"""The level inside a network is the schedule's own, at whole times and between them, in all coordinates."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from dtool.models.torch_levels import interpolate_levels  # noqa: E402
from dtool.schedulers import get_scheduler  # noqa: E402
from dtool.schedulers.schedule import Schedule, from_lam  # noqa: E402

LAM = np.linspace(4, -5, 40)


@pytest.mark.parametrize(
    "schedule",
    [
        get_scheduler("linear"),
        get_scheduler("cosine"),
        get_scheduler("cosine:zero_snr=true"),
        from_lam(LAM, "ve"),
        from_lam(LAM, "sub-vp"),
        from_lam(LAM, "flow"),
    ],
    ids=["linear", "cosine", "zero terminal SNR", "ve", "sub-vp", "flow"],
)
def test_levels_are_the_schedules(schedule: Schedule) -> None:
    end = schedule.T - 1
    t = torch.tensor([0.0, 0.25, 1.0, end / 2 + 0.3, end - 1.5, end - 1.0, end - 0.5, end])
    table = torch.from_numpy(np.stack([schedule.alpha, schedule.sigma])).float()
    alpha, sigma = interpolate_levels(table, t, schedule.coordinates)
    own_alpha, own_sigma = schedule.level(t.double().numpy())
    np.testing.assert_allclose(alpha.numpy(), own_alpha, rtol=2e-6, atol=1e-9)
    np.testing.assert_allclose(sigma.numpy(), own_sigma, rtol=2e-6, atol=1e-9)
