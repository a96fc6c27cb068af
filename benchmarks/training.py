"""How many images a second does training take in, plain and in the ways that are faster?

The same network, batch and seed in all ways, each in a process of its own, in turns of a few steps, the order reversed
each round; ratios are of the times in one round. The loss after as many steps of each stands beside them. `--threads 2`
is what PyTorch may use altogether: the plain way has them in each of its operations, and each of two replicas has one.
`--before CHECKOUT`: the plain way of dtool as it was in another checkout of it is the first, and what others are
compared with.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

IMAGES = 512


class Way:
    """A process that trains in one way, and takes turns: its name, settings, and the checkout whose dtool it is."""

    def __init__(self, name: str, settings: dict[str, object], given: argparse.Namespace, checkout: str | None) -> None:
        self.name, self.times, self.loss = name, [], float("nan")  # type: tuple[str, list[tuple[float, float]], float]
        told = {"size": given.size, "threads": given.threads, "settings": {"batch_size": given.batch, **settings}}
        command = [sys.executable, __file__, "--way", json.dumps(told)]
        environment = os.environ | ({} if checkout is None else {"PYTHONPATH": checkout})
        self._process = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.take_turn(1, counted=False)

    def take_turn(self, steps: int, *, counted: bool = True) -> None:
        """Let it make so many steps, while no other does."""
        question, answers = self._process.stdin, self._process.stdout
        assert question is not None, "it has a pipe"
        assert answers is not None, "it has a pipe"
        question.write(f"{steps}\n")
        question.flush()
        clock, processor, self.loss = json.loads(answers.readline())
        if counted:
            self.times.append((clock, processor))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(way: dict[str, Any], questions: IO[str]) -> None:
    """The process of a way: for each line that it reads, so many steps; it answers the seconds and the loss."""
    from dtool.training.config import TrainConfig
    from dtool.training.session import start

    torch.set_num_threads(way["threads"])
    size, rng = way["size"], np.random.default_rng(0)
    # blurred noise, so that there is something to learn
    small = rng.integers(0, 256, (IMAGES, -(-size // 8), -(-size // 8), 3)).astype(np.uint8)
    config = TrainConfig.model_validate({"steps": 10**6, "prediction": "v", **way["settings"]})
    with tempfile.TemporaryDirectory() as folder, keep_blocks():
        np.savez(Path(folder) / "x.npz", x=small.repeat(8, axis=1).repeat(8, axis=2)[:, :size, :size])
        run = start(f"{folder}/x.npz", Path(folder) / "m.pt", config, device="cpu").trainer.run()
        for question in questions:
            clock, processor = time.monotonic(), time.process_time()
            for _ in range(int(question)):
                loss = next(run).loss
            print(json.dumps([time.monotonic() - clock, time.process_time() - processor, loss]), flush=True)


def keep_blocks() -> contextlib.AbstractContextManager[None]:
    """What a session does about the allocator around its steps; nothing where the checkout's does nothing."""
    try:
        from dtool.util.allocator import keep_large_blocks
    except ImportError:
        return contextlib.nullcontext()
    return keep_large_blocks()


def start_ways(given: argparse.Namespace) -> list[Way]:
    """The first is what all others are compared with."""
    settings: dict[str, dict[str, object]] = {"plain": {}, "bf16": {"mixed_precision": "bf16"}}
    if given.threads > 1:
        settings[f"{given.threads} replicas"] = {"replicas": given.threads}
        settings[f"{given.threads} replicas, bf16"] = {"replicas": given.threads, "mixed_precision": "bf16"}
    before = [] if given.before is None else [Way("plain, before", {}, given, given.before)]
    return before + [Way(name, own, given, None) for name, own in settings.items()]


def print_ways(ways: list[Way], images: int) -> None:
    """Of each: its images per second by the clock and by the processor's time, and the ratios to the first."""
    from dtool.measure.timing import format_spread, quartiles

    for way in ways:
        turned = [list(zip(*one.times, strict=True)) for one in (way, ways[0])]
        print(f"{way.name}: {images} images a turn, loss {way.loss:.4f}")
        for what, seconds, first in zip(("by the clock", "of processor"), *turned, strict=True):
            low, middle, high = quartiles([a / b for a, b in zip(first, seconds, strict=True)])
            rate = images / quartiles(list(seconds))[1]
            ratio = f"{middle:.2f} ({low:.2f}-{high:.2f}) of {ways[0].name}"
            print(f"  {what}: {format_spread(list(seconds))}, {rate:.1f} images/s, {ratio}")


def main() -> None:
    """Run the ways in turns, and print what they took."""
    from dtool.measure.machine import format_header

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=2, help="of a turn")
    parser.add_argument("--before", help="another checkout of dtool")
    given = parser.parse_args()
    print(format_header(["dtool-diffusion", "numpy", "torch"]))
    ways = start_ways(given)
    for number in range(given.rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            way.take_turn(given.steps)
    for way in ways:
        way.close()
    print_ways(ways, given.steps * given.batch)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        serve(json.loads(sys.argv[2]), sys.stdin)
    else:
        main()
