"""Export: the file computes what PyTorch computes, says what it is, tells nothing else, and is whole or not there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.networks.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402 - after the check that torch is there

from dtool.export import graph  # noqa: E402
from dtool.export.report import ExportReport  # noqa: E402
from dtool.networks import checkpoint  # noqa: E402
from dtool.networks.unet import UNetConfig  # noqa: E402

PLAIN = NetworkSpec(shape=(2, 3), schedule="linear")


class Convolutions(nn.Module):
    """Depends on x, t and the label, if there are classes."""

    def __init__(self, channels: int, width: int, classes: int = 0) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, channels, 3, padding=1)
        self.norm, self.time, self.drop = nn.GroupNorm(2, width), nn.Linear(2, width), nn.Dropout(0.5)
        self.label = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, x, t, label=None):
        embedding = self.time(torch.stack([torch.sin(t / 50), torch.cos(t / 50)], dim=1))
        if self.label is not None:
            embedding = embedding + self.label(label)
        return self.last(self.drop(torch.nn.functional.silu(self.norm(self.first(x)) + embedding[:, :, None, None])))


class Layers(nn.Module):
    """A network of vectors."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size + 1, 16), nn.SiLU(), nn.Linear(16, size))

    def forward(self, x, t):
        return self.layers(torch.cat([x, t[:, None] / 1000], dim=1))


@dataclass
class Exported:
    module: nn.Module
    spec: NetworkSpec
    report: ExportReport

    def report_last(self) -> float:
        return dtool.load(self.report.path).schedule.T - 1.0

    def session(self):
        return onnxruntime.InferenceSession(self.report.path, providers=["CPUExecutionProvider"])

    def inputs(self, batch: int, seed: int = 3):
        random = np.random.default_rng(seed)
        x = random.standard_normal((batch, *self.spec.shape), dtype=np.float32)
        t = random.uniform(0, 900, batch).astype(np.float32)
        label = random.integers(0, self.spec.classes + 1, batch)
        return {"x": x, "t": t, "label": label} if self.spec.classes else {"x": x, "t": t}

    def difference(self, inputs) -> float:
        got = self.session().run(None, inputs)[0]
        with torch.no_grad():
            wanted = self.module(*(torch.from_numpy(value) for value in inputs.values())).numpy()
        assert np.abs(wanted).max() > 0.01  # else nothing is compared
        return float(np.abs(got - wanted).max())


def _unet(folder: Path) -> tuple[Path, nn.Module, NetworkSpec]:
    spec = NetworkSpec(shape=(1, 9, 7), schedule="cosine", classes=3, guidance=2.0, clip=True)
    config = UNetConfig(channels=1, width=8, multipliers=(1, 2), classes=3)
    blank = checkpoint.UNet(config).state_dict()
    random = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(value.shape, generator=random) * 0.1 for name, value in blank.items()}
    path = checkpoint.save(folder / "model.pt", spec=spec, config=config, state_dict=weights)
    return path, checkpoint.read(path).build(), spec


@pytest.fixture(scope="module", params=["unet", "colour", "vectors"])
def exported(request, tmp_path_factory) -> Exported:
    """Networks of other widths, shapes, predictions and schedules; exporting takes seconds, so each only once."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    net = None
    if request.param == "unet":
        net, module, spec = _unet(folder)
    elif request.param == "colour":
        spec = NetworkSpec(shape=(3, 4, 6), schedule="vp", prediction="v", classes=4, class_names=("a", "b", "c", "d"))
        module = Convolutions(3, 12, classes=4).eval()
    else:
        spec = NetworkSpec(shape=(5,), schedule="betas", betas=(0.1, 0.2, 0.4), prediction="x0", data_range=(0.0, 1.0))
        module = Layers(5)
    steps = 10 if net else 50  # the U-Net is slow
    return Exported(module, spec, dtool.export(net or (module, spec), folder / "net.onnx", steps=steps))


def test_one_file_and_nothing_else(exported):
    left = {path.name for path in exported.report.path.parent.iterdir()} - {"model.pt"}
    assert left == {"net.onnx"}
    assert exported.report.size == exported.report.path.stat().st_size


@pytest.mark.parametrize("batch", [1, 3, 17])
def test_agrees_with_pytorch_at_batches_not_seen_at_export(exported, batch):
    assert exported.difference(exported.inputs(batch)) < 1e-5


def test_agrees_with_pytorch_for_no_class_and_at_both_ends(exported):
    last = exported.report_last()
    for time in (0.0, last / 3, last):
        inputs = exported.inputs(2) | {"t": np.full(2, time, dtype=np.float32)}
        if exported.spec.classes:
            inputs["label"] = np.full(2, exported.spec.classes)
        assert exported.difference(inputs) < 1e-5


def test_whole_runs_agree(exported):
    """With another sampler, other images and more of them than the export itself compared."""
    networks = (
        dtool.load(exported.report.path, device="cpu"),
        dtool.load(exported.module, spec=exported.spec, device="cpu"),
    )
    assert [network.backend for network in networks] == ["onnxruntime", "torch"]
    steps = min(12, networks[0].schedule.T)
    one, other = (dtool.sample(network, "ddpm", n=3, seed=5, steps=steps).x0 for network in networks)
    assert np.abs(one - other).max() < 1e-4
    assert np.abs(one[0] - one[1]).max() > 0.01


def test_inputs_and_output(exported):
    session, spec = exported.session(), exported.spec
    inputs = {node.name: (node.type, node.shape) for node in session.get_inputs()}
    expected = {"x": ("tensor(float)", ["batch", *spec.shape]), "t": ("tensor(float)", ["batch"])}
    assert inputs == expected | ({"label": ("tensor(int64)", ["batch"])} if spec.classes else {})
    (output,) = session.get_outputs()
    assert (output.type, output.shape) == ("tensor(float)", ["batch", *spec.shape])
    proto = onnx.load(exported.report.path)
    assert proto.ir_version == 10
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 20)]


def test_metadata_comes_back(exported):
    found = exported.session().get_modelmeta().custom_metadata_map
    document = json.loads(found["dtool"])
    assert NetworkSpec.read(json.dumps(document["spec"]), "test") == exported.spec
    assert dtool.load(exported.report.path).spec == exported.spec
    assert document["format"] == 1
    assert document["opset"] == exported.report.opset == 20
    assert document["versions"] == {"dtool": dtool.__version__, "torch": torch.__version__, "onnx": onnx.__version__}
    plain = {key: value for key, value in found.items() if key != "dtool"}
    spec = exported.spec
    assert plain == {
        "schedule": spec.schedule,
        "prediction": spec.prediction,
        "shape": "x".join(map(str, spec.shape)),
        "classes": str(spec.classes),
    }


def test_hash_of_the_weights_can_be_computed_from_the_file(exported):
    proto = onnx.load(exported.report.path)
    digest = hashlib.sha256()
    for tensor in sorted(proto.graph.initializer, key=lambda tensor: tensor.name):
        digest.update(tensor.raw_data)
    document = json.loads({p.key: p.value for p in proto.metadata_props}["dtool"])
    assert document["weights_sha256"] == exported.report.weights_sha256 == digest.hexdigest()
    stored = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    assert stored >= 4 * sum(
        weight.numel() for name, weight in exported.module.named_parameters() if "norm" not in name
    )


def test_no_trace_of_where_it_was_made(exported):
    content = exported.report.path.read_bytes()
    for trace in (
        str(Path.cwd()),
        str(Path(dtool.__file__).parent),
        "site-packages",
        ".py",
        "stack_trace",
        "unet.UNet",
    ):
        assert trace.encode() not in content
    for message in graph.walk(onnx.load(exported.report.path)):
        assert not getattr(message, "doc_string", "")
        assert isinstance(message, onnx.ModelProto) or not list(getattr(message, "metadata_props", ()))


def test_the_report(exported):
    report = exported.report
    assert 0 <= report.largest <= 1e-4
    assert report.largest == max(c.difference for c in report.comparisons)
    steps = {"betas": 3, "cosine": 10}.get(exported.spec.schedule, 50)
    batches = [f"one call, batch {n}, t = 0" for n in (1, 2, 5, 16)]
    assert [c.what[: len(b)] for c, b in zip(report.comparisons, batches, strict=False)] == batches
    assert report.comparisons[-1].what == f"4 images, {steps} steps of DDIM"
    text = str(report).splitlines()
    assert text[0].startswith(f"{report.path}: ")
    assert text[-1] == f"largest difference from PyTorch {report.largest:.1e}, allowed 1e-04"


class IgnoresTime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(3, 3), nn.Dropout(0.5)

    def forward(self, x, _t):
        return self.drop(self.layer(x))


def test_an_input_that_is_not_used_stays_and_the_module_is_left_alone(tmp_path, capfd):
    module = IgnoresTime().double().train()
    report = dtool.export((module, PLAIN), tmp_path / "net.onnx", steps=3)
    assert module.training
    assert next(module.parameters()).dtype == torch.float64
    assert next(module.parameters()).requires_grad
    assert report.comparisons[-1].what == "4 images, 3 steps of DDIM"
    assert [i.name for i in onnx.load(report.path).graph.input] == ["x", "t"]
    assert capfd.readouterr() == ("", "")
