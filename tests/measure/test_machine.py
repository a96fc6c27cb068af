"""The machine, as the header of a figure describes it."""

from __future__ import annotations

import os
import re

import numpy as np

from dtool.measure.machine import detect_machine, format_header
from tests.support.machines import make_machine


def test_a_busy_machine_is_named():
    assert ("load", "0.2") in make_machine(0.2).lines()
    assert not make_machine(0.2).busy
    assert not make_machine(None).busy
    [busy] = [text for what, text in make_machine(3.0).lines() if what == "load"]
    assert busy.startswith("3.0 - BUSY")
    assert make_machine(3.0).to_dict()["busy"] is True


def test_the_header_says_date_versions_and_what_is_absent():
    text = format_header(["numpy", "no-such-package"])
    assert f"numpy {np.__version__}, no-such-package absent" in text
    assert re.search(r"date +\d{4}-\d\d-\d\d", text)
    assert "no-such-package" not in detect_machine().versions


def test_a_gpu_is_named_only_when_it_was_measured(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X, 100 MiB, 555.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert detect_machine().gpus == ()
    assert detect_machine(gpu=True).gpus == ("NVIDIA X, 100 MiB, driver 555.1",)
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert detect_machine(gpu=True).gpus == ()
