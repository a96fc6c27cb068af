"""Networks that several files of this room run."""

import pytest

import dtool
from dtool.models.network import Network
from tests.support.gaussian import SHAPE, gaussian_eps


@pytest.fixture
def net() -> Network:
    return dtool.network(gaussian_eps(), shape=SHAPE)


SHAPES = [(5,), (1, 4, 4), (3, 3, 5)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Networks of random weights by name, as files."""
    pytest.importorskip("onnx")
    from tests.support import small_networks

    folder = tmp_path_factory.mktemp("device")
    kinds = {
        "eps": {}, "v": {"prediction": "v"}, "x0": {"prediction": "x0"}, "clip": {"clip": True},
        "classes": {"classes": 3}, "learned": {"learned_variance": True, "classes": 3},
    }  # fmt: skip
    for k, (name, fields) in enumerate(kinds.items()):
        small_networks.write(folder / f"{name}.onnx", seed=k, shape=SHAPES[k % 3], waves=True, **fields)
    return folder
