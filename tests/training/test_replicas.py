"""Parts that are computed at once give the bits of parts that are computed one after the other."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.errors import UsageError  # noqa: E402
from dtool.training.config import TrainConfig  # noqa: E402
from dtool.training.session import Session, start  # noqa: E402
from tests.support.training import assert_same_content  # noqa: E402

SMALL = {"width": 8, "multipliers": (1, 2)}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    """Sums of several of PyTorch's own threads are another matter."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(data: Path, output: Path, *, resume: bool = False, **settings: Any) -> Session:
    config = TrainConfig.of(**{"steps": 4, "batch_size": 10, "decay": "constant", "warmup": 0, **settings})
    return start(str(data), output, config, network=SMALL, device="cpu", resume=resume)


def test_replicas_are_parts_at_once_bit_for_bit(data: Path, tmp_path: Path) -> None:
    runs = {}
    for name, settings in {"after": {"accumulate": 4}, "at once": {"accumulate": 2, "replicas": 2}}.items():
        runs[name] = make(data, tmp_path / f"{name}.pt", **settings).trainer
        losses = [progress.loss for progress in runs[name].run()]
        assert len(losses) == 4
    one, other = (run.network.state_dict() for run in runs.values())
    assert_same_content(dict(one), dict(other))


def test_a_run_with_replicas_goes_on_bit_for_bit_and_with_as_many(data: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    list(make(data, whole, replicas=3).run())
    list(make(data, parts, replicas=3, steps=2).run())
    with pytest.raises(UsageError, match="trained with --replicas 3, not 1"):
        make(data, parts, resume=True)
    list(make(data, parts, replicas=3, resume=True).run())
    assert_same_content(torch.load(whole, weights_only=True), torch.load(parts, weights_only=True))


def test_an_error_in_one_of_them_is_the_runs(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(data, tmp_path / "m.pt", replicas=2).trainer

    def fail(*_: Any) -> Any:
        raise ValueError("no number")

    monkeypatch.setattr(run, "_call", fail)
    with pytest.raises(ValueError, match="no number"):
        next(run.run())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"replicas": 4, "accumulate": 3}, "--accumulate 3 times --replicas 4 parts of --batch-size 10"),
        ({"replicas": 0}, "--replicas"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(settings: dict[str, Any], says: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        make(data, tmp_path / "m.pt", **settings)


def test_dropout_has_one_generator_and_cannot_be_drawn_at_once(data: Path, tmp_path: Path) -> None:
    config = TrainConfig(steps=1, batch_size=4, replicas=2)
    with pytest.raises(UsageError, match=r"--dropout 0\.2 and --replicas 2"):
        start(str(data), tmp_path / "m.pt", config, network={**SMALL, "dropout": 0.2}, device="cpu")
