"""What a sampler's file is made of, settled before any work."""

from __future__ import annotations

import pytest

import dtool
from dtool.errors import UsageError

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.sampler_files import both, closeness, exported


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"inputs": ("sed",)}, "'sed' is no input"),
        ({"inputs": ("seed",), "freeze": True}, "freeze leaves no inputs"),
        ({"inputs": ("seed",), "seed": 3}, "seed=3 is a default"),
        ({"inputs": ("guidance",), "classes": 0}, "guidance needs classes, and a label that means none"),
    ],
)
def test_inputs_that_cannot_be(options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        exported(tmp_path, **options)
    assert not (tmp_path / "app.onnx").exists()


def test_room_for_other_samplers(tmp_path):
    host, fused = both(tmp_path, "ddim", options={"history": 4}, shape=(2, 3))
    for recipe in ("dpmpp-3m", "plms", "heun", "seeds-3", "dpmpp-sde", "unipc:order=3"):
        one, other = (dtool.sample(net, recipe, steps=6, n=3).x0 for net in (host, fused))
        assert closeness(one, other) < 1e-5


def test_the_files_own_micro_batch_is_used(tmp_path):
    _, fused = both(tmp_path, "ddim", shape=(9,), options={"micro_batch": 2}, check=True)
    assert fused.micro_batch == 2
