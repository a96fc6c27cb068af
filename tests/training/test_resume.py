"""A run goes on with the settings and the images that it began with, and with no others."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from dtool.errors import UsageError  # noqa: E402
from tests.support.training import session  # noqa: E402


def test_resuming_another_run_is_refused(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.pt"
    list(session(data, output).run())
    with pytest.raises(UsageError, match="has all its 12 steps"):
        session(data, output, resume=True)
    with pytest.raises(UsageError, match="trained with --seed 3, not 4"):
        session(data, output, resume=True, steps=20, seed=4)
    with np.load(data) as archive:
        np.savez(tmp_path / "other.npz", x=archive["x"] ^ 1, y=archive["y"])
    with pytest.raises(UsageError, match="other images"):
        session(tmp_path / "other.npz", output, resume=True, steps=20)
    assert session(data, output, resume=True, steps=20).trainer.step == 12


def test_other_new_settings_are_refused_too(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.pt"
    list(session(data, output, steps=1).run())
    for settings, says in (
        ({"accumulate": 2}, "--accumulate 1, not 2"),
        ({"second_ema": 0.5}, "--second-ema None, not 0.5"),
        ({"validation": 0.25}, "--validation 0.0, not 0.25"),
    ):
        with pytest.raises(UsageError, match=says):
            session(data, output, resume=True, steps=2, **settings)
