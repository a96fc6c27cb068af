"""A comparison as a picture: as many columns and rows as there is room for."""

from types import SimpleNamespace

import numpy as np
import pytest

from dtool.compare.picture import draw_picture
from dtool.run.repeated_conditions import NOTHING_TOLD
from dtool.util import pictures
from dtool.util.pictures import GAP


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def test_a_comparison_shows_fewer_columns_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        SimpleNamespace(name=f"r{i}", steps=1, calls=1, evaluations=1, guidance="", scale=1.0, figures={})
        for i in range(6)
    ]
    comparison = SimpleNamespace(
        entries=entries, images=noise(6, 20, 1, 8, 8), n=20, metrics=[], data_range=(-1, 1), seed=0, labels=None,
        class_names=(), told=NOTHING_TOLD, ids=range(20),
    )  # fmt: skip
    sizes = []
    for room in (1000, 20, 3):
        monkeypatch.setattr(pictures, "MAX_PIXELS", room * (64 + GAP) ** 2)
        sizes.append(draw_picture(comparison).size)  # type: ignore[arg-type]
    assert sizes[0][0] > sizes[1][0]
    assert sizes[1][1] > sizes[2][1]
