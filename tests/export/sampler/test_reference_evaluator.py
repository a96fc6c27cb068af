"""A sampler's first rows on onnx's reference evaluator: the same as on ONNX Runtime, and a difference is measured."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from dtool.export.sampler import reference_evaluator  # noqa: E402
from dtool.export.sampler.assembly import read  # noqa: E402
from tests.support.sampler_files import both  # noqa: E402


def far(one, other):
    return float(np.abs(one - other).max())


def read_sampler(folder):
    path = folder / "app.onnx"
    return read(onnx.load(path), str(path))


def test_both_runtimes_agree_about_the_first_rows(tmp_path):
    both(tmp_path, "ddpm", shape=(2, 3), classes=3)
    [check] = reference_evaluator.compare_on_reference(read_sampler(tmp_path), far)
    assert check.what == "2 calls on onnx's reference evaluator"
    assert check.difference < 1e-5


def test_a_difference_is_measured(tmp_path, monkeypatch):
    class Wrong(reference_evaluator.ReferenceEvaluator):
        def run(self, *words, **named):
            return [array + 0.5 for array in super().run(*words, **named)]

    both(tmp_path, "ddim", shape=(2, 3))
    sampler = read_sampler(tmp_path)
    monkeypatch.setattr(reference_evaluator, "ReferenceEvaluator", Wrong)
    assert next(reference_evaluator.compare_on_reference(sampler, far)).difference > 0.01


def test_the_sampler_itself_stays_whole(tmp_path):
    """What the evaluator cannot run is left out of a copy."""
    both(tmp_path, "ddim", shape=(2, 3))
    sampler = read_sampler(tmp_path)
    before = sampler.model.SerializeToString(deterministic=True)
    [*reference_evaluator.compare_on_reference(sampler, far)]
    assert sampler.model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("recipe", ["ddpm", "dpmpp-2m", "heun"])
def test_both_runtimes_agree_about_the_last_steps_from_an_image(tmp_path, recipe):
    both(tmp_path, recipe, shape=(2, 2, 3), clip=True, options={"inputs": ("image", "mask", "strength")})
    first, edited = reference_evaluator.compare_on_reference(read_sampler(tmp_path), far)
    assert edited.what == "the last 2 steps, from an image, on onnx's reference evaluator"
    assert max(first.difference, edited.difference) < 1e-5
