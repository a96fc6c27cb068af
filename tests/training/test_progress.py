"""What the caller of a run sees after each step."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
from dtool.errors import DtoolError  # noqa: E402
from dtool.training.progress import StepLoop  # noqa: E402


class Falling(StepLoop):
    """Losses that are given."""

    def __init__(self, losses: list[float], step: int = 0) -> None:
        self.losses, self.step = losses, step
        self.config = SimpleNamespace(steps=len(losses), batch_size=4)

    def _run_step(self) -> torch.Tensor:
        self.step += 1
        return torch.tensor(self.losses[self.step - 1])


def test_every_step_is_told_and_the_loss_is_smoothed() -> None:
    told = list(Falling([4.0, 2.0, 0.0]).run())
    assert [one.step for one in told] == [1, 2, 3]
    assert [one.loss for one in told] == pytest.approx([4.0, 3.0, 2.0])  # at first the mean of all
    assert all(one.rate == pytest.approx(4 / one.seconds_per_step) for one in told)


def test_a_run_goes_on_where_it_stopped() -> None:
    told = list(Falling([4.0, 2.0, 1.0], step=2).run())
    assert [(one.step, one.loss) for one in told] == [(3, 1.0)]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_it(loss: float) -> None:
    with pytest.raises(DtoolError, match="after step 2: training diverged") as caught:
        list(Falling([1.0, loss, 1.0]).run())
    assert caught.value.hint == "use a lower --lr"
