"""Metrics as plugins, the listing, classifiers in ONNX files, and torch-fidelity where it is installed."""

import json

import numpy as np
import pytest
from commandline import failed, ran

from dtool.errors import DtoolError, UsageError
from dtool.metrics import Classifier, Metric, Reference, evaluate, metric, named
from dtool.metrics.fidelity import as_bytes, extractor
from dtool.metrics.frechet import plain
from dtool.metrics.two_sample import cubic, pair, u_statistic
from dtool.plugins.registry import registry


@metric("spread", "spread of values", better="lower", minimum=3)
def spread_gap(samples, reference, *, power: float = 1.0):
    """A stranger's metric: the gap between standard deviations."""
    return abs(samples.std() ** power - reference.std() ** power)


def test_a_strangers_function_gets_it_all():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((60, 5)) * 1.5, random.standard_normal((80, 5))
    found = evaluate(spread_gap.bind(power=2.0), x, y, resamples=50, splits=30)
    assert found.n == found.m == 40
    assert found.z > 5
    assert found.low < found.value < found.high
    with pytest.raises(UsageError, match="spread needs 3 samples or more, and has 2"):
        spread_gap(x[:2], y)
    with pytest.raises(UsageError, match="has no option 'k'"):
        spread_gap.bind(k=3)


def test_every_metric_is_listed(capsys):
    shown = json.loads(ran(capsys, "metrics", "--json").out) if "metrics" in commands() else None
    if shown is None:
        pytest.skip("the command is not wired in yet")
    assert [item["name"] for item in shown] == [entry.name for entry in registry().metrics]
    assert [item["name"] for item in shown if item["headline"]] == ["mmd"]
    assert {item["better"] for item in shown} == {"lower", "higher"}
    one = ran(capsys, "metrics", "density")
    assert "higher" in one.out
    assert "nearest neighbours" in one.out
    failed(ran(capsys, "metrics", "mmb"), 2, "there is no metric 'mmb'", "mmd")


def commands():
    from dtool.cli.app import COMMANDS

    return COMMANDS


@pytest.mark.parametrize("entry", list(registry().metrics), ids=lambda entry: entry.name)
def test_every_metric_documents_itself(entry):
    found = entry.load()
    assert isinstance(found, Metric)
    assert found.doc
    assert found.title
    assert all(field.description for field in found.model.model_fields.values())
    for name in (entry.name, *entry.aliases):
        assert registry().metrics.get(name) is found


def test_tokens_are_read_and_written():
    assert named("density:k=3").token == "density:k=3"
    assert named("density:k=5").token == "density"
    assert named("frechet:extrapolate=false").features == "pooled"
    with pytest.raises(UsageError, match="there is no metric 'fdd'"):
        named("fdd")
    with pytest.raises(UsageError, match="weights"):
        named("fid")


@pytest.fixture
def onnx_classifier(tmp_path):
    """x (B, 1, 2, 2) → flatten → 4×3 product + bias → relu → 3×2 product (+ bias) → softmax, and its weights."""
    onnx = pytest.importorskip("onnx")
    random = np.random.default_rng(0)
    weights = {"w": (4, 3), "c": (3,), "v": (3, 2), "e": (2,)}
    made = {name: random.standard_normal(shape).astype(np.float32) for name, shape in weights.items()}
    node = onnx.helper.make_node
    nodes = [
        node("Flatten", ["x"], ["flat"]),
        node("Gemm", ["flat", "w", "c"], ["sum"]),
        node("Relu", ["sum"], ["seen"]),
        node("MatMul", ["seen", "v"], ["raw"]),
        node("Add", ["e", "raw"], ["scores"]),
        node("Softmax", ["scores"], ["p"]),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "c", [value("x", 1, ["B", 1, 2, 2])], [value("p", 1, ["B", 2])],
        [onnx.numpy_helper.from_array(v, k) for k, v in made.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "classifier.onnx"
    path.write_bytes(model.SerializeToString())
    return path, made


def test_the_last_layer_of_an_onnx_file(onnx_classifier):
    pytest.importorskip("onnxruntime")
    path, made = onnx_classifier
    images = np.random.default_rng(1).uniform(-1, 1, (1200, 1, 2, 2)).astype(np.float32)
    classify = Classifier(path, expects=(0.0, 1.0), device="cpu")
    seen = np.maximum((images.reshape(-1, 4) + 1) / 2 @ made["w"] + made["c"], 0)
    assert classify.features(images) == pytest.approx(seen, abs=1e-5)
    scores = seen @ made["v"] + made["e"]
    assert (classify(images).argmax(axis=1) == scores.argmax(axis=1)).all()
    reference = Reference(images, scores.argmax(axis=1), classifier=classify)
    assert evaluate("agreement", images[:50], reference, labels=scores.argmax(axis=1)[:50]).value == 1
    found = evaluate("fd-features:extrapolate=false", images[:600] * 0.5, reference, resamples=10, splits=10)
    assert found.value == pytest.approx(plain(classify.features(images[:600] * 0.5).astype(float), seen), rel=1e-3)
    with pytest.raises(DtoolError, match="cannot classify images"):
        classify(np.zeros((3, 7)))
    with pytest.raises(DtoolError, match="there is no file"):
        Classifier(path.parent / "none.onnx")


def test_no_weights_no_download(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was opened"))
    images = np.zeros((8, 1, 8, 8))
    for name in ("fid", "kid", "fd-dinov2", "cmmd"):
        with pytest.raises(DtoolError, match="there is no file"):
            evaluate(f"{name}:weights={tmp_path / 'none.pth'}", images, images)
    with pytest.raises(UsageError, match="no network"):
        extractor("vgg", "x")


def test_bytes_are_clipped_rounded_and_grey_is_repeated():
    made = as_bytes(np.array([[[-1.5, -1.0], [0.0, 2.0]]]), (-1.0, 1.0))
    assert made.shape == (1, 3, 2, 2)
    assert made[0, 2].tolist() == [[0, 0], [128, 255]]
    with pytest.raises(UsageError, match="neither grey nor RGB"):
        as_bytes(np.zeros((2, 4, 8, 8)), (0, 1))


def test_fid_and_kid_take_the_networks_features(monkeypatch, tmp_path):
    """Another network in place of Inception: features are what it makes of bytes, in batches."""
    torch = pytest.importorskip("torch")
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"")

    def network(x):
        assert x.dtype == torch.uint8
        return (x.float().mean(dim=(2, 3)) / 100,)

    monkeypatch.setattr("dtool.metrics.fidelity.extractor", lambda *_: network)
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 90, 3, 4, 4))
    wanted = [as_bytes(v, (-1, 1)).mean(axis=(2, 3)) / 100 for v in (x, y)]
    found = evaluate(f"fid:weights={weights}", x, y)
    assert found.value == pytest.approx(plain(*wanted), rel=1e-3)
    pool, a, b = pair(*wanted)
    kid = evaluate(f"kid:weights={weights}", x, y, permutations=19)
    assert kid.value == pytest.approx(u_statistic(pool, cubic(pool))(a, b)[0], abs=1e-6)
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
    assert plain(x, y) == pytest.approx(fid["frechet_inception_distance"], rel=1e-9)
    settings = {"kid_subsets": 1, "kid_subset_size": 80, "verbose": False}
    pool, a, b = pair(x, y)
    kid = kid_features_to_metric(*pair_of, **settings)["kernel_inception_distance_mean"]
    assert u_statistic(pool, cubic(pool))(a, b)[0] == pytest.approx(kid, rel=1e-9)
    rbf = [
        kid_features_to_metric(*pair_of, kid_kernel="rbf", kid_kernel_rbf_sigma=w * pool.scale, **settings)[
            "kernel_inception_distance_mean"
        ]
        for w in (0.5, 1, 2)
    ]
    assert named("mmd")(x, y) == pytest.approx(np.mean(rbf), rel=1e-9)
    prc = prc_features_to_metric(*[v.float() for v in pair_of], prc_neighborhood=3, verbose=False)
    for name, value in ((n, next(v for k, v in prc.items() if n in k)) for n in ("precision", "recall")):
        ours = {named(name, k=3)(x, y), named(name, k=3)(y, x)}
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
        made = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(made.state_dict(), path)
    images = np.random.default_rng(0).uniform(-1, 1, (6, 1, 8, 8))
    found = named(f"fid:weights={path}")
    points = Reference(images).points(found, images, None)
    wanted = made(torch.from_numpy(as_bytes(images, (-1, 1))))[0].numpy()
    assert points == pytest.approx(wanted, abs=1e-5)
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"no weights")
    with pytest.raises(DtoolError, match="does not hold the weights"):
        extractor("inception", str(bad))
