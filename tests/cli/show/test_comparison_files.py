"""What `dtool compare` writes: the figures first."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dtool.errors import DtoolError
from tests.support.commandline import failed, names, network, no_picture, ran, started, use_network


@pytest.fixture(autouse=True)
def stub(monkeypatch, tmp_path):
    """The package's network is one in closed form, and the working folder is empty."""
    return use_network(monkeypatch, tmp_path, network())


def test_every_kind_of_output(capsys, tmp_path, monkeypatch):
    pytest.importorskip("altair")
    pytest.importorskip("jinja2")
    args = ["compare", "ddim", "ddpm", "--steps", 3, "-n", 4, "--repeats", 1]
    monkeypatch.setattr(sys, "argv", ["/somewhere/dtool", *map(str, args), "-o", "a page.html"])
    result = ran(capsys, *args, "-o", "a.html", "-o", "a.json", "-o", "a.png", "-q")
    assert result.code == 0, result.err
    assert result.out.splitlines()[-3:] == ["a.png", "a.html", "a.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.json", "a.png"]
    document = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert document["command"] == "dtool compare ddim ddpm --steps 3 -n 4 --repeats 1 -o 'a page.html'"
    assert [e["recipe"] for e in document["entries"]] == ["ddim", "ddpm"]
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "<html" in page
    assert document["verdict"].split(" (")[0] in page


def test_without_the_extra_the_page_says_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    args = ["compare", "ddim", "--steps", 2, "-n", 2, "--repeats", 1, "-o", "a.html"]
    failed(ran(capsys, *args), 1, "the page needs Altair and Jinja2", "dtool-diffusion[report]")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_fails_costs_no_figures(capsys, monkeypatch):
    no_picture(monkeypatch, MemoryError())
    words = ("compare", "ddim", "ddpm", "--steps", 2, "-n", 70, "--repeats", 1, "--no-solver", "-q")
    result = ran(capsys, *words, "-o", "a.png", "-o", "a.json")
    assert result.code == 1
    assert result.out.splitlines()[-1] == "a.json"
    assert "a.png: there is not enough memory" in result.err
    assert "the same command goes on from there" in result.err
    assert json.loads(Path("a.json").read_text())["n"] == 70
    assert names() == [".a.parts", "a.json"]


@pytest.mark.parametrize("where", ["verdict", "document"])
def test_what_was_drawn_outlives_a_step_that_fails_later(capsys, monkeypatch, where):
    def fail(*_, **__):
        raise DtoolError("it fails")

    place = {"verdict": "dtool.compare.run.write_verdict", "document": "dtool.compare.document.make_document"}[where]
    monkeypatch.setattr(place, fail)
    words = ("compare", "ddim", "--steps", 2, "-n", 70, "--repeats", 1, "--no-solver", "-q", "-o", "a.json")
    result = ran(capsys, *words)
    assert result.code == 1
    assert "the images drawn so far are in .a.parts: the same command goes on from there" in result.err
    assert names() == [".a.parts"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_figures_that_stdout_does_not_take_can_be_had_again(tmp_path):
    code = """
        import os, sys
        sys.stdout = open("/dev/full", "w")
        import dtool
        net = dtool.network(lambda x, t: x * 0, shape=(1, 8, 8), schedule="linear")
        dtool.default_network = lambda device="auto": net
        from dtool.cli import main
        code = main("compare ddim --steps 2 -n 70 --repeats 1 --no-solver --json -o a.json".split())
        os._exit(code)
    """
    with started(code, tmp_path) as process:
        _, err = process.communicate()
        assert process.returncode == 1, err
    assert b"goes on from there" in err
    assert json.loads((tmp_path / "a.json").read_text())["n"] == 70
    assert (tmp_path / ".a.parts").is_dir()
