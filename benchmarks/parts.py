"""Many images in blocks: memory, speed by workers, what a kill costs, overhead over one run, and planning.

`python benchmarks/parts.py [memory] [workers] [kill] [overhead] [plan] [--plain]`: all, or those that are named. The
network is the one inside the package, on ONNX Runtime, at few steps, or with --plain a function of numpy on images of
the same size; every process has one thread. The targets: the most memory that 50,000 images take is at most 1.1 of that
of 500, and 0.5 of what one run of 20,000 takes; two workers are at least 1.9 times as fast as one; after kill -9 no
worker draws more than one block again; 2,000 images in blocks cost at most 1.02 of one run; a million ids are planned
in less than a second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dtool import Network, network
from dtool.measure.machine import format_header
from dtool.measure.timing import format_spread, ratios
from dtool.parts import divide

CHILD = """
import sys
from dtool.cli import main
from dtool.util.memory import get_peak
code = main(sys.argv[1:])
print(get_peak(), file=sys.stderr)
sys.exit(code)
"""
HERE = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "DTOOL_THREADS": "1", "PYTHONPATH": HERE}
PLAIN = "parts:make_network"


def make_network() -> Network:
    """A function of numpy on images of the size that the package's network has."""
    return network(lambda x, _: 0.3 * x, shape=(1, 28, 28), schedule="linear")


def main() -> None:
    """Print each figure beside its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "only", nargs="*", choices=[[], *BENCHMARKS], metavar="FIGURE", help="which of them [default: all]"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the images, for a quick look")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--plain", action="store_const", const=[PLAIN], default=[], help="a function, no ONNX file")
    given = parser.parse_args()
    print(format_header(["dtool-diffusion", "numpy", "onnxruntime"]))
    for name in given.only or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="dtool-parts-") as folder:
            BENCHMARKS[name](Path(folder), given)


def run(folder: Path, *words: object) -> tuple[dict[str, float], float, float, int]:
    """(what it printed as JSON, seconds, processor seconds, bytes held at most) of one `dtool sample`."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", CHILD, "sample", "--sampler", "ddim", "--json", "-q", *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), seconds, used, int(done.stderr.split()[-1])


def measure_memory(folder: Path, given: argparse.Namespace) -> None:
    """The most that a process holds, by how many images it draws."""
    many, few, today = (max(500, int(given.share * n)) for n in (50_000, 500, 20_000))
    peaks = {n: run(folder, *given.plain, "--steps", 1, "-n", n, "--into", f"n{n}")[3] for n in (few, many)}
    whole = run(folder, *given.plain, "--steps", 1, "-n", today, "--npz", "today.npz", "-o", "today.png")[3]
    for n, peak in peaks.items():
        print(f"memory, {n} images in blocks: {peak / 1e6:.1f} MB")
    print(f"memory, {today} images in one run: {whole / 1e6:.1f} MB")
    print(
        f"  {many} of {few}: {peaks[many] / peaks[few]:.3f} (target 1.1); of one run: {peaks[many] / whole:.3f} (0.5)"
    )


def measure_workers(folder: Path, given: argparse.Namespace) -> None:
    """One worker against two, in turns; the time in which the folder is filled, with the start of the workers."""
    words = (*given.plain, "--steps", 15, "-n", int(2000 * given.share), "--block-size", 50)
    times: dict[int, list[float]] = {1: [], 2: []}
    for k in range(given.rounds):
        for workers in (1, 2) if k % 2 == 0 else (2, 1):
            told = run(folder, *words, "--workers", workers, "--into", f"{workers}-{k}")[0]
            times[workers].append(told["seconds"])
    gain = ratios(times[1], times[2])
    print(f"workers: one {format_spread(times[1], 's', 1)}, two {format_spread(times[2], 's', 1)}")
    print(f"  two are {format_spread(gain, 'times', 1)} as fast as one (target 1.9)")


def measure_kills(folder: Path, given: argparse.Namespace) -> None:
    """Blocks that were begun and not ended at each of 20 kills, whose locks lie there; and that the rest stays."""
    words = [*given.plain, "--steps", "4", "-n", str(int(60_000 * given.share)), "--block-size", "32", "--workers", "2"]
    command = [sys.executable, "-m", "dtool", "sample", "--sampler", "ddim", "-q", *words, "--into", "killed"]
    place, chance, lost, redrawn, kills = folder / "killed", random.Random(0), [], 0, 0
    stamps: dict[Path, int] = {}
    while kills < 20:
        with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, start_new_session=True) as process:
            known = set(stamps)
            while process.poll() is None and not set(place.glob("*.npz")) - known:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 3))
            if process.poll() is not None:
                print(f"kill -9: the run ended after {kills} kills: give it more images, --share {2 * given.share:g}")
                break
            os.killpg(process.pid, signal.SIGKILL)
        kills += 1
        there = {path: path.stat().st_mtime_ns for path in place.glob("*.npz")}
        redrawn += sum(there.get(path) != stamp for path, stamp in stamps.items())
        lost.append(sum(not path.with_name(path.name[1:-5]).exists() for path in place.glob(".*.lock")))
        stamps = there
    print(f"kill -9, {kills} times at two workers: blocks to be drawn again {lost} (target: at most 2)")
    print(
        f"  blocks that were complete and were drawn again: {redrawn} (target 0), {len(stamps)} were there at the last"
    )


def measure_overhead(folder: Path, given: argparse.Namespace) -> None:
    """2,000 images in blocks against one run that writes an array and a picture, in turns."""
    words = (*given.plain, "--steps", 2, "-n", int(2000 * given.share))
    wall: tuple[list[float], list[float]] = ([], [])
    used: tuple[list[float], list[float]] = ([], [])
    for k in range(2 * given.rounds + 1):
        ways = ((*words, "--npz", f"{k}.npz", "-o", f"{k}.png"), (*words, "--into", f"o{k}"))
        for i in (0, 1) if k % 2 == 0 else (1, 0):
            _, seconds, processor, _ = run(folder, *ways[i])
            wall[i].append(seconds)
            used[i].append(processor)
    for name, (one, blocks) in (("by the clock", wall), ("of processor time", used)):
        print(f"overhead {name}: {format_spread(ratios(blocks, one), 'of one run', 1)} (target 1.02)")


def measure_plan(_folder: Path, _given: argparse.Namespace) -> None:
    """Dividing a million ids, and naming all their files."""
    started = time.perf_counter()
    names = [block.make_name("0" * 16, "1" * 16, 0) for block in divide(10**6, 256)]
    print(f"plan: a million ids in {len(names)} blocks with names: {time.perf_counter() - started:.4f} s (target 1)")


BENCHMARKS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "plan": measure_plan,
    "workers": measure_workers,
    "overhead": measure_overhead,
    "memory": measure_memory,
    "kill": measure_kills,
}


if __name__ == "__main__":
    main()
