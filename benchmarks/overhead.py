"""What does the plan cost? A whole run of dtool.sample against calling the bare network as often, at batch 1.

`python benchmarks/overhead.py [--onnx FILE] [--checkpoint FILE]`: by default the network inside the package on ONNX
Runtime, and on PyTorch a U-Net of the default size, which is that network's, with random weights. The target is 1.03.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dtool
from dtool.bench.bare_network import make_bare_run
from dtool.measure.machine import format_header
from dtool.measure.timing import format_spread, quartiles, ratios, time_in_turns
from dtool.models.network import Network
from dtool.onnx.bound_arrays import BufferPool

RECIPES = ("ddim", "ddpm", "dpmpp-2m")
TARGET = 1.03


def main() -> None:
    """Print, for each backend and recipe, both times and the two ratios."""
    given = _arguments()
    packages = ["dtool-diffusion", "numpy", "onnxruntime", "torch"]
    print(format_header(packages))
    print(f"batch 1, {given.steps} steps, no guidance, {given.rounds} rounds in turns, median (quartiles)")
    print("side by side: the ratio of the two times in each round; within a run: its time over that of its calls")
    print(f"target {TARGET}\n")
    for network, what in _networks(given):
        print(f"{network.backend}: {what}")
        for recipe in RECIPES:
            _report(network, recipe, given.steps, given.rounds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnx", type=Path, help="an exported network instead of the one inside the package")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint for PyTorch")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int, help="limit PyTorch's threads; ONNX Runtime has its default")
    return parser.parse_args()


def _networks(given: argparse.Namespace) -> Iterator[tuple[Network, str]]:
    spec = None
    try:
        network = dtool.load(given.onnx, device="cpu") if given.onnx else dtool.default_network(device="cpu")
        spec = network.spec
        yield network, str(given.onnx or "the network inside the package")
    except dtool.DtoolError as error:
        print(f"onnxruntime: skipped ({error})")
    if importlib.util.find_spec("torch") is None:
        print("torch: skipped (not installed)")
        return
    import torch

    if given.threads:
        torch.set_num_threads(given.threads)
    if given.checkpoint:
        yield dtool.load(given.checkpoint, device="cpu"), str(given.checkpoint)
        return
    from dtool.models.unet import UNet, UNetConfig

    spec = spec or dtool.NetworkSpec(shape=(1, 28, 28), schedule="linear", classes=10, clip=True)
    torch.manual_seed(0)
    module = UNet(UNetConfig.for_shape(spec.shape, classes=spec.classes))
    for weight in module.parameters():  # the last layers start at zero, which nobody's network has
        torch.nn.init.normal_(weight, std=0.02)
    yield dtool.load(module, spec=spec, device="cpu"), "a U-Net of the default size, random weights"


def _report(network: Network, recipe: str, steps: int, rounds: int) -> None:
    plan = dtool.plan(recipe, steps=steps, network=network)

    def sampled() -> Any:
        guidance = 1.0 if network.classes else None
        return dtool.sample(network, plan, n=1, guidance=guidance, labels=3 if network.classes else None)

    whole, alone = time_in_turns([sampled, make_bare_run(network, plan.rows, batch=1)], rounds)
    own = [_within(network, sampled) for _ in range(rounds)]
    print(f"  {recipe:9} sample {format_spread(whole)}   bare {format_spread(alone)}")
    for what, values in (("side by side", ratios(whole, alone)), ("within a run", own)):
        low, middle, high = quartiles(values)
        print(f"    {what} {middle:.4f} ({low:.4f} … {high:.4f}){'' if middle <= TARGET else '   ABOVE THE TARGET'}")


class _Timed:
    """A session or a module that adds up the seconds spent in it."""

    def __init__(self, target: Any) -> None:
        self.target, self.seconds = target, 0.0

    def _timed(self, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        started = time.perf_counter()
        result = call(*arguments)
        self.seconds += time.perf_counter() - started
        return result

    def __call__(self, *arguments: Any) -> Any:
        return self._timed(self.target, arguments)

    def io_binding(self) -> Any:
        return self.target.io_binding()

    def run_with_iobinding(self, *arguments: Any) -> None:
        self._timed(self.target.run_with_iobinding, arguments)

    def run(self, *arguments: Any) -> Any:
        """What the first call is made with, and each that follows a slow one."""
        return self._timed(self.target.run, arguments)


def _within(network: Any, sampled: Callable[[], Any]) -> float:
    """One run's time over the time spent in its network calls: other people's load slows both alike."""
    on_onnx = network.backend == "onnxruntime"
    place = "session" if on_onnx else "_call"
    original = {name: getattr(network, name) for name in ([place, "_stock"] if on_onnx else [place])}
    timed = _Timed(original[place])
    setattr(network, place, timed)
    if on_onnx:
        network._stock = BufferPool()  # arrays that know the session before it was timed are not used
        sampled()
        timed.seconds = 0.0
    try:
        started = time.perf_counter()
        sampled()
        return (time.perf_counter() - started) / timed.seconds
    finally:
        for name, value in original.items():
            setattr(network, name, value)


if __name__ == "__main__":
    main()
