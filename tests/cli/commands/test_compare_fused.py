"""`dtool compare` with a file that holds a whole sampler."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.commandline import failed, ran

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.sampler_files import export_sampler

pytestmark = pytest.mark.usefixtures("host_file")


def test_a_samplers_file_is_compared_as_its_network_is(folder, capsys):
    export_sampler(capsys, "--recipe", "dpmpp-2m", "--steps", 4, "--history", 2, "--no-check")
    words = ("ddim", "dpmpp-2m/karras", "--steps", "3,5", "-n", 3, "--repeats", 1, "--guidance", 2, "--json")
    own, host = (json.loads(ran(capsys, "compare", file, *words).out) for file in ("app.onnx", "net.onnx"))
    assert [e["recipe"] for e in own["entries"]] == [e["recipe"] for e in host["entries"]]
    np.testing.assert_allclose(own["rmse"], host["rmse"], atol=1e-5)


def test_of_the_usual_recipes_a_file_draws_those_it_has_room_for(folder, capsys):
    export_sampler(capsys, "--recipe", "ddim", "--steps", 4, "--no-check")
    words = ("--steps", 4, "-n", 2, "--repeats", 1)
    found = json.loads(ran(capsys, "compare", "app.onnx", *words, "--json").out)
    assert [entry["name"] for entry in found["entries"]] == ["ddpm", "ddim"]
    failed(ran(capsys, "compare", "app.onnx", "dpmpp-2m", *words), 2, "remembers 1 older", "history=1")


def test_a_frozen_file_is_not_compared(folder, capsys):
    export_sampler(capsys, "--recipe", "ddim", "--steps", 4, "--no-check", "--freeze")
    failed(ran(capsys, "compare", "app.onnx", "ddim"), 2, "frozen", "compare the network's own file")
    assert not (folder / "compare.png").exists()
