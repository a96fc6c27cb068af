"""Networks to export, and what an export of them is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import dtool
from dtool.models.spec import NetworkSpec

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from torch import nn  # noqa: E402

from dtool.export.report import ExportReport  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.models.unet import UNetConfig  # noqa: E402


class Tanh(nn.Module):
    def forward(self, x, _t):
        return x.tanh()


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


def make_unet(folder: Path) -> tuple[Path, nn.Module, NetworkSpec]:
    spec = NetworkSpec(shape=(1, 9, 7), schedule="cosine", classes=3, guidance=2.0, clip=True)
    config = UNetConfig(channels=1, width=8, multipliers=(1, 2), classes=3)
    blank = checkpoint.UNet(config).state_dict()
    random = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(value.shape, generator=random) * 0.1 for name, value in blank.items()}
    path = checkpoint.save(folder / "model.pt", spec=spec, config=config, state_dict=weights)
    return path, checkpoint.read(path).build(), spec
