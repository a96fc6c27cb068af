"""`dtool schedulers`."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from dtool.cli.commands import schedulers
from dtool.cli.show import plot
from dtool.schedulers import get_scheduler
from tests.support.commandline import failed, ran


def test_one_schedule_in_full_has_its_figures(capsys):
    found = json.loads(ran(capsys, "schedulers", "linear:T=100", "--json").out)
    assert found["as a token"] == "linear:T=100"
    assert json.loads(ran(capsys, "schedulers", "betas", "--json").out)["options"]["path"]["required"]


def test_the_schedules_are_drawn(capsys, tmp_path):
    path = tmp_path / "s.png"
    result = ran(capsys, "schedulers", "--plot", path, "--recipe", "ddim/karras", "--steps", 6)
    assert (result.code, result.out) == (0, f"{path}\n")
    plain = tmp_path / "plain.png"
    ran(capsys, "schedulers", "--plot", plain)
    with Image.open(path) as with_dots, Image.open(plain) as without:
        assert with_dots.width == without.width > 900
        assert len(with_dots.getcolors(1 << 20)) > 50
        assert np.asarray(with_dots.crop((0, 70, 400, 300))).std() > 0


def test_a_schedule_without_signal_can_be_drawn(capsys, tmp_path):
    assert ran(capsys, "schedulers", "cosine:zero_snr=true", "--plot", tmp_path / "s.png").code == 0


def test_no_two_schedules_are_drawn_alike(monkeypatch):
    drawn = []
    monkeypatch.setattr(plot, "draw_figure", lambda panels, *_, **__: drawn.extend(panels))
    schedulers._draw_picture({f"s{i}": get_scheduler("linear") for i in range(20)}, None, 10)
    for panel in drawn:
        assert len({(line.colour, line.dash) for line in panel.lines}) == 20


def test_what_to_mark_without_a_picture_is_refused(capsys):
    failed(ran(capsys, "schedulers", "--steps", 5), 2, "what to mark", "--plot")
