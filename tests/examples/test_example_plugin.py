"""examples/dtool-quadratic, installed as a stranger would install it, is used by name and passes its own tests."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.plan import Recipe
from tests.support.places import EXAMPLES, ROOT

EXAMPLE = EXAMPLES / "dtool-quadratic"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that holds the installed package alone; on PYTHONPATH, its entry point is found."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(folder), str(EXAMPLE)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(installed: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("DTOOL_")}
    env |= {
        "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    } | environment
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, cwd=installed)


def test_its_own_tests_pass(installed):
    done = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests"))
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_command_line_knows_its_names(installed):
    done = run(installed, "-m", "dtool", "samplers")
    assert done.returncode == 0, done.stderr
    assert "midpoint" in done.stdout
    assert "dtool-quadratic 0.1.0" in done.stdout
    assert "quadratic-alpha" in run(installed, "-m", "dtool", "schedulers").stdout
    plugins = json.loads(run(installed, "-m", "dtool", "plugins", "--json").stdout)
    assert "dtool-quadratic" in json.dumps(plugins)


def test_a_plan_is_made_of_its_sampler_and_its_schedule(installed):
    done = run(installed, "-m", "dtool", "plan", "rk2@quadratic-alpha", "--steps", "5", "--json")
    assert done.returncode == 0, done.stderr
    plan = dtool.Plan.from_json(done.stdout)
    assert (plan.recipe, plan.steps, plan.rows) == ("midpoint@quadratic-alpha", 5, 9)
    assert np.allclose(plan.alpha[2::2], [0.2, 0.4, 0.6, 0.8])
    assert run(installed, "-m", "dtool", "plan", "dtool-quadratic/midpoint", "--steps", "5").returncode == 0


def test_it_samples_from_a_network_trained_under_another_schedule(installed):
    """The data are one point: any right sampler, however few its steps, ends there."""
    code = """
import numpy as np, dtool
levels = dtool.get_scheduler("linear")
def eps(x, t):
    alpha, sigma = (level[:, None] for level in levels.level(t))
    return (x - alpha * 0.7) / sigma
network = dtool.network(eps, shape=(2,), schedule="linear")
x = np.random.default_rng(0).standard_normal((4, 2))
out = dtool.sample(network, "midpoint@quadratic-alpha", steps=6, x=x)
print(out.plan.recipe, out.calls, np.abs(out.x0 - 0.7).max() < 1e-9)
"""
    done = run(installed, "-W", "ignore", "-c", code)
    assert done.stdout == "midpoint@quadratic-alpha 11 True\n", done.stderr


def test_its_reader_opens_a_file(installed, tmp_path):
    file = tmp_path / "net.json"
    file.write_text('{"format": "linear-network-1", "shape": [2], "weight": 0.3, "bias": 0.1, "prediction": "eps"}')
    code = f"import dtool; print(dtool.load({str(file)!r}).shape)"
    done = run(installed, "-c", code)
    assert done.stdout == "(2,)\n", done.stderr
    done = run(installed, "-c", code, DTOOL_DISABLE_PLUGINS="dtool-quadratic")
    assert "neither a checkpoint nor an ONNX file" in done.stderr


def test_switched_off_it_is_not_known(installed):
    done = run(installed, "-m", "dtool", "plan", "midpoint", DTOOL_DISABLE_PLUGINS="dtool-quadratic")
    assert done.returncode == 2
    assert "there is no sampler 'midpoint'" in done.stderr
    assert run(installed, "-m", "dtool", "--no-plugins", "plan", "midpoint").returncode == 2


def test_without_it_nothing_here_depends_on_it():
    with pytest.raises(dtool.DtoolError, match="there is no sampler 'midpoint'"):
        Recipe.parse("midpoint")


def test_the_tutorial_works_as_written(tmp_path):
    """examples/dtool-quadratic/README.md, from an empty folder: its files written, its commands run, in order."""
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8").partition("## A package of your own")[2]
    page = page.partition("\n## ")[0]
    folder, site = tmp_path / "mine", tmp_path / "site"
    folder.mkdir()
    environment = {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    env = {k: v for k, v in os.environ.items() if not k.startswith("DTOOL_")} | environment
    install = ["pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    ran = []
    for name, language, text in re.findall(r"(?:`([\w.]+)`\n\n)?```(\w+)\n(.*?)```", page, re.DOTALL):
        if name:
            (folder / name).write_text(text, encoding="utf-8")
            continue
        assert language == "sh", "a file's block has its name above it"
        for command in text.splitlines():
            words = [*install, "--target", str(site), "."] if command == "pip install -e ." else shlex.split(command)
            done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, env=env, cwd=folder)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            ran.append(command.split()[1])
    assert {"check", "install", "plan", "sample"} <= set(ran)
    assert (folder / "digits.png").exists()
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_mine.py",
        "-k",
        "marginals or ends",
    ]  # all ran above
    done = subprocess.run(tests, capture_output=True, text=True, env=env, cwd=folder)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
