"""A sampler's file guided against a weaker network: both are in it, and the weak one is called where it is compared."""

from __future__ import annotations

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from dtool.export.sampler.assembly import read  # noqa: E402
from tests.support.sampler_files import closeness  # noqa: E402
from tests.support.small_networks import write  # noqa: E402

SHAPE, STEPS = (2, 3, 4), 6
KINDS = {
    "plain": {},
    "classes": {"classes": 3},
    "variance": {"learned_variance": True, "classes": 3},
    "clipped": {"clip": True, "prediction": "v", "classes": 2},
}
RECIPES = [
    "ddim~2",
    "ddpm:sigma=tilde~2@-1.3:0.3",
    "dpmpp-2m~cfgpp:scale=0.6",
    "heun~cfg:scale=1.5,rescale=0.5",
    "ddim~0",
    "ddim~1.5@0.5:",
]


def export(folder, recipe, weak_fields=None, **options):
    fields = {"shape": SHAPE, **options.pop("fields", {})}
    write(folder / "net.onnx", **fields)
    write(folder / "weak.onnx", seed=1, **{**fields, **(weak_fields or {})})
    options.setdefault("check", False)
    dtool.export(
        folder / "net.onnx", folder / "app.onnx", plan=recipe, steps=STEPS, weak=folder / "weak.onnx", **options
    )
    host, weak = (dtool.load(folder / f"{name}.onnx") for name in ("net", "weak"))
    host.weak = weak
    return host, dtool.load(folder / "app.onnx", device="cpu")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_file_does_what_the_host_does(kind, recipe, tmp_path):
    host, fused = export(tmp_path, recipe, fields=KINDS[kind])
    one, other = (dtool.sample(net, fused.plan, n=5, seed=3) for net in (host, fused))
    assert closeness(one.x0, other.x0) < 1e-5
    assert one.evaluations == other.evaluations
    assert fused.is_autoguided


def test_the_export_is_compared_and_both_networks_are_found_again(tmp_path):
    host, fused = export(tmp_path, "dpmpp-2m~2", fields={"classes": 3}, check=True)
    sampler = read(onnx.load(tmp_path / "app.onnx"), "app.onnx")
    assert sampler.document["weak_sha256"] != sampler.document["weights_sha256"]
    x, t, label = np.ones((2, *SHAPE), np.float32), np.full(2, 500, np.float32), np.array([0, 2])
    for proto, network in ((sampler.network, host), (sampler.weak, host.weak)):
        (tmp_path / "again.onnx").write_bytes(proto.SerializeToString())
        again = dtool.load(tmp_path / "again.onnx")
        np.testing.assert_allclose(again.predict(x, t, label), network.predict(x, t, label), atol=1e-6)
    for scale in (1.0, 3.0, "1.5@-1.3:"):
        plan = "ddim" if isinstance(scale, str) else fused.plan
        options = {"steps": STEPS, "n": 3, "guidance": scale}
        one, other = (dtool.sample(net, plan, **options) for net in (host, fused))
        assert closeness(one.x0, other.x0) < 1e-5


def test_a_given_scale_and_an_image_to_begin_at(tmp_path):
    host, fused = export(tmp_path, "dpmpp-2m", inputs=("guidance", "image", "strength"), fields={"guidance": 1.0})
    image = np.random.default_rng(0).uniform(-1, 1, (3, *SHAPE)).astype(np.float32)
    for scale in (1.0, 2.5):
        edit = {"image": image, "strength": 0.5, "guidance": scale}
        one, other = (dtool.sample(net, fused.plan, **edit) for net in (host, fused))
        assert closeness(one.x0, other.x0) < 1e-5
        assert one.evaluations == other.evaluations == (3 if scale == 1 else 6)


@pytest.mark.parametrize(
    ("weak", "says"),
    [
        ({"shape": (2, 3, 5)}, "the weaker network has another shape"),
        ({"prediction": "v", "schedule": "cosine"}, "another prediction and another schedule"),
        ({"classes": 3}, "another conditions"),
    ],
)
def test_a_network_that_says_something_else_is_refused(weak, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        export(tmp_path, "ddim~2", weak_fields=weak)
    assert not (tmp_path / "app.onnx").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"plan": None}, "is for guidance, which is a sampler's"),
        ({"plan": "ddim"}, "no guidance compares with it"),
        ({"plan": "ddim~2", "half": True}, "half makes one network smaller, and there are two"),
        ({"plan": "ddim~2", "inputs": ("without",)}, "guidance compares with the weaker network"),
        ({"plan": "ddim~2", "out": "folder"}, "not into a folder"),
    ],
)
def test_where_it_has_no_place(options, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("net", "weak"):
        write(tmp_path / f"{name}.onnx", shape=SHAPE)
    out = options.pop("out", "app.onnx")
    with pytest.raises(UsageError, match=says):
        dtool.export("net.onnx", out, weak="weak.onnx", steps=3, **options)


def test_networks_of_two_opsets(tmp_path):
    write(tmp_path / "net.onnx", shape=SHAPE)
    write(tmp_path / "weak.onnx", shape=SHAPE, opset=19)
    with pytest.raises(DtoolError, match="are of opsets 20 and 19"):
        dtool.export(tmp_path / "net.onnx", tmp_path / "a.onnx", plan="ddim~2", weak=tmp_path / "weak.onnx")
