"""How far pictures are from the truth: PSNR, structural similarity, and the distance in a small classifier's features.

All take pictures (N, C, H, W) in -1 … 1 and answer a number for each.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from numpy.typing import NDArray
from skimage.metrics import structural_similarity  # type: ignore[import-untyped]
from torch import Tensor, nn

from dtool.data.images import Images

Array = NDArray[np.float32]
EPOCHS, BATCH = 8, 64


def compute_psnr(pictures: Array, truth: Array) -> Array:
    """The peak signal-to-noise ratio (N,) in dB, for a range of 2."""
    return 10 * np.log10(4 / np.square(np.clip(pictures, -1, 1) - truth).mean(axis=(1, 2, 3)).clip(1e-10))


def compute_ssim(pictures: Array, truth: Array) -> Array:
    """The structural similarity (N,), 1 for the same picture: scikit-image's, windows of 7x7 pixels."""
    pairs = zip(np.clip(pictures, -1, 1), truth, strict=True)
    return np.array([structural_similarity(a, b, data_range=2, channel_axis=0) for a, b in pairs], np.float32)


class Classifier(nn.Module):
    """Four convolutions, each but the first halving the size: of what class a picture is."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, stride=1 if i == 3 else 2, padding=1), nn.BatchNorm2d(o), nn.ReLU())
            for i, o in pairwise(widths)
        )
        self.last = nn.Linear(widths[-1], classes)

    def list_features(self, x: Tensor) -> list[Tensor]:
        """What each layer says, (N, C, h, w)."""
        features: list[Tensor] = []
        for layer in self.layers:
            features.append(layer(features[-1] if features else x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes)."""
        logits: Tensor = self.last(self.list_features(x)[-1].mean(dim=(2, 3)))
        return logits


def train_classifier(images: Images, seed: int = 0) -> Classifier:
    """A classifier of the images' classes, in eval mode."""
    assert images.labels is not None
    torch.manual_seed(seed)
    network = Classifier(len(images.class_names))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(images)).split(BATCH):
            x, y = torch.from_numpy(images.take(index.numpy())), torch.from_numpy(images.labels[index.numpy()])
            optimizer.zero_grad()
            F.cross_entropy(network(torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(-1), x)), y).backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def compute_accuracy(network: Classifier, images: Images) -> float:
    """The share of the images whose class it finds."""
    found = network(torch.from_numpy(images.take())).argmax(1).numpy()
    return float((found == images.labels).mean())


@torch.no_grad()
def compute_feature_distance(network: Classifier, pictures: Array, truth: Array) -> Array:
    """The mean over the layers of the squared distance of features of unit length: LPIPS (arXiv:1801.03924, eq. 1),

    with all weights 1, and a network that has seen such pictures alone.
    """
    total = torch.zeros(len(truth))
    pairs = (network.list_features(torch.from_numpy(np.clip(one, -1, 1))) for one in (pictures, truth))
    layers = list(zip(*pairs, strict=True))
    for own, true in layers:
        total += (F.normalize(own, dim=1) - F.normalize(true, dim=1)).square().sum(1).mean(dim=(1, 2))
    distance: Array = (total / len(layers)).numpy()
    return distance
