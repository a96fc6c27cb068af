"""Build the page: `dist/` gets the sampler, its tables, onnxruntime-web and the page itself, and needs nothing else.

    python build.py [MODEL] [--recipe RECIPE]... [--steps 2,4,8] [--out dist]

MODEL is what `dtool.export` takes, by default the network inside the package. The first recipe is the file's own plan.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import dtool
from dtool.plan.packed import pack

HERE = Path(__file__).parent
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
RECIPES = ("dpmpp-2m/karras", "ddim", "euler-ancestral/karras")
STEPS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)
OWN_STEPS = 20  # of the file's own plan
FORM: dict[str, Any] = {"inputs": ("seed", "plan"), "micro_batch": 1}  # nothing has a default; an image at a time


def build(
    out: Path,
    model: str | None = None,
    recipes: tuple[str, ...] = RECIPES,
    steps: tuple[int, ...] = STEPS,
    history: int | None = None,
    check: bool = True,
) -> None:
    """Write everything into `out`. Raises DtoolError if something cannot be exported, or cannot be had."""
    out.mkdir(parents=True, exist_ok=True)
    dtool.export(model, out / "app.onnx", plan=recipes[0], steps=OWN_STEPS, history=history, check=check, **FORM)
    (out / "plans.json").write_text(json.dumps(plans(out / "app.onnx", recipes, steps)), encoding="utf-8")
    shutil.copytree(HERE / "page", out, dirs_exist_ok=True)
    (out / "ort").mkdir(exist_ok=True)
    fetch_runtime(out / "ort")


def plans(file: Path, recipes: tuple[str, ...], steps: tuple[int, ...]) -> dict[str, Any]:
    """What the page must know: the network, and the tables of every recipe and number of steps for the sampler `file`.

    Numbers are float32, in as few digits as give them back. Raises DtoolError for a recipe that does not fit the file.
    """
    network: Any = dtool.load(file, device="cpu")
    samplers = []
    for recipe in recipes:
        made = []
        for count in steps:
            plan = dtool.plan(recipe, steps=count, network=network)
            packed = pack(plan, network.spec.clip, network.form.history)
            table, times = ([float(str(value)) for value in column.ravel()] for column in (packed.table, packed.times))
            made.append({"steps": count, "init": float(str(packed.init)), "times": times, "table": table})
        title = recipe + (" (stochastic)" if plan.stochastic else "")
        samplers.append({"recipe": recipe, "title": title, "plans": made})
    spec = network.spec.model_dump(mode="json", include={"shape", "classes", "class_names", "data_range"})
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"file": digest, "network": spec, "steps": OWN_STEPS, "samplers": samplers}


def fetch_runtime(folder: Path) -> None:
    """onnxruntime-web, of one exact version and content, from npm: the files of its CPU backend."""
    npm = shutil.which("npm")
    if npm is None:
        raise dtool.DtoolError("npm is needed to get onnxruntime-web", "install Node.js")
    with tempfile.TemporaryDirectory() as name:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--prefer-offline", "--ignore-scripts"]
        done = subprocess.run(command, cwd=name, capture_output=True, text=True, timeout=600, check=False)
        archives = [*Path(name).glob("*.tgz")]
        if done.returncode or len(archives) != 1:
            reason = done.stderr.strip().splitlines()[-1:] or ["it gave no archive"]
            raise dtool.DtoolError(f"npm cannot get {PACKAGE} {VERSION}: {reason[0]}", "check the connection")
        if integrity(archives[0]) != INTEGRITY:
            raise dtool.DtoolError(f"{PACKAGE} {VERSION} is not what it was when this was written", "do not use it")
        with tarfile.open(archives[0]) as archive:
            for file in RUNTIME:
                content = archive.extractfile(f"package/dist/{file}")
                assert content is not None, f"{file} is a file"
                (folder / file).write_bytes(content.read())


def integrity(file: Path) -> str:
    """A file's hash as package-lock.json writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Build the page into a folder that any web server can serve.")
    parser.add_argument("model", nargs="?", help="a checkpoint or exported network [default: the package's]")
    parser.add_argument("--recipe", action="append", help=f"a sampler of the menu, repeated [default: {RECIPES}]")
    parser.add_argument("--steps", help="the numbers of steps of the slider, e.g. 2,4,8,16")
    parser.add_argument("--history", type=int, help="room for older predictions [default: what the first recipe needs]")
    parser.add_argument("--out", type=Path, default=HERE / "dist", help="the folder [default: %(default)s]")
    given = parser.parse_args()
    steps = tuple(sorted({int(part) for part in given.steps.split(",")})) if given.steps else STEPS
    try:
        build(given.out, given.model, tuple(given.recipe or RECIPES), steps, given.history)
    except dtool.DtoolError as error:
        parser.exit(1, f"{error}\n")
    sys.stdout.write(f"python -m http.server --bind 127.0.0.1 --directory {given.out}\n")


if __name__ == "__main__":
    main()
