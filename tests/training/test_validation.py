"""The loss by level on held-out images, against what it must be for answers that are known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.data.images import Images  # noqa: E402
from dtool.errors import DtoolError  # noqa: E402
from dtool.schedulers import get_scheduler  # noqa: E402
from dtool.training.loss import Loss  # noqa: E402
from dtool.training.validation import hold_out, measure  # noqa: E402
from tests.support.training import session  # noqa: E402


def images(count: int = 300) -> Images:
    rng = np.random.default_rng(0)
    return Images(rng.normal(size=(count, 1, 8, 8)).astype(np.float32), np.arange(count) % 2, ("a", "b"))


def test_the_loss_of_each_level_is_that_of_the_best_answer_for_gaussian_data() -> None:
    """For x0 ~ N(0, 1) the best answer is E[eps | x] = sigma x / (alpha² + sigma²); its mean square error is alpha²."""
    schedule = get_scheduler("cosine:T=40")
    sigma = torch.tensor(schedule.sigma).float()

    def answer(x: Any, batch: Any) -> Any:
        return sigma[batch.t].reshape(-1, 1, 1, 1) * x

    levels = measure(answer, images(), Loss(schedule, "eps"), None, times=40, seed=0)
    assert [(one.first, one.last) for one in levels] == [(5 * i, 5 * i + 4) for i in range(8)]
    for one in levels:
        expected = float((schedule.alpha[one.first : one.last + 1] ** 2).mean())
        assert one.loss == pytest.approx(expected, rel=0.1, abs=0.01)


def test_the_same_images_times_and_noise_each_time() -> None:
    seen: list[Any] = []
    loss = Loss(get_scheduler("cosine:T=40"), "eps")
    for _ in range(2):
        seen.append([])
        measure(lambda x, batch: seen[-1].append((x, batch.t)) or x, images(20), loss, None, times=40, seed=1)
    for (x, t), (y, u) in zip(*seen, strict=True):
        assert torch.equal(x, y)
        assert torch.equal(t, u)


def test_what_is_held_out_is_not_trained_on() -> None:
    whole = replace(images(40), pixels=np.arange(40, dtype=np.float32)[:, None, None, None])
    trained, held_out = hold_out(whole, 0.25, seed=3)
    assert held_out is not None
    assert (len(trained), len(held_out)) == (30, 10)
    assert sorted([*trained.pixels.ravel(), *held_out.pixels.ravel()]) == list(range(40))
    for part in (trained, held_out):
        assert part.labels is not None
        np.testing.assert_array_equal(part.labels, part.pixels.ravel() % 2)
    assert hold_out(whole, 0.0, seed=3) == (whole, None)
    with pytest.raises(DtoolError, match="of 40 images is 0"):
        hold_out(whole, 0.001, seed=3)


def test_a_session_reports_both_averages_and_is_not_changed_by_it(data: Path, tmp_path: Path) -> None:
    told: dict[str, Any] = {}
    settings: dict[str, Any] = {"validation": 0.25, "second_ema": 0.5, "steps": 4}
    watched, plain = (session(data, tmp_path / f"{name}.pt", **settings) for name in "ab")
    watched.report = lambda name, levels: told.update({name: levels})
    for _ in watched.run():
        watched.validate()
    plain.held_out = None
    list(plain.run())
    assert list(told) == ["validation", "validation of the second average"]
    for a, b in zip(watched.trainer.averages, plain.trainer.averages, strict=True):
        assert all(torch.equal(a.average[name], b.average[name]) for name in a.average)
