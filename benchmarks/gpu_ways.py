"""The faster ways of running a network on a GPU give the pictures of the slower ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpu_bars import equal, furthest, within

import dtool
from dtool.certify.result import CheckResult
from dtool.run.load import compile_network as as_compiled

RECIPES = ("ddim", "ddpm", "heun", "dpmpp-2m/karras")


def device_loop(suite: Any, name: str) -> Iterator[CheckResult]:
    """x, history and noise on the device: the pictures of the host's loop on the CPU."""
    if suite.device == "cuda" and suite.torch_network is None:
        yield CheckResult(name, "skip", "-", "no PyTorch on cuda")
        return
    yield from _pictures(suite, suite.resident, suite.there, name)
    yield from _alone(suite, suite.resident, name)


def recorded_graph(suite: Any, name: str) -> Iterator[CheckResult]:
    """A graph for each batch size: the pictures of the host's loop, and no size disturbs another."""
    if suite.recorded is None or (suite.device == "cuda" and suite.torch_network is None):
        yield CheckResult(name, "skip", "-", f"there are none on {suite.device}")
        return
    network = suite.recorded
    yield from _pictures(suite, network, suite.there, name)
    first = suite.images(network, "ddpm", batch_size=4)
    for size in (1, 3):
        suite.images(network, "ddpm", batch_size=size)
    yield equal(f"{name}, after other batch sizes", suite.images(network, "ddpm", batch_size=4), first)
    if network.classes:
        other = suite.images(network, "ddpm", labels=0)
        apart = furthest(other, suite.images(suite.there, "ddpm", labels=0))
        yield within(f"{name}, another class", apart, "labels are told anew at each call")
    yield from _alone(suite, network, name)


def compiled(suite: Any, name: str) -> Iterator[CheckResult]:
    """`torch.compile`: the pictures of PyTorch without it."""
    if suite.torch_network is None or not suite.compile:
        yield CheckResult(name, "skip", "-", "not asked for: --compile" if suite.torch_network else "no PyTorch here")
        return
    eager = suite.torch_network(suite.device)
    fast = as_compiled(eager)
    yield from _pictures(suite, fast, eager, name)
    yield from _alone(suite, fast, name)


def no_waiting(suite: Any, name: str) -> Iterator[CheckResult]:
    """PyTorch raises an error where the host waits for the device, from the first call of the network to the last."""
    if suite.device != "cuda" or suite.torch_network is None:
        yield CheckResult(name, "skip", "-", f"nobody can tell on {suite.device}")
        return
    import torch

    def watch(done: int, total: int) -> None:
        torch.cuda.set_sync_debug_mode("error" if done < total else "default")

    for what, network in (("ONNX Runtime", suite.resident), ("PyTorch", suite.torch_network(suite.device))):
        for recipe in RECIPES:
            try:
                suite.images(network, recipe, n=4, batch_size=4, progress=watch, threshold=0.99)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            yield CheckResult(f"{name}, {what}, {recipe}", "pass", "-", "of what PyTorch can tell")


def _pictures(suite: Any, network: dtool.Network, wanted: dtool.Network, name: str) -> Iterator[CheckResult]:
    """With each recipe, with thresholding, and guided."""
    settings: list[tuple[str, dict[str, Any]]] = [(recipe, {}) for recipe in RECIPES]
    settings += [("ddpm", {"threshold": 0.99})] + ([("ddim", {"guidance": 2.0})] if network.classes else [])
    for recipe, more in settings:
        apart = furthest(*(suite.images(one, recipe, n=4, **more) for one in (network, wanted)))
        said = "".join(f", {key} {value}" for key, value in more.items())
        yield within(f"{name}, {recipe}{said}", apart, f"{suite.device} against {wanted.backend} on {wanted.device}")


def _alone(suite: Any, network: dtool.Network, name: str) -> Iterator[CheckResult]:
    """An image alone is what it is among 32, bit for bit."""
    label = {"labels": 1} if network.classes else {}
    together = suite.images(network, "ddpm", n=32, **label)
    for image in (0, 31):
        alone = suite.images(network, "ddpm", n=None, ids=[image], **label)
        yield equal(f"{name}, image {image} alone and among 32", alone[0], together[image])
