import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.metrics.sample_folder import open_samples
from dtool.parts.filling import Filling, fill_folder
from dtool.parts.job import Job
from dtool.parts.manifest import Manifest, claim_folder


def closed_form(x, t):
    return x * 0.9


@pytest.fixture(params=["npz", "png"])
def filled(request, tmp_path):
    network = dtool.network(closed_form, shape=(1, 6, 6), schedule="linear", prediction="eps")
    job = Job(model=network, plans="ddim", steps=2, count=10, size=4)
    manifest = claim_folder(tmp_path, Manifest.of(job, request.param))
    fill_folder(Filling(job=job, folder=tmp_path, manifest=manifest), job.blocks)
    return tmp_path, dtool.sample(network, "ddim", steps=2, n=10).x0


def test_a_folder_of_blocks_is_read_in_the_order_of_the_ids(filled):
    folder, images = filled
    stream = open_samples(str(folder))
    assert (stream.count, stream.shape) == (10, (1, 6, 6))
    pieces = list(stream.pieces())
    assert [len(piece) for piece in pieces] == [4, 4, 2]
    joined = np.concatenate(pieces)
    if any(path.suffix == ".npz" for path in folder.iterdir()):
        assert np.array_equal(joined, images)
    else:  # 256 levels, none beyond the range
        assert np.abs(joined - images.clip(-1, 1)).max() <= 1.01 / 255


def test_a_missing_block_is_refused_with_the_remedy(filled):
    folder, _ = filled
    victim = min(path for path in folder.iterdir() if path.name.startswith("00000004"))
    victim.rename(folder / ".gone")
    with pytest.raises(DtoolError, match=f"{victim.name} is missing") as caught:
        list(open_samples(str(folder)).pieces())
    assert "--into" in caught.value.hint


def test_other_sources_are_read_as_they_are(tmp_path):
    path = tmp_path / "real.npz"
    np.savez(path, arr_0=np.full((3, 4, 4, 1), 255, np.uint8))
    assert (next(open_samples(str(path)).pieces()) == 1).all()
