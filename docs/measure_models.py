"""Measure how near dtool is to each origin's own sampling loop, and write the table into models.md.

`python docs/measure_models.py [FILE]` runs the parity tests of the readers, which make tiny networks with random
weights in place and run both loops from the same noise. The origins' versions are those that are installed, which
pyproject.toml, constraints.txt and tests/parity/requirements.txt pin.
FILE: figures that such a run has written already (DTOOL_PARITY_FILE).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- Written by docs/measure_models.py; do not edit. -->", "<!-- End of what it writes. -->"
TESTS = ("tests/models/readers", "tests/parity/test_half_precision.py")
PACKAGES = (
    "diffusers", "transformers", "denoising-diffusion-pytorch", "k-diffusion", "guided-diffusion-sdk", "azula", "torch",
    "onnxruntime",
)  # fmt: skip
# What a case is, by its test and the beginning of its parameters; whether its last parameter is the guidance scale.
PIPELINES = {
    "ddim": "UNet2DModel, eps; DDIM", "ddim-v": "UNet2DModel, v; DDIM", "ddim-x0": "UNet2DModel, x0; DDIM",
    "sd": "Stable Diffusion; DDIM", "sd-pndm": "Stable Diffusion, AutoencoderTiny; PNDM",
    "sd2-v": "Stable Diffusion 2, v; DDIM", "sdxl": "Stable Diffusion XL; Euler",
    "sd3": "Stable Diffusion 3; flow, shift 3", "sd3-no-t5": "Stable Diffusion 3 without T5",
    "flux": "Flux, dynamic shift", "flux-schnell": "Flux without guidance embedding",
}  # fmt: skip
CASES = {
    "test_ddim_pipeline": PIPELINES,
    "test_text_to_image": PIPELINES,
    "test_flux": PIPELINES,
    "test_ddpm_pipeline": {"": "UNet2DModel, eps; DDPM, its own noise"},
    "test_dit": {"": "DiT, classes, learned variance; DDIM"},
    "test_latent_consistency": {"": "Latent consistency; LCM"},
    "test_consistency_model": {"": "Consistency model"},
    "test_inpainting": {"": "Stable Diffusion for inpainting; DDIM"},
    "test_editing": {"1.0": "InstructPix2Pix, image scale 1; Euler", "5.0": "InstructPix2Pix, image scale 5; Euler"},
    "test_by_depth": {"": "Stable Diffusion by depth; DDIM"},
    "test_enlarging": {"": "Stable Diffusion x4 upscaler; DDIM"},
    "test_refiner": {"": "Stable Diffusion XL refiner; DDIM"},
    "test_the_same_images": {},
    "test_a_pipeline_in_half": {
        "sd": "Stable Diffusion in fp16; DDIM",
        "sd3": "Stable Diffusion 3 in fp16; flow, shift 3",
    },
    "test_a_folder_in_half": {"": "Stable Diffusion, weights in fp16, run in float32; DDIM"},
    "test_an_onnx_file_in_half": {
        "half.onnx": "Stable Diffusion, dtool export --half; DDIM",
        "all_half.onnx": "Stable Diffusion, an ONNX file whose inputs and output are fp16, too; DDIM",
    },
}
FILES = {
    "test_adm": "guided-diffusion (ADM)", "test_azula": "azula", "test_edm": "EDM, its preconditioning; Heun",
    "test_k_diffusion": "k-diffusion image_v1", "test_denoising_diffusion_pytorch": "denoising-diffusion-pytorch",
    "test_denoising_diffusion_kinds": "denoising-diffusion-pytorch",
    "test_onnx_folder": "a folder of ONNX files, Stable Diffusion; DDIM",
}  # fmt: skip


SCHEDULER = "its scheduler alone: "  # sorted after the networks


class Figure(NamedTuple):
    """One comparison: what with what, in how many steps, at which guidance scale, and the difference."""

    what: str
    steps: str
    scale: str
    error: float  # as a share of the largest value


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        file = given.file or run_tests(Path(folder) / "figures.jsonl")
        figures = [read_figure(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    write_table(list(format_table([figure for figure in figures if figure is not None])))


def run_tests(file: Path) -> Path:
    """Run the parity tests; returns the file that they have written their figures to."""
    environment = os.environ | {"DTOOL_PARITY_FILE": str(file), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *TESTS], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        sys.exit("the tests do not pass: no table is written")
    return file


def read_figure(record: dict[str, Any]) -> Figure | None:
    """A line of the table from what a test wrote down; None for a comparison of something else."""
    found = re.fullmatch(r".*/(test_\w+)\.py::(test_\w+)(?:\[(.*)\])?", record["test"])
    if found is None:
        return None
    file, test, case = found.groups("")
    words = case.split("-")
    scale = words.pop() if re.fullmatch(r"\d+\.0", words[-1]) else ""
    steps = words.pop() if words and words[-1].isdecimal() else ""
    name = "-".join(words)
    error = record["error"] / record["largest"]
    if file in FILES:
        kind = f"{FILES[file]}; {describe_test(test)}" if describe_test(test) else FILES[file]
        name = {"0": "no classes", "3": "3 classes"}.get(name, name)
        return Figure(f"{kind}, {name}" if name else kind, steps, scale, error)
    if test not in CASES:
        return None
    known = CASES[test]
    if test == "test_the_same_images":
        kind, *options = re.split(r"-(?=\w+=)", case)
        return Figure(f"{SCHEDULER}{kind}Scheduler{': ' if options else ''}{', '.join(options)}", "10", "", error)
    return Figure(known.get(name, known.get("", name)), steps, scale, error)


def describe_test(test: str) -> str:
    """Which loop of an origin a test compares with."""
    words = {
        "test_ddim": "DDIM", "test_ancestral": "ancestral", "test_euler": "Euler", "test_classifier_free": "guidance",
        "test_a_factory": "module:factory", "test_the_unet": "one call", "test_weights_with": "its weights",
        "test_sequences": "its 1-D network", "test_continuous": "continuous time", "test_elucidated": "elucidated",
        "test_learned": "learned variance, all steps", "test_weighted": "weighted objective, all steps",
    }  # fmt: skip
    return next((said for beginning, said in words.items() if test.startswith(beginning)), "")


def format_table(figures: list[Figure]) -> Iterator[str]:
    """The lines of the table: of cases that differ in nothing that is shown, the largest difference."""
    worst: dict[tuple[str, str, str], float] = {}
    for figure in figures:
        key = figure[:3]
        worst[key] = max(figure.error, worst.get(key, 0.0))
    yield f"Measured {datetime.now(UTC):%Y-%m-%d} on {platform.machine()} with {', '.join(list_versions())}."
    yield ""
    yield "| origin | steps | guidance | largest difference |"
    yield "|---|---|---|---|"
    for (what, steps, scale), error in sorted(worst.items(), key=_sort_key):
        yield f"| {what} | {steps or '–'} | {scale.removesuffix('.0') or '–'} | {error:.1e} |"


def _sort_key(item: tuple[tuple[str, str, str], float]) -> tuple[bool, str, str, int]:
    what, steps, scale = item[0]
    return what.startswith(SCHEDULER), what, scale, int(steps or 0)


def list_versions() -> Iterator[str]:
    """The origins that are installed, with their versions."""
    for package in PACKAGES:
        try:
            yield f"{package} {version(package).partition('+')[0]}"
        except PackageNotFoundError:
            continue


def write_table(lines: list[str]) -> None:
    """Put the table between its two marks in models.md."""
    text = PAGE.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (found and end):
        sys.exit(f"{PAGE} has no place for the table: {BEGIN} … {END}")
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
