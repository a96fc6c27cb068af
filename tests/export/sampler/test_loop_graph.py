"""Network, plan, loop and noise in one graph: images are the same in any batch, whatever its inputs say."""

from __future__ import annotations

import numpy as np
import pytest

import dtool

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from tests.support.sampler_files import both  # noqa: E402
from tests.support.small_networks import SHAPE, write_plain  # noqa: E402


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("micro_batch", [1, 4, 64])
def test_an_image_does_not_depend_on_its_batch(classes, micro_batch, tmp_path):
    both(tmp_path, "ddpm", shape=(9,), classes=classes, options={"micro_batch": micro_batch})
    session = ort.InferenceSession(tmp_path / "app.onnx")
    ids = np.arange(64, dtype=np.uint64)

    def images(part):
        feed = {"ids": ids[part]} | ({"label": (ids[part] % 3).astype(np.int64)} if classes else {})
        return session.run(["images"], feed)[0]

    whole = images(slice(None))
    for k in (0, 17, 63):
        assert (images(slice(k, k + 1))[0] == whole[k]).all()
    for cut in (1, 30, 33):
        assert (np.concatenate([images(slice(0, cut)), images(slice(cut, None))]) == whole).all()
    assert len({v.tobytes() for v in whole}) == 64


def test_bounds_without_end(tmp_path):
    both(tmp_path, "ddim", shape=(9,), options={"threshold": 0.9})
    session = ort.InferenceSession(tmp_path / "app.onnx")
    feed = {"ids": np.arange(3, dtype=np.uint64)}
    images = [
        session.run(["images"], feed | {"bounds": np.array([-far, far], np.float32)})[0] for far in (1e38, 3e38, np.inf)
    ]
    assert np.isfinite(images[0]).all()
    assert (images[0] == images[1]).all()
    assert (images[0] == images[2]).all()


@pytest.mark.parametrize("wrong", [-5, 2**40])
def test_labels_and_trace_out_of_range(wrong, tmp_path):
    """A label that is none means no class; any number but 0 asks for the trace."""
    write_plain(tmp_path / "net.onnx", classes=3)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=2, check=False)
    session = ort.InferenceSession(tmp_path / "app.onnx")
    ids = np.arange(2, dtype=np.uint64)
    none = session.run(["images"], {"ids": ids, "label": np.array([3, 1])})[0]
    assert (session.run(["images"], {"ids": ids, "label": np.array([wrong, 1])})[0] == none).all()
    trace = session.run(["trace_x"], {"ids": ids, "label": np.array([3, 1]), "trace": np.asarray(wrong)})[0]
    assert trace.shape == (2, 2, *SHAPE)
