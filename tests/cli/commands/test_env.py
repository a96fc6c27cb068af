"""`dtool env`."""

from __future__ import annotations

import json
import os

import numpy as np

import dtool
from dtool.measure.machine import list_gpus
from tests.support.commandline import ran
from tests.support.imported_modules import list_modules


def test_env_reads_the_version_of_torch_without_importing_it():
    assert "torch" not in list_modules("env", "--json")


def test_env_names_versions(capsys):
    found = json.loads(ran(capsys, "env", "--json").out)
    assert found["dtool"] == dtool.__version__
    assert found["packages"]["numpy"] == np.__version__
    assert found["cores"] >= 1
    assert f"numpy            {np.__version__}" in ran(capsys, "env").out


def test_env_names_gpus_as_the_benchmarks_do(capsys, monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X, 100 MiB, 555.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert (
        json.loads(ran(capsys, "env", "--json").out)["gpus"] == list(list_gpus()) == ["NVIDIA X, 100 MiB, driver 555.1"]
    )
    assert "NVIDIA X, 100 MiB, driver 555.1" in ran(capsys, "env").out
