"""The time of a network's call beside another file's: `python benchmarks/network.py OLD.onnx [NEW.onnx]`.

Both files are opened in one process and called with random images in turns: as a run does, a turn calls one file again
and again, for TURN seconds, and its time is the median of its calls. OLD as ONNX Runtime runs it by itself, with
all threads; NEW, by default the network inside the package, as a run of dtool calls it: rewritten, in bound arrays, and
from two images on in parts side by side. `--one-thread` takes both files as they are, in one thread each. Processor
time is what other programs on the machine disturb less.
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

import dtool
from dtool.measure.machine import format_header
from dtool.run.side_by_side_calls import MIN_EVALUATIONS

BATCHES = (1, 16, 64)
TARGETS = {1: 0.78, 16: 0.75, 64: 0.72}
MIN_ROUNDS = 5
TURN = 0.5  # seconds of calls without a rest, and SETTLE of rest before them: the other file's threads may still spin
SETTLE = 0.05


def main() -> None:
    """Print, for each batch size, both times and the ratio of each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each batch size, both files together")
    parser.add_argument("--one-thread", action="store_true")
    given = parser.parse_args()
    print(format_header(["dtool-diffusion", "numpy", "onnxruntime"]))
    print("new / old: medians (5 % to 95 % of the rounds)\n")
    with as_file(files("dtool.models") / "digits.onnx") as inside:
        for batch in BATCHES:
            new = given.new or inside
            calls = [
                prepare_plain(given.old, batch, 1 if given.one_thread else 0),
                prepare_plain(new, batch, 1) if given.one_thread else prepare_own(new, batch),
            ]
            difference = float(np.abs(calls[0]() - calls[1]()).max())
            report(batch, difference, measure(calls, given.seconds))


def make_feed(session: ort.InferenceSession, batch: int) -> dict[str, Any]:
    """Random images, times and classes, in the order of the inputs."""
    random = np.random.default_rng(batch)
    feed: dict[str, Any] = {}
    for value in session.get_inputs():
        shape = [batch, *value.shape[1:]]
        if "int" in value.type:
            feed[value.name] = random.integers(0, 2, shape)
        else:
            numbers = random.standard_normal(shape) if len(shape) > 1 else random.uniform(0, 999, shape)
            feed[value.name] = numbers.astype(np.float32)
    return feed


def prepare_plain(path: Path, batch: int, threads: int) -> Callable[[], Any]:
    """A call of ONNX Runtime on a file as it is. threads: 0 for as many as there are cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = make_feed(session, batch)
    return lambda: session.run(None, feed)[0]


def prepare_own(path: Path, batch: int) -> Callable[[], Any]:
    """A call as a run of dtool makes it, after so many others that it is made in parts."""
    network: Any = dtool.load(path, device="cpu")
    x, t, *label = make_feed(network.session, batch).values()
    for _ in range(-(-MIN_EVALUATIONS // batch) if batch > 1 else 1):
        network.predict(x, t, *label)
    call = network.bind(x, *label)
    return lambda: call(x, t)


def measure(calls: list[Callable[[], Any]], seconds: float) -> np.ndarray[Any, Any]:
    """(seconds, processor seconds) of a call in each turn `(2, calls, rounds)`; every other round backwards."""
    taken: list[list[tuple[float, float]]] = [[] for _ in calls]
    until = time.perf_counter() + seconds
    order = [*range(len(calls))]
    while time.perf_counter() < until or len(taken[0]) < MIN_ROUNDS:
        for k in order:
            time.sleep(SETTLE)
            taken[k].append(take_turn(calls[k]))
        order.reverse()
    return np.moveaxis(np.array(taken), 2, 0)


def take_turn(call: Callable[[], Any]) -> tuple[float, float]:
    """The medians of a turn's calls: seconds, processor seconds. The first, which wakes the threads, does not count."""
    call()
    until, taken = time.perf_counter() + TURN, []
    while time.perf_counter() < until or not taken:
        clock, work = time.perf_counter(), time.process_time()
        call()
        taken.append((time.perf_counter() - clock, time.process_time() - work))
    clock, work = np.median(taken, axis=0)
    return clock, work


def report(batch: int, difference: float, taken: np.ndarray[Any, Any]) -> None:
    """A line for the clock, and one for the processor."""
    print(f"batch {batch}, {taken.shape[2]} rounds; target {TARGETS[batch]}; outputs differ by {difference:.1e}")
    for name, (old, new) in zip(("clock", "processor"), 1e3 * taken, strict=True):
        low, high = np.quantile(new / old, (0.05, 0.95))
        print(
            f"  {name:10} {np.median(old):8.2f} ms -> {np.median(new):8.2f} ms: {np.median(new) / np.median(old):.3f}, "
            f"of a round {np.median(new / old):.3f} ({low:.3f} to {high:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
