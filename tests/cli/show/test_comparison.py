"""What `dtool compare` prints."""

from __future__ import annotations

import pytest

from dtool.cli.show.comparison import show_task_progress
from dtool.compare.run import SOLVER_IMAGES
from tests.support.commandline import network, ran, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def test_what_the_table_s_cells_mean_is_said(capsys, monkeypatch):
    args = ["compare", "gmm:d=2", "ddim", "ddpm", "--steps", 4, "--repeats", 1, "--metrics", "energy"]
    one = ran(capsys, *args, "-n", SOLVER_IMAGES + 4)
    assert one.out.splitlines()[1].split()[-5:] == ["energy", "w2", "z", "of", "energy"]
    assert (
        one.err.splitlines()[0] == f"RMSE to ODE is that of the first {SOLVER_IMAGES} of the {SOLVER_IMAGES + 4} images"
    )
    assert "parentheses" not in one.err
    monkeypatch.setattr("dtool.compare.paired_errors.MARGIN", 1e9)
    other = ran(capsys, *args, "-n", SOLVER_IMAGES)
    assert " (" in other.out.splitlines()[2]
    assert other.err.splitlines()[0].startswith("(in parentheses): cannot be judged")
    assert ran(capsys, *args, "-n", SOLVER_IMAGES, "-q").err == ""


@pytest.mark.parametrize(("quiet", "is_terminal"), [(True, True), (False, False)])
def test_there_is_no_bar_where_nobody_would_see_it(monkeypatch, quiet, is_terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    with show_task_progress(quiet) as progress:
        assert progress is None


def test_a_bar_says_what_is_being_done(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with show_task_progress(quiet=False) as progress:
        progress(1, 2, "drawing")
        progress(2, 2, "")
