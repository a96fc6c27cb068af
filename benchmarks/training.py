"""How many images a second does training take in, plain and in the ways that are faster?

The same network, batch and seed in all ways, in turns of a few steps, the order reversed each round; ratios are of the
times in one round. The loss after as many steps of each stands beside them. `--threads 2` is what PyTorch may use
altogether: the plain way has them in each of its operations, and each of two replicas has one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from dtool.measure.machine import format_header
from dtool.measure.timing import format_spread, quartiles
from dtool.training.config import TrainConfig
from dtool.training.loop import Trainer
from dtool.training.session import start
from dtool.util.allocator import keep_large_blocks

IMAGES = 512


def make_trainers(size: int, batch: int, threads: int, folder: Path) -> dict[str, Trainer]:
    """The ways, each on the same images: blurred noise, so that there is something to learn."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (IMAGES, size // 8, size // 8, 3)).astype(np.uint8)
    np.savez(folder / "x.npz", x=small.repeat(8, axis=1).repeat(8, axis=2))
    ways: dict[str, dict[str, object]] = {"plain": {}, "bf16": {"mixed_precision": "bf16"}}
    if threads > 1:
        ways[f"{threads} replicas"] = {"replicas": threads}
        ways[f"{threads} replicas, bf16"] = {"replicas": threads, "mixed_precision": "bf16"}
    trainers = {}
    for name, settings in ways.items():
        torch.set_num_threads(threads)
        config = TrainConfig.model_validate({"steps": 10**6, "batch_size": batch, "prediction": "v", **settings})
        trainers[name] = start(str(folder / "x.npz"), folder / "m.pt", config, device="cpu").trainer
    return trainers


def main() -> None:
    """Print, for each way, its images per second by the clock and by the processor's time, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=2, help="of a turn")
    given = parser.parse_args()
    print(format_header(["dtool-diffusion", "numpy", "torch"]))
    with tempfile.TemporaryDirectory() as folder, keep_large_blocks():
        trainers = make_trainers(given.size, given.batch, given.threads, Path(folder))
        runs = {name: trainer.run() for name, trainer in trainers.items()}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        losses = {name: next(run).loss for name, run in runs.items()}
        for number in range(given.rounds):
            for name in list(runs) if number % 2 == 0 else reversed(runs):
                clock, processor = time.monotonic(), time.process_time()
                for _ in range(given.steps):
                    losses[name] = next(runs[name]).loss
                times[name].append((time.monotonic() - clock, time.process_time() - processor))
    images = given.steps * given.batch
    for name, own in times.items():
        turned = [list(zip(*one, strict=True)) for one in (own, times["plain"])]
        print(f"{name}, {given.threads} threads, {images} images a turn: loss {losses[name]:.4f}")
        for what, seconds, plain in zip(("by the clock", "of processor"), *turned, strict=True):
            ratios = [a / b for a, b in zip(plain, seconds, strict=True)]
            low, middle, high = quartiles(ratios)
            rate = images / quartiles(list(seconds))[1]
            ratio = f"{middle:.2f} ({low:.2f}-{high:.2f}) of plain"
            print(f"  {what}: {format_spread(list(seconds))}, {rate:.1f} images/s, {ratio}")


if __name__ == "__main__":
    main()
