"""A sampler shares its images out evenly where that changes no bit of any, and only there."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.run import batch_size

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from tests.support.sampler_files import form  # noqa: E402
from tests.support.small_networks import SHAPE, write_plain  # noqa: E402


@pytest.mark.parametrize("classes", [0, 3])
def test_a_samplers_file_shares_its_images_out(classes, tmp_path):
    write_plain(tmp_path / "net.onnx", classes=classes)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddpm", steps=4)
    assert form(tmp_path / "app.onnx")["even"]
    session = ort.InferenceSession(tmp_path / "app.onnx")
    ids, label = np.arange(23, dtype=np.uint64), np.arange(23) % max(classes, 1)

    def images(part, **more):
        feed = {"ids": ids[part]} | ({"label": label[part]} if classes else {})
        return session.run(["images"], feed | more)[0]

    whole = images(slice(None))
    for cut in range(1, 23):
        assert (np.concatenate([images(slice(0, cut)), images(slice(cut, None))]) == whole).all()
    for size in (1, 3, 50):
        assert (images(slice(None), micro_batch=np.asarray(size)) == whole).all()
    host = dtool.sample(dtool.load(tmp_path / "net.onnx"), "ddpm", steps=4, ids=ids.tolist(), labels=None)
    assert np.abs(host.x0 - whole).max() < 1e-5
    assert images(slice(0, 0)).shape == (0, *SHAPE)


def test_images_are_padded_where_bits_depend_on_the_batch(tmp_path):
    write_plain(tmp_path / "net.onnx", leak=1e-4)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=4)
    assert not form(tmp_path / "app.onnx")["even"]
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    assert batch_size.find_invariant_batch(file, 64, False) == 1
