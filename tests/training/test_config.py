"""The learning rate over the steps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.training.config import TrainConfig  # noqa: E402


def test_learning_rate() -> None:
    config = TrainConfig(steps=1000, lr=0.1, warmup=10)
    rates = [config.lr_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1 / 11)
    assert max(rates) == pytest.approx(0.1, rel=1e-3)
    assert int(np.argmax(rates)) == 10
    assert rates[500] == pytest.approx(0.05)
    assert rates[-1] < 1e-6
    constant = TrainConfig(steps=50, lr=0.1, warmup=200, decay="constant")
    assert [constant.lr_at(step) == 0.1 for step in (4, 5, 49)] == [False, True, True]
