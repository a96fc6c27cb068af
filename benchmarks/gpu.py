"""Is it right on a GPU, and how fast: the checks of gpu_checks.py, then the ways of sampling side by side, as Markdown.

    python benchmarks/gpu.py -o gpu.md                   # on a machine with CUDA: everything
    python benchmarks/gpu.py --device cpu --steps 5 --batch 1 --rounds 1 -o cpu.md     # that the suite itself works

The network inside the package is measured on ONNX Runtime (or --onnx FILE); on PyTorch, and exported for ONNX Runtime
beside it, a U-Net of the default size for 3 x 64 x 64 with random weights (or --checkpoint FILE). TF32 is off
throughout. Exits 1 if the device is not there, and 3, after writing the file, if a check failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import dtool
from dtool.bench import Benchmark, bench
from dtool.certify.result import CheckResult
from dtool.measure.machine import detect_machine
from dtool.models.network import Network
from dtool.models.runtime import Runtime
from dtool.util.files import require_writable, write_atomically

sys.path.insert(0, str(Path(__file__).parent))
from gpu_checks import Suite, examine

FAILED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; the exit code."""
    given = _arguments(arguments)
    try:
        require_writable(given.output)
        with as_file(files("dtool.models") / "digits.onnx") as inside, tempfile.TemporaryDirectory() as folder:
            model = given.onnx or inside
            dtool.load(model, device=given.device)  # is the device there? it says what to do if not
            torch_network = _torch_network(given)
            suite = Suite(
                model, given.device, Path(folder), given.steps, torch_network=torch_network, compile=given.compile
            )
            results = [_told(result) for result in examine(suite)]
            tables = [] if given.no_speed else list(_tables(given, torch_network))
    except dtool.DtoolError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return error.exit_code
    write_atomically(given.output, lambda file: file.write_text(document(given.device, results, tables), "utf-8"))
    print(given.output)
    return FAILED if any(result.status == "fail" for result in results) else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.md"), help="the Markdown file")
    parser.add_argument("--onnx", type=Path, help="an exported network instead of the one inside the package")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint for PyTorch instead of random weights")
    parser.add_argument("--pixels", type=int, default=64, help="the side of the images of the one with random weights")
    parser.add_argument("--recipes", nargs="+", default=["ddim", "dpmpp-2m/karras"], help="whose speed is measured")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="try torch.compile, too [default: on cuda]"
    )
    parser.add_argument("--no-speed", action="store_true", help="the checks alone")
    given = parser.parse_args(arguments)
    if given.compile is None:
        given.compile = given.device == "cuda"
    return given


def _torch_network(given: argparse.Namespace) -> Callable[[str], Network] | None:
    """A function from a device to the network on PyTorch, None if it is not there. TF32 is off from here on."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no CUDA device: left out")
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if given.checkpoint:
        return lambda device: dtool.load(given.checkpoint, device=device)
    from dtool.models.unet import UNet, UNetConfig

    shape = (3, given.pixels, given.pixels)
    # v, and no clipping: what random weights say of eps makes images that clipping makes all alike
    spec = dtool.NetworkSpec(shape=shape, schedule="linear", prediction="v", classes=10)

    def made(device: str) -> Network:
        torch.manual_seed(0)
        module = UNet(UNetConfig.for_shape(shape, classes=10))
        for weight in module.parameters():  # the last layers start at zero, which nobody's network has
            torch.nn.init.normal_(weight, std=0.02)
        return dtool.load(module, spec=spec, device=device)

    return made


def _tables(given: argparse.Namespace, torch_network: Callable[[str], Network] | None) -> Iterator[Benchmark]:
    """The speeds of each network with each recipe."""
    settings: dict[str, Any] = {"steps": given.steps, "batches": given.batch, "rounds": given.rounds}
    runtime = Runtime(cuda_graph=given.device == "cuda")
    network = dtool.load(given.onnx, device=given.device) if given.onnx else dtool.default_network(given.device)
    for recipe in given.recipes:
        yield _said(bench(network, recipe, source=given.onnx, runtime=runtime, **settings))
    if torch_network is None:
        return
    name = given.checkpoint or f"a U-Net of the default size for 3 x {given.pixels} x {given.pixels}, random weights"
    for recipe in given.recipes:
        for backend in (None, "torch"):  # exported, with PyTorch beside it; then diffusers on PyTorch, too
            network = torch_network(given.device)
            where = replace(runtime, backend=backend, compile=given.compile)
            yield _said(bench(network, recipe, source=name, runtime=where, **settings))


def _told(result: CheckResult) -> CheckResult:
    print(f"{result.status:5} {result.name}: {result.figure} ({result.detail})", flush=True)
    return result


def _said(found: Benchmark) -> Benchmark:
    print(f"{found.markdown()}\n", flush=True)
    return found


def document(device: str, results: Sequence[CheckResult], tables: Sequence[Benchmark]) -> str:
    """The Markdown file. Its title says the device: figures of the CPU are never those of a GPU."""
    about = detect_machine(gpu=device == "cuda")
    heads = {"cuda": "On a GPU, with CUDA", "cpu": "On the CPU: a trial of the suite, no figures of a GPU"}
    parts = [f"# {heads[device]}", "\n".join(f"- {what}: {text}" for what, text in about.lines())]
    passed = sum(result.status == "pass" for result in results)
    failed = sum(result.status == "fail" for result in results)
    table = "| | check | figure | |\n|---|---|---|---|"
    table += "".join(f"\n| {r.status} | {r.name} | {r.figure} | {r.detail} |" for r in results)
    parts += ["## Checks", f"{passed} passed, {failed} failed. TF32 is off.", table]
    if tables:
        parts += ["## Speed", *(found.markdown() for found in tables)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
