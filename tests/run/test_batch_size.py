"""More images in a call where that changes no bit of any, and only there."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

import dtool
from dtool.run import batch_size

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from tests.support.sampler_files import form
from tests.support.small_networks import SHAPE, write_plain


@pytest.mark.parametrize("doubled", [False, True])
def test_they_run_together_where_no_bit_changes(doubled, tmp_path):
    net = write_plain(tmp_path / "net.onnx", classes=3 * doubled)
    assert net.micro_batch == 1
    assert batch_size.find_invariant_batch(net, 64, doubled) == batch_size.MAX_MICRO_BATCHES


@pytest.mark.parametrize("leak", [1e-6, 1e-3])
def test_and_alone_where_one_does(leak, tmp_path):
    net = write_plain(tmp_path / "net.onnx", leak=leak)
    assert batch_size.find_invariant_batch(net, 64, False) == 1
    many = dtool.sample(net, "ddim", steps=30, n=9)
    for k in (0, 5, 8):
        assert (dtool.sample(net, "ddim", steps=30, ids=[k]).x0[0] == many.x0[k]).all()


def test_a_network_that_takes_one_image_only(tmp_path):
    net = write_plain(tmp_path / "net.onnx", only_one=True)
    assert dtool.sample(net, "ddim", steps=30, n=9).x0.shape == (9, *SHAPE)
    assert net.invariant_sizes == {(batch_size.MAX_MICRO_BATCHES, False): False}


@pytest.mark.parametrize("count", [1, 2, 5, 8, 63, 64])
@pytest.mark.parametrize("rows", [1, 300])
def test_the_sizes_cover_the_images(count, rows, tmp_path):
    net = write_plain(tmp_path / "net.onnx")
    sizes = batch_size.choose_call_sizes(net, count, np.zeros(rows, bool))
    assert sum(sizes) == count
    assert set(sizes) <= {1, 2, 4, batch_size.MAX_MICRO_BATCHES}
    assert rows < 300 or count < 2 or sizes[0] == min(batch_size.MAX_MICRO_BATCHES, 1 << count.bit_length() - 1)


def test_large_images_are_not_put_together(tmp_path):
    net = write_plain(tmp_path / "net.onnx")
    net.spec = net.spec.model_copy(update={"shape": (3, 64, 64)})
    assert prod(net.shape) > batch_size.NUMBERS_PER_CALL
    assert batch_size.find_invariant_batch(net, 64, False) == 1


@pytest.mark.parametrize("seed", [0, 5, 2**60])
def test_a_batch_is_its_images_and_progress_ends(seed, tmp_path):
    net = write_plain(tmp_path / "net.onnx", classes=4)
    seen = []
    options = {"steps": 12, "seed": seed, "guidance": 2.5}
    many = dtool.sample(net, "ddpm", n=11, progress=lambda done, total: seen.append((done, total)), **options)
    assert net.invariant_sizes == {(batch_size.MAX_MICRO_BATCHES, True): True}
    assert seen[-1] == (12 * 4, 12 * 4)  # one call of eight images, three of one
    alone = [dtool.sample(net, "ddpm", ids=[k], labels=k % 4, **options).x0[0] for k in range(11)]
    assert (np.stack(alone) == many.x0).all()
    assert (dtool.sample(net, "ddpm", n=11, batch_size=1, **options).x0 == many.x0).all()


def test_a_file_that_was_made_even_elsewhere_is_tried_out_here(tmp_path, monkeypatch):
    """Another machine's kernels may add in another order: what runs the file tries for itself."""
    monkeypatch.setattr("dtool.export.sampler.balanced_batches._has_same_bits", lambda *_: True)
    write_plain(tmp_path / "net.onnx", leak=1e-6)
    monkeypatch.setattr("dtool.export.sampler.parity._check_default_invariance", lambda _: None)
    dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddim", steps=4)
    assert form(tmp_path / "app.onnx")["even"]
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    many = dtool.sample(file, "ddim", steps=40, n=9)
    assert file.invariant_sizes == {(batch_size.MAX_MICRO_BATCHES, False): False}
    assert (dtool.sample(file, "ddim", steps=40, ids=[7]).x0[0] == many.x0[7]).all()


def test_images_of_one_size_are_run_some_together():
    """(size of the micro-batches, how many images) of each call."""
    assert batch_size.group_calls([4, 4, 4, 4, 3], 8) == [(4, 8), (4, 8), (3, 3)]
    assert batch_size.group_calls([4, 4, 4], 1) == [(4, 4), (4, 4), (4, 4)]
    assert batch_size.group_calls([], 8) == []
