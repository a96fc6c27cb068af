"""The average of the weights."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.training.ema import EMA  # noqa: E402


@pytest.mark.parametrize("steps", [1, 3, 200])
def test_ema_is_the_recursion(steps: int) -> None:
    """A few steps, after which the warm-up tells, and so many that it does not."""
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    ema, expected = EMA(network, 0.9), 1.0
    for step in range(steps):
        network.weight.data.fill_(float(step % 7))
        ema.update(network, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step % 7)
    assert float(ema.average["weight"]) == pytest.approx(expected, rel=1e-5)


def test_without_ema_the_average_is_the_network() -> None:
    network = torch.nn.Linear(3, 3)
    ema = EMA(network, 0.0)
    network.weight.data.add_(1)
    ema.update(network, 0)
    assert torch.equal(ema.average["weight"], network.weight)
