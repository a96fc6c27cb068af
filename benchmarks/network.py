"""Today's time of a network's call beside another file's: `benchmarks/network.py OLD.onnx [NEW.onnx]`.

Both are opened in one process and called in turn, with random images, at batch 1, 16 and 64, as dtool calls them: with
all threads, and from two images on in parts side by side (`dtool.run.side_by_side_calls`); OLD as ONNX Runtime runs the
file by itself. Medians over the rounds, and the interval that nine of ten ratios of a round lie in; with --one-thread
both in one thread, the same graph alone; with processor time, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from dtool.run.onnxruntime_backend import OnnxNetwork
from dtool.run.side_by_side_calls import MIN_EVALUATIONS

SECONDS = 60.0  # of each batch size, both files together
BATCHES = (1, 16, 64)


def make_feed(session: ort.InferenceSession, batch: int) -> dict[str, Any]:
    """Random images, times and classes."""
    random = np.random.default_rng(batch)
    feed: dict[str, Any] = {}
    for value in session.get_inputs():
        shape = [batch, *value.shape[1:]]
        if "int" in value.type:
            feed[value.name] = random.integers(0, 2, shape)
        else:
            whole = random.standard_normal(shape) if len(shape) > 1 else random.uniform(0, 999, shape)
            feed[value.name] = whole.astype(np.float32)
    return feed


def prepare_plain(path: Path, batch: int, threads: int) -> Callable[[], Any]:
    """A call of ONNX Runtime on the file as it is."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = make_feed(session, batch)
    return lambda: session.run(None, feed)[0]


def prepare_own(path: Path, batch: int) -> Callable[[], Any]:
    """A call as a run of dtool makes it, in bound arrays."""
    from dtool.models.runtime import Runtime
    from dtool.run.load import open_source

    network = open_source(path, runtime=Runtime(device="cpu"))
    assert isinstance(network, OnnxNetwork)
    feed = make_feed(network.session, batch)
    x, t, *conditions = feed.values()
    for _ in range(MIN_EVALUATIONS // batch if batch > 1 else 0):
        network.predict(x, t, *conditions)
    call = network.bind(x, *conditions)
    call(x, t)
    return lambda: call(x, t)


def measure(calls: list[Callable[[], Any]], seconds: float) -> list[list[tuple[float, float]]]:
    """(seconds, processor seconds) of each call in each round; every second round begins with the last call."""
    taken: list[list[tuple[float, float]]] = [[] for _ in calls]
    until = time.perf_counter() + seconds
    rounds = 0
    while time.perf_counter() < until or rounds < 5:
        order = range(len(calls)) if rounds % 2 else reversed(range(len(calls)))
        for k in order:
            start = time.perf_counter(), time.process_time()
            calls[k]()
            taken[k].append((time.perf_counter() - start[0], time.process_time() - start[1]))
        rounds += 1
    return taken


def report(batch: int, way: str, taken: list[list[tuple[float, float]]]) -> None:
    """A line."""
    walls, works = (np.array([[one[k] for one in each] for each in taken]) * 1e3 for k in (0, 1))
    ratios = walls[1] / walls[0]
    low, high = np.quantile(ratios, (0.05, 0.95))
    old, new = np.median(walls, axis=1)
    work = np.median(works, axis=1)
    print(
        f"batch {batch:3d}  {way:12s} {old:8.2f} ms → {new:8.2f} ms: {new / old:.3f} "
        f"(rounds {len(ratios)}: {np.median(ratios):.3f} [{low:.2f}, {high:.2f}]); "
        f"processor {work[0]:.2f} → {work[1]:.2f} ms: {work[1] / work[0]:.3f}",
        flush=True,
    )


def main() -> None:
    """Compare the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path, nargs="?", help="the network inside the package, if left out")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each batch size")
    parser.add_argument("--one-thread", action="store_true")
    arguments = parser.parse_args()
    with as_file(files("dtool.models") / "digits.onnx") as inside:
        new = arguments.new or inside
        for batch in BATCHES:
            if arguments.one_thread:
                calls = [prepare_plain(path, batch, 1) for path in (arguments.old, new)]
            else:
                calls = [prepare_plain(arguments.old, batch, 0), prepare_own(new, batch)]
            difference = np.abs(calls[0]() - calls[1]()).max()
            report(batch, "one thread" if arguments.one_thread else "as run", measure(calls, arguments.seconds))
            print(f"           outputs differ by {difference:.1e}")


if __name__ == "__main__":
    main()
