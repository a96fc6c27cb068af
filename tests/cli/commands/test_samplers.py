"""`dtool samplers`."""

from __future__ import annotations

import json
import re

import pytest

from dtool.cli.show.output import format_plain_table
from dtool.plugins.registry import get_registry
from tests.support.commandline import failed, ran

BUILT_IN = [entry.name for entry in get_registry().samplers if entry.provider.name == "dtool"]


def test_the_listing(capsys):
    text = ran(capsys, "samplers").out
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert text.splitlines()[0].split()[:5] == ["family", "name", "order", "calls", "noise"]
    assert re.search(r"^one step +ddim +1 +1 +option +DDIM: ", text, re.MULTILINE)
    assert re.search(r"^ddim +euler +eta = 0$", text, re.MULTILINE)
    assert "broken" not in text, rows


def test_one_in_full_by_any_name(capsys):
    for name in ("dpmpp-2m", "dpmpp_2m", "DPM++ 2M Karras"):
        text = ran(capsys, "samplers", name).out
        assert "family: multistep" in text
        assert "order: 2, the first steps 1" in text
        assert "DPM++ 2M Karras = dpmpp-2m/karras" in text
    assert text.startswith("DPM++ 2M Karras is dpmpp-2m/karras\n")
    found = json.loads(ran(capsys, "samplers", "ddim", "--json").out)
    assert (found["family"], found["order"], found["calls"], found["noise"]) == ("one step", 1, 1, "option")
    assert found["same"]["euler"] == "eta = 0"
    assert found["recipes"]["DDIMScheduler"] == "ddim:use_clipped=false/leading:compat=diffusers"
    assert "network call" in found["doc"]


def test_a_class_of_diffusers_says_where_it_differs(capsys):
    text = ran(capsys, "samplers", "PNDMScheduler").out
    assert text.startswith("PNDMScheduler is pndm/leading:compat=diffusers,end=stay\n- ")
    assert "half-way levels" in text


def test_a_sampler_of_another_library_is_shown_too(capsys):
    pytest.importorskip("diffusers")
    text = ran(capsys, "samplers", "diffusers:DDIMScheduler").out
    assert text.startswith("diffusers:DDIMScheduler, of diffusers ")
    assert re.search(r"^timestep_spacing +leading$", text, re.MULTILINE)
    found = json.loads(ran(capsys, "samplers", "diffusers:DDIMScheduler", "--json").out)
    assert (found["own_grid"], found["options"]["beta_end"]) == (True, 0.02)


def test_json_has_all_of_it(capsys):
    found = {item["name"]: item for item in json.loads(ran(capsys, "samplers", "--json").out)}
    assert found["heun"]["calls"] == 2
    assert {"family", "order", "startup_order", "calls", "noise", "same", "breaks", "recipes", "aliases"} <= set(
        found["ddpm"]
    )


def test_an_unknown_name(capsys):
    failed(ran(capsys, "samplers", "nonesuch"), 2, "there is no sampler 'nonesuch'")


def test_a_terminal_table_fits_a_hundred_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("dtool.cli.commands.samplers.is_terminal", lambda: True)
    monkeypatch.setattr("dtool.cli.show.output.is_terminal", lambda: True)
    lines = ran(capsys, "samplers").out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 100
    names = {line.split()[0] for line in lines if line.strip()}
    assert set(BUILT_IN) <= names, "no name is broken in two"
    assert format_plain_table([], []) == [""]


def test_one_sampler_in_full(capsys):
    text = ran(capsys, "samplers", "ddpm").out
    assert "beta | tilde | none" in text
    assert "arXiv:2006.11239" in text
    found = json.loads(ran(capsys, "samplers", "ddim", "--json").out)
    assert found["options"]["eta"]["default"] == 0
    assert "network call" in found["doc"]
