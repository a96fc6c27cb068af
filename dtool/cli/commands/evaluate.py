"""`dtool evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dtool.cli.flags.work_sharing import Workers, sum_with_one_thread
from dtool.cli.show.output import AsJson, Column, Quiet, format_number, print_table, remark, say_json
from dtool.errors import UsageError

EXAMPLES = (
    "dtool evaluate samples/ --data images/",
    "dtool evaluate samples.npz --data real.npz --metrics mmd,fd,recall --json",
    "dtool evaluate samples/ --data images/ --workers 4",
)


def evaluate(
    samples: Annotated[
        str,
        typer.Argument(
            help="the samples: a folder that dtool sample --into fills, an .npz (arr_0, as evaluators read it), or a "
            "folder of pictures"
        ),
    ],
    data: Annotated[
        str | None, typer.Option(help="the real images: a folder, IDX, an .npz, or `digits`", show_default=False)
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="of `dtool metrics`, e.g. mmd,fd [default: all that can be had]", show_default=False),
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option(help="an ONNX file whose features fd-features is computed on", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the halves that intervals come from")] = 0,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how far many images are from real ones.

    All pairs are compared, block by block, so that memory does not grow with their number; figures have the same bits
    however the images were drawn and stored. At least 800 of each; with fewer, use dtool compare.
    """
    sum_with_one_thread()
    from dtool.metrics import Classifier, evaluate_stream
    from dtool.metrics.sample_folder import open_samples

    if data is None:
        raise UsageError("there are no real images to compare with", "name them: --data FOLDER")
    mine, real = open_samples(samples), open_samples(data)
    if mine.shape != real.shape:
        raise UsageError(f"{samples} holds images of {mine.shape}, {data} of {real.shape}", "give images of one shape")
    features = None if classifier is None else Classifier(classifier).features
    names = metrics.split(",") if metrics else None
    figures = evaluate_stream(mine.loads(), real.loads(), names, features=features, seed=seed, workers=workers or 1)
    if as_json:
        skipped = figures.skipped
        plain = {name: asdict(figure) for name, figure in figures.items()}
        say_json({"samples": samples, "data": data, "n": mine.count, "m": real.count, "metrics": plain,
                  "skipped": skipped})  # fmt: skip
        return
    heads = (Column("metric"), *(Column(head, True) for head in ("value", "low", "high", "z", "p")))
    rows = [
        [name, *(format_number(value) for value in (one.value, one.low, one.high, one.z, one.p))]
        for name, one in figures.items()
    ]
    print_table(heads, rows, title=f"{mine.count} samples against {real.count} real images")
    for name, why in figures.skipped.items():
        remark(f"{name}: {why}", quiet)
