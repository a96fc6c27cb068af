"""The log is one that TensorBoard reads, and what it needs is said where it is missing."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.errors import DtoolError  # noqa: E402
from dtool.training.event_log import EventLog  # noqa: E402
from dtool.training.progress import Progress  # noqa: E402
from dtool.training.validation import LevelLoss  # noqa: E402


def test_tensorboard_reads_the_curves(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = EventLog(tmp_path)
    for step in range(1, 31):
        log.add_progress(Progress(step, 1 / step, 50.0, 0.1), lr=step * 1e-3)
    log.add_validation("loss/validation", [LevelLoss(0, 9, 0.5), LevelLoss(10, 19, 0.25)], 30)
    log.close()
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    points = [(point.step, point.value) for point in events.Scalars("loss/train")]
    assert points == [(step, pytest.approx(1 / step)) for step in (10, 20, 30)]
    assert events.Scalars("loss/validation")[0].value == 0.375
    assert events.Scalars("loss/validation/t=10-19")[0].value == 0.25


def test_without_tensorboard_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(DtoolError, match="needs tensorboard") as caught:
        EventLog(tmp_path)
    assert caught.value.hint == "pip install 'dtool-diffusion[tensorboard]'"
