"""From the shell to a picture: 16 images, 20 steps of DDIM, on ONNX Runtime; dtool beside diffusers.

`python benchmarks/cold_start.py [--onnx FILE] [--diffusers-python PYTHON]`. dtool takes part twice: with the guidance
that the network recommends in every step, as diffusers has it, and within an interval of noise levels: the network's
own, or else that of docs/guidance.md. diffusers is needed for nothing but this:
put it into an environment of its own (`pip install diffusers==0.42.1 torch onnxruntime pillow`) and name its
interpreter; without one, dtool is measured alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

import dtool
from dtool.measure.machine import format_header
from dtool.measure.timing import format_spread, quartiles, ratios, time_in_turns

N, STEPS = 16, 20
INTERVAL = (-1.95, -0.85)  # of λ, as in docs/guidance.md


def main() -> None:
    """Print the wall time of each from the start of the process to its end, and the ratio in each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onnx", type=Path, help="an exported network instead of the one inside the package")
    parser.add_argument("--diffusers-python", default=sys.executable, help="an interpreter that has diffusers")
    parser.add_argument("--rounds", type=int, default=11)
    given = parser.parse_args()
    with as_file(files("dtool.models") / "digits.onnx") as inside, tempfile.TemporaryDirectory() as folder:
        model = (given.onnx or inside).resolve()
        if not model.exists():
            sys.exit(f"there is no {model}: give an exported network with --onnx")
        print(format_header(["dtool-diffusion", "numpy", "onnxruntime"]))
        print(f"{N} images, {STEPS} steps, {given.rounds} rounds in turns, each a new process, median (quartiles)\n")
        commands = {**_dtool(model), **_diffusers(model, given.diffusers_python, Path(folder))}
        runs = [_runner(command, Path(folder)) for command in commands.values()]
        times = time_in_turns(runs, given.rounds)
    for name, values in zip(commands, times, strict=True):
        print(f"{name:42} {format_spread(values, 's', 1.0)}")
    for name, values in list(zip(commands, times, strict=True))[:-1]:
        low, middle, high = quartiles(ratios(values, times[-1]))
        print(f"{name} / {list(commands)[-1]}: {middle:.3g} ({low:.3g} … {high:.3g})")


def _dtool(model: Path) -> dict[str, list[str]]:
    """Its commands: with the network's guidance everywhere and, if it is guided, within an interval."""
    spec = dtool.load(model, device="cpu").spec
    arguments = ["sample", str(model), "--sampler", "ddim", "--steps", str(STEPS), "-n", str(N), "-o", "dtool.png"]
    command = [sys.executable, "-m", "dtool", *arguments, "--device", "cpu", "--quiet"]
    if spec.guidance == 1:
        return {"dtool sample": command}
    low, high = spec.guidance_interval or INTERVAL
    everywhere, within = f"{spec.guidance:g}", f"{spec.guidance:g}@{low:g}:{high:g}"
    return {f"dtool sample, guidance {word}": [*command, "--guidance", word] for word in (everywhere, within)}


def _diffusers(model: Path, python: str, folder: Path) -> dict[str, list[str]]:
    """Its command, or nothing if the interpreter cannot import it."""
    found = subprocess.run(
        [python, "-c", "import diffusers; print(diffusers.__version__)"], capture_output=True, text=True
    )
    if found.returncode:
        print(f"diffusers: skipped ({python} has none; see benchmarks/README.md)\n")
        return {}
    network = dtool.load(model, device="cpu")
    if network.prediction != "eps":
        print("diffusers: skipped (its script here is for networks that predict eps)\n")
        return {}
    betas = folder / "betas.npy"
    np.save(betas, network.schedule.betas)
    script = str(Path(__file__).with_name("diffusers_ddim.py"))
    numbers = [str(STEPS), str(N), str(network.classes), str(network.spec.guidance)]
    return {f"diffusers {found.stdout.strip()}": [python, script, str(model), str(betas), "diffusers.png", *numbers]}


def _runner(command: list[str], folder: Path) -> Callable[[], object]:
    # compiled modules may be kept, as those of an installed package are; the first run, which makes them, is not timed
    left_out = ("DTOOL_", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}

    def run() -> None:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")

    return run


if __name__ == "__main__":
    main()
