"""What must hold on a GPU before its speed means anything; each check also runs on the CPU, against itself."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gpu_bars import equal, furthest, within
from gpu_ways import compiled, device_loop, no_waiting, recorded_graph

import dtool
from dtool.certify.result import CheckResult
from dtool.errors import DtoolError
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.run.noise import normals
from dtool.run.onnxruntime_backend import OnnxNetwork, read_checked_file

RECIPES = ("ddim", "ddpm", "dpmpp-2m/karras")
DEFAULT = "dpmpp-2m/karras"  # has room for what the others need
HALF = 1e-2  # fp16 rounds to 5e-4, some fifty times one after another
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass
class Suite:
    """What is examined: the network in the ONNX file `model`, and `torch_network` on PyTorch, if it is there.

    `device`: cpu or cuda; everything on it is compared with the CPU. `folder`: for exports. `n` images in `steps`.
    `compile`: whether PyTorch's compiler is tried, which takes minutes.
    """

    model: Path
    device: str
    folder: Path
    steps: int = 20
    n: int = 16
    torch_network: Callable[[str], Network] | None = None
    compile: bool = False

    @cached_property
    def here(self) -> Network:
        """The network on the device, called from the host."""
        return OnnxNetwork(self.model, runtime=Runtime(device=self.device))

    @cached_property
    def there(self) -> Network:
        """The network on the CPU."""
        return dtool.load(self.model, device="cpu")

    @cached_property
    def resident(self) -> Network:
        """The network whose run stays on the device, which may be the CPU, too."""
        from dtool.run.onnxruntime_device import DeviceNetwork

        return DeviceNetwork(read_checked_file(self.model), runtime=Runtime(device=self.device))

    @cached_property
    def recorded(self) -> Network | None:
        """The same as a CUDA graph; the CPU has none."""
        return None if self.device == "cpu" else dtool.load(self.model, device=self.device, cuda_graph=True)

    @cached_property
    def fused_file(self) -> Path:
        """The network with the default plan, exported; raises DtoolError if that cannot be done."""
        path = self.folder / "sampler.onnx"
        dtool.export(self.model, path, plan=dtool.plan(DEFAULT, steps=self.steps, network=self.there), check=False)
        return path

    def fused(self, device: str) -> Network:
        """The exported sampler on a device."""
        return dtool.load(self.fused_file, device=device)

    def images(self, network: Network, recipe: str, **more: Any) -> Any:
        """Images of a seed, as numpy float32."""
        plan = dtool.plan(recipe, steps=self.steps, network=network)
        return dtool.sample(network, plan, **({"n": self.n, "seed": 5} | more)).x0


def examine(suite: Suite) -> Iterator[CheckResult]:
    """Every check's result; a check that breaks down has failed, one whose packages are missing is skipped."""
    for name, needs, check in CHECKS:
        missing = [module for module in needs if importlib.util.find_spec(module) is None]
        if missing:
            yield CheckResult(name, "skip", "-", f"{', '.join(missing)} not installed")
            continue
        try:
            yield from check(suite, name)
        except (DtoolError, RuntimeError, ValueError) as error:
            yield CheckResult(name, "fail", "-", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def host_loop(suite: Suite, name: str) -> Iterator[CheckResult]:
    """The same pictures on the device as on the CPU, on ONNX Runtime."""
    for recipe in RECIPES:
        apart = furthest(suite.images(suite.here, recipe), suite.images(suite.there, recipe))
        yield within(f"{name}, {recipe}", apart, f"{suite.device} against cpu")


def fused_file(suite: Suite, name: str) -> Iterator[CheckResult]:
    """The exported sampler gives the pictures of the host loop on the CPU, whatever recipe is asked of it."""
    whole = suite.fused(suite.device)
    for recipe in RECIPES:
        apart = furthest(suite.images(whole, recipe), suite.images(suite.there, recipe))
        yield within(f"{name}, {recipe}", apart, f"the file on {suite.device} against the host loop on cpu")


def torch_loop(suite: Suite, name: str) -> Iterator[CheckResult]:
    """The same pictures on the device as on the CPU, on PyTorch."""
    if suite.torch_network is None:
        yield CheckResult(name, "skip", "-", f"no PyTorch on {suite.device}")
        return
    pair = [suite.torch_network(device) for device in (suite.device, "cpu")]
    for recipe in RECIPES:
        apart = furthest(*(suite.images(network, recipe) for network in pair))
        yield within(f"{name}, {recipe}", apart, f"{suite.device} against cpu, TF32 off")


def torch_noise(suite: Suite, name: str) -> Iterator[CheckResult]:
    """Noise made on the device is numpy's, bit for bit."""
    if suite.torch_network is None:
        yield CheckResult(name, "skip", "-", f"no PyTorch on {suite.device}")
        return
    from dtool.run.torch_backend import device_normals

    ids = np.array([0, 1, 77, 2**32 - 1, *range(500, 756)], dtype=np.uint64)
    for draw in (0, 40):
        made = device_normals(3, ids, draw, (3, 32, 32), 2, suite.device).cpu().numpy()
        yield equal(f"{name}, draw {draw}", made, normals(3, ids, draw, (3, 32, 32), 2))


def fused_noise(suite: Suite, name: str) -> Iterator[CheckResult]:
    """Noise made inside the exported sampler is numpy's: its start, and what a row adds that does nothing else."""
    from dtool.plan.packed import COLUMNS

    session = raw_session(suite)
    shape, ids = suite.there.shape, np.array([0, 1, 77, 2**32 - 1, *range(500, 500 + 4 * suite.n)], dtype=np.uint64)
    table = next(node for node in session.get_overridable_initializers() if node.name == "table")
    rows = np.zeros((3, table.shape[1]), dtype=np.float32)
    rows[:, COLUMNS.index("c")] = 1
    feed: dict[str, Any] = {
        "ids": ids, "seed": np.array(3, np.uint64), "table": rows, "times": np.zeros(3, np.float32),
        "init": np.array(1, np.float32),
    }  # fmt: skip
    if suite.there.classes:
        feed["label"] = np.zeros(len(ids), np.int64)
    for steps in (0, 1, 3):
        [made] = session.run(["images"], feed | {"steps": np.array(steps, np.int64)})
        yield equal(f"{name}, draw {steps}", made, normals(3, ids, steps, shape)[0])


def batches(suite: Suite, name: str) -> Iterator[CheckResult]:
    """An image alone is what it is among 64, bit for bit."""
    contestants: dict[str, Callable[[], Network]] = {"host loop": lambda: suite.here}
    if importlib.util.find_spec("onnx") is not None:
        contestants["fused file"] = lambda: suite.fused(suite.device)
    if suite.torch_network is not None:
        make = suite.torch_network
        contestants["PyTorch"] = lambda: make(suite.device)
    for what, network in contestants.items():
        net = network()
        label = {"labels": 1} if net.classes else {}
        together = suite.images(net, "ddpm", n=64, **label)
        for image in (0, 37, 63):
            alone = suite.images(net, "ddpm", n=None, ids=[image], **label)
            yield equal(f"{name}, {what}, image {image}", alone[0], together[image])


def half(suite: Suite, name: str) -> Iterator[CheckResult]:
    """The network in half precision: what a call of it is off, relative to what it says; and what the images are."""
    import onnx

    from dtool.export.smaller.half import convert_to_half as halved

    path = suite.folder / "half.onnx"
    onnx.save(halved(onnx.load(suite.model)), path)
    net, exact = dtool.load(path, device=suite.device), suite.there
    random, last = np.random.default_rng(2), exact.schedule.T - 1
    for t in (0, last // 2, last):
        x = random.standard_normal((8, *exact.shape), dtype=np.float32)
        arguments = [x, np.full(8, t, np.float32), *([np.arange(8) % exact.classes] if exact.classes else [])]
        said, wanted = (np.asarray(network.predict(*arguments), np.float64) for network in (net, exact))
        off = float(np.sqrt(np.mean((said - wanted) ** 2) / np.mean(wanted**2)))
        yield within(f"{name}, a call at t = {t}", off, "root mean square, relative", HALF)
    apart = suite.images(net, DEFAULT) - suite.images(exact, DEFAULT)
    figure = f"{np.sqrt(np.mean(apart**2)):.1e}"
    yield CheckResult(f"{name}, {DEFAULT}", "info", figure, "root mean square difference of the images from float32's")


def operators(suite: Suite, name: str) -> Iterator[CheckResult]:
    """Which operators of the exported sampler do not run on the device: a figure, and the network's must."""
    session = raw_session(suite, profile=suite.folder / "profile")
    feed = {"ids": np.arange(2, dtype=np.uint64)}
    if suite.there.classes:
        feed["label"] = np.zeros(2, np.int64)
    session.run(["images"], feed)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    yield placed(name, events, suite.device)


def placed(name: str, events: list[dict[str, Any]], device: str) -> CheckResult:
    """What a profile says: products of the network on another provider are a failure, the rest is told."""
    ran = [event["args"] for event in events if event.get("cat") == "Node" and "provider" in event.get("args", {})]
    elsewhere = Counter(args["op_name"] for args in ran if args["provider"] != PROVIDERS[device])
    heavy = {"Conv", "FusedConv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm"} & set(elsewhere)
    told = ", ".join(f"{count} {op}" for op, count in elsewhere.most_common(8)) or "none"
    status = "fail" if heavy or not ran else "info"
    return CheckResult(name, status, f"{sum(elsewhere.values())} of {len(ran)}", f"not on {device}: {told}")


def raw_session(suite: Suite, profile: Path | None = None) -> Any:
    """The exported sampler in ONNX Runtime itself, as a program that has no dtool runs it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    wanted: list[Any] = [PROVIDERS["cpu"]]
    if suite.device == "cuda":
        onnxruntime.preload_dlls()
        wanted.insert(0, (PROVIDERS["cuda"], {"use_tf32": 0}))
    session = onnxruntime.InferenceSession(suite.fused_file, options, providers=wanted)
    if session.get_providers()[0] != PROVIDERS[suite.device]:
        raise DtoolError(f"ONNX Runtime did not start on {suite.device}", "install its build for the device")
    return session


Check = Callable[[Suite, str], Iterator[CheckResult]]
CHECKS: tuple[tuple[str, tuple[str, ...], Check], ...] = (
    ("host loop on ONNX Runtime", (), host_loop),
    ("fused file", ("onnx",), fused_file),
    ("host loop on PyTorch", ("torch",), torch_loop),
    ("a run that stays on the device", ("torch",), device_loop),
    ("calls recorded as a graph", ("torch",), recorded_graph),
    ("PyTorch compiled", ("torch",), compiled),
    ("nobody waits in a step", ("torch",), no_waiting),
    ("noise made by PyTorch", ("torch",), torch_noise),
    ("noise made in the file", ("onnx",), fused_noise),
    ("an image alone and among 64", (), batches),
    ("half precision", ("onnx",), half),
    ("operators of the fused file", ("onnx",), operators),
)
