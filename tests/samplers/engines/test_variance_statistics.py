"""The file of Analytic-DPM's measurement."""

import numpy as np
import pytest

from dtool.certify import grids
from dtool.errors import DtoolError
from dtool.plan import plan
from dtool.samplers.engines.variance_statistics import VarianceStatistics


def closed_form(points, std):
    """E (z - ε)² of the optimal network on data N(0, std²): α²std²/(α²std² + σ²)."""
    levels = sorted((p for p in points if p.sigma > 0 and p.alpha > 0), key=lambda p: p.lam)
    levels = [p for i, p in enumerate(levels) if i == 0 or p.lam > levels[i - 1].lam]
    lam = np.array([p.lam for p in levels])
    return VarianceStatistics(lam, 1 / (1 + np.exp(-2 * lam) / std**2), 1.0, 1)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2}', '{"format": 1, "lam": [1, 0], "missed": [1, 1], "bound": 1, "images": 1}']
)
def test_a_file_that_is_none(tmp_path, text):
    path = tmp_path / "stats.json"
    path.write_text(text)
    with pytest.raises(DtoolError, match=r"statistics|another format"):
        plan("analytic-ddpm", stats=str(path), steps=3)
    with pytest.raises(DtoolError, match="cannot read"):
        plan("analytic-ddpm", stats=str(tmp_path / "none.json"), steps=3)


def test_a_file_that_is_written_again_is_read_again(tmp_path):
    path = tmp_path / "stats.json"
    found = []
    for std in (0.2, 0.6):
        closed_form(grids.by_lam(9), std).write(path)
        found.append(plan("analytic-ddpm", stats=str(path), steps=5).c[2])
    assert found[0] < found[1]
