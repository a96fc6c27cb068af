"""How good the package's network is: a classifier's verdict on its samples.

A small CNN is trained on the first 9,000 MNIST images of DATA and examined on the other 1,000; then it looks at samples
of the network and says how many it recognises as the class that was asked for.

    python benchmarks/digits_quality.py                              # the network inside the package
    python benchmarks/digits_quality.py model.pt --guidance 1 1.5 2 --per-class 100
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from numpy.typing import NDArray
from torch import Tensor, nn

import dtool
from dtool.data.images import load

MNIST = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"
TRAINING_PART = 9_000


def classifier() -> nn.Module:
    """28x28 pixels → ten logits; about 0.2 million parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(64 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each batch moved by up to two pixels: the only augmentation."""
    down, right = torch.randint(-2, 3, (2,), generator=generator).tolist()
    return x.roll((down, right), dims=(2, 3))


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    """Adam, batches of 64, one cycle of the learning rate."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters())
    steps = epochs * (len(x) // 64)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for index in torch.randperm(len(x), generator=generator)[: len(x) // 64 * 64].split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(shifted(x[index], generator)), y[index]).backward()
            optimizer.step()
            rate.step()
    model.eval()


@torch.no_grad()
def verdict(model: nn.Module, x: NDArray[np.float32] | Tensor) -> NDArray[np.int64]:
    """The class that the model sees in each image."""
    parts = [model(part).argmax(dim=1) for part in torch.as_tensor(x).split(500)]
    return torch.cat(parts).numpy()


def main() -> None:
    """Print the classifier's accuracy, then a line for each guidance scale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a checkpoint or exported file [default: the package's network]")
    parser.add_argument("--data", default=str(MNIST))
    parser.add_argument("--recipe", default="ddpm")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, nargs="*", default=[None], help="[default: the network's own]")
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args()

    images = load(given.data)
    assert images.labels is not None, "the data need labels"
    x, y = torch.from_numpy(images.take()), torch.from_numpy(images.labels)
    torch.manual_seed(0)
    judge = classifier()
    train(judge, x[:TRAINING_PART], y[:TRAINING_PART], given.epochs)
    right = verdict(judge, x[TRAINING_PART:]) == y[TRAINING_PART:].numpy()
    print(f"classifier: {right.mean():.2%} of {len(right)} images held back", flush=True)

    network = dtool.load(given.model) if given.model else dtool.default_network()
    for guidance in given.guidance:
        count = 10 * given.per_class
        drawn = dtool.sample(network, given.recipe, steps=given.steps, n=count, guidance=guidance, batch_size=50)
        right = verdict(judge, drawn.x0) == np.asarray(drawn.labels)
        each = "  ".join(f"{k}: {right[np.asarray(drawn.labels) == k].mean():.0%}" for k in range(10))
        scale = network.spec.guidance if guidance is None else guidance
        print(
            f"{given.recipe}, {given.steps} steps, guidance {scale:g}: {right.mean():.2%} recognised ({each})",
            flush=True,
        )


if __name__ == "__main__":
    main()
