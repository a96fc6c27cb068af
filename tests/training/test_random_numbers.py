"""What training draws is a function of the seed and of the step."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.training import random_numbers  # noqa: E402
from dtool.training.times import TimeDistribution  # noqa: E402


@pytest.mark.parametrize(("batch", "count"), [(4, 10), (5, 10), (25, 10), (3, 3)])
def test_every_epoch_visits_each_image_once(batch: int, count: int) -> None:
    order = torch.cat([random_numbers.draw_indices(7, step, batch, count) for step in range(12)])
    for epoch in order[: len(order) // count * count].reshape(-1, count):
        assert sorted(epoch.tolist()) == list(range(count))


def test_every_epoch_has_an_order_of_its_own() -> None:
    epochs = [random_numbers.draw_indices(7, step, 50, 50).tolist() for step in range(4)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_draws_are_functions_of_seed_and_step() -> None:
    def drawn(seed: int, step: int) -> random_numbers.Draw:
        return random_numbers.draw(seed, step, 64, 1000, (1, 8, 8), TimeDistribution(100))

    first, again, later, other = drawn(1, 5), drawn(1, 5), drawn(1, 6), drawn(2, 5)
    for name in ("index", "t", "noise", "uniform"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(later, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_draws_have_their_distributions() -> None:
    parts = [random_numbers.draw(0, step, 256, 1000, (16,), TimeDistribution(10)) for step in range(40)]
    t, noise = torch.cat([p.t for p in parts]), torch.cat([p.noise for p in parts])
    assert (t.bincount(minlength=10) / len(t) - 0.1).abs().max() < 0.015
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01
    lag = (parts[0].noise * parts[1].noise).mean()
    assert abs(float(lag)) < 0.05
