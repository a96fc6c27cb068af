"""FID and its kin, and torch-fidelity where it is installed."""

import numpy as np
import pytest

from dtool.errors import DtoolError, UsageError
from dtool.metrics import Reference, evaluate, resolve_metric
from dtool.metrics.fidelity import convert_to_bytes, load_extractor
from dtool.metrics.frechet import plain_distance
from dtool.metrics.two_sample import cubic_kernel, pool_pair, u_statistic


def test_no_weights_no_download(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was opened"))
    images = np.zeros((8, 1, 8, 8))
    for name in ("fid", "kid", "fd-dinov2", "cmmd"):
        with pytest.raises(DtoolError, match="there is no file"):
            evaluate(f"{name}:weights={tmp_path / 'none.pth'}", images, images)
    with pytest.raises(UsageError, match="no network"):
        load_extractor("vgg", "x")


def test_bytes_are_clipped_rounded_and_grey_is_repeated():
    levels = convert_to_bytes(np.array([[[-1.5, -1.0], [0.0, 2.0]]]), (-1.0, 1.0))
    assert levels.shape == (1, 3, 2, 2)
    assert levels[0, 2].tolist() == [[0, 0], [128, 255]]
    with pytest.raises(UsageError, match="neither grey nor RGB"):
        convert_to_bytes(np.zeros((2, 4, 8, 8)), (0, 1))


def test_fid_and_kid_take_the_networks_features(monkeypatch, tmp_path):
    """Another network in place of Inception: features are what it makes of bytes, in batches."""
    torch = pytest.importorskip("torch")
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"")

    def network(x):
        assert x.dtype == torch.uint8
        return (x.float().mean(dim=(2, 3)) / 100,)

    monkeypatch.setattr("dtool.metrics.fidelity.load_extractor", lambda *_: network)
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 90, 3, 4, 4))
    wanted = [convert_to_bytes(v, (-1, 1)).mean(axis=(2, 3)) / 100 for v in (x, y)]
    figure = evaluate(f"fid:weights={weights}", x, y)
    assert figure.value == pytest.approx(plain_distance(*wanted), rel=1e-3)
    pool, a, b = pool_pair(*wanted)
    kid = evaluate(f"kid:weights={weights}", x, y, permutations=19)
    assert kid.value == pytest.approx(u_statistic(pool, cubic_kernel(pool))(a, b)[0], abs=1e-6)
    assert kid.p is not None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_torch_fidelity_says_the_same_of_the_same_features(seed):
    pytest.importorskip("torch_fidelity")
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    random = np.random.default_rng(seed)
    x, y = random.standard_normal((2, 80, 6))
    x = 0.8 * x + 0.3
    pair_of = [torch.from_numpy(v) for v in (x, y)]
    fid = fid_statistics_to_metric(*(fid_features_to_statistics(v) for v in pair_of), False)
    assert plain_distance(x, y) == pytest.approx(fid["frechet_inception_distance"], rel=1e-9)
    settings = {"kid_subsets": 1, "kid_subset_size": 80, "verbose": False}
    pool, a, b = pool_pair(x, y)
    kid = kid_features_to_metric(*pair_of, **settings)["kernel_inception_distance_mean"]
    assert u_statistic(pool, cubic_kernel(pool))(a, b)[0] == pytest.approx(kid, rel=1e-9)
    rbf = [
        kid_features_to_metric(*pair_of, kid_kernel="rbf", kid_kernel_rbf_sigma=w * pool.scale, **settings)[
            "kernel_inception_distance_mean"
        ]
        for w in (0.5, 1, 2)
    ]
    assert resolve_metric("mmd")(x, y) == pytest.approx(np.mean(rbf), rel=1e-9)
    prc = prc_features_to_metric(*[v.float() for v in pair_of], prc_neighborhood=3, verbose=False)
    for name, value in ((n, next(v for k, v in prc.items() if n in k)) for n in ("precision", "recall")):
        ours = {resolve_metric(name, k=3)(x, y), resolve_metric(name, k=3)(y, x)}
        assert any(value == pytest.approx(one, abs=1e-6) for one in ours), name


def test_torch_fidelitys_inception_from_a_file(tmp_path):
    """The real network with random weights in a file: loaded, run on grey images, nothing downloaded."""
    pytest.importorskip("torch_fidelity")
    import torch
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path / "inception.pth"
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        extractor = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(extractor.state_dict(), path)
    images = np.random.default_rng(0).uniform(-1, 1, (6, 1, 8, 8))
    metric = resolve_metric(f"fid:weights={path}")
    points = Reference(images).points(metric, images, None)
    wanted = extractor(torch.from_numpy(convert_to_bytes(images, (-1, 1))))[0].numpy()
    assert points == pytest.approx(wanted, abs=1e-5)
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no weights")
    with pytest.raises(DtoolError, match="does not hold the weights"):
        load_extractor("inception", str(bad))
