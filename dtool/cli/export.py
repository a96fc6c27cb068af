"""`dtool export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.output import AsJson, Quiet, remark, say, say_json
from dtool.errors import UsageError

EXAMPLES = ("dtool export model.pt", "dtool export model.safetensors -o digits.onnx --json")


def export(
    model: Annotated[Path, typer.Argument(help="a checkpoint of dtool train: .pt or .safetensors", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the ONNX file [default: MODEL.onnx]", show_default=False)
    ] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="compare the file with PyTorch")] = True,
    steps: Annotated[int, typer.Option(min=1, help="length of the run that is compared")] = 50,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a network as one ONNX file, and check it against PyTorch.

    The file holds the weights and what dtool must know of the network; it needs onnxruntime and no PyTorch. If the
    two differ by more than 1e-4, at any batch size or time or over a whole run, nothing is written.
    """
    from dtool.export.api import export as export_network

    if model.suffix.lower() not in (".pt", ".pth", ".safetensors"):
        raise UsageError(f"{model}: not a checkpoint", "give a .pt or .safetensors file of dtool train")
    report = export_network(model, output or model.with_suffix(".onnx"), check=check, steps=steps)
    if as_json:
        fields = asdict(report) | {"path": str(report.path), "largest": report.largest}
        say_json(fields)
        return
    remark(str(report), quiet)
    say(report.path)
