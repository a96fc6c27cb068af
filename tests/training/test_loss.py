"""The loss has the right minimum, and the weights of the variational bound."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.errors import UsageError  # noqa: E402
from dtool.schedulers import get_scheduler  # noqa: E402
from dtool.training.loss import Loss, training_target  # noqa: E402
from dtool.training.loss_weights import vlb_weights  # noqa: E402

PREDICTIONS = ["eps", "x0", "v"]


@pytest.mark.parametrize("weighting", ["simple", "vlb", "min-snr", "p2"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_minimum_for_gaussian_data_is_the_conditional_mean(prediction: Any, weighting: Any) -> None:
    """For x0 ~ N(m, s²) the best answer is linear in x_t and known; the loss must be least exactly there."""
    m, s, count = 0.3, 0.5, 20_000
    made = get_scheduler("cosine:T=5,max_beta=0.9")
    loss = Loss(made, prediction, weighting)
    g = torch.Generator().manual_seed(0)
    t = torch.arange(count) % made.T
    x0, eps = m + s * torch.randn(count, 1, generator=g), torch.randn(count, 1, generator=g)
    x = loss.add_noise(x0, eps, t)
    line = torch.zeros(made.T, 2, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(line[t, :1] * x + line[t, 1:], x0, eps, t)
        value.backward()
        return value

    optimizer.step(closure)
    found = line.detach().numpy()
    for i, (alpha, sigma) in enumerate(zip(made.alpha, made.sigma, strict=True)):
        variance = alpha**2 * s**2 + sigma**2
        best_eps = np.array([sigma / variance, -sigma * alpha * m / variance])
        best_x0 = np.array([alpha * s**2 / variance, m - alpha**2 * s**2 * m / variance])
        best = {"eps": best_eps, "x0": best_x0, "v": alpha * best_eps - sigma * best_x0}[prediction]
        np.testing.assert_allclose(found[i], best, atol=0.04)


def test_targets_say_the_same_thing() -> None:
    rng = np.random.default_rng(0)
    x0, eps = (torch.tensor(rng.normal(size=(4, 3))) for _ in range(2))
    alpha, sigma = torch.tensor(0.6), torch.tensor(0.8)
    x, v = alpha * x0 + sigma * eps, training_target("v", x0, eps, alpha, sigma)
    torch.testing.assert_close(alpha * x - sigma * v, training_target("x0", x0, eps, alpha, sigma))
    torch.testing.assert_close(sigma * x + alpha * v, training_target("eps", x0, eps, alpha, sigma))


def test_pure_noise_can_not_be_learned_by_eps() -> None:
    made = get_scheduler("linear:zero_snr=true")
    with pytest.raises(UsageError, match="pure noise") as caught:
        Loss(made, "eps")
    assert "--prediction v" in caught.value.hint
    for prediction in ("x0", "v"):
        assert np.isfinite(vlb_weights(made, prediction)).all()  # type: ignore[arg-type]
