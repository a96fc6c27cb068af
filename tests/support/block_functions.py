"""What workers are given in tests: they import it, which they could not from a test's own functions."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import dtool
from dtool.parts.filling import Filling
from dtool.parts.job import Job
from dtool.parts.manifest import Manifest, claim_folder
from tests.support.commandline import network


def count_ids(job: Any, block: Any) -> tuple[int, int]:
    return block.first, len(block)


def slow_first(job: Any, block: Any) -> int:
    time.sleep(0.5 if block.first == 0 else 0)
    return int(block.first)


def die_once(job: Path, block: Any) -> int:
    """Kill this worker at the third block, the first time that it comes."""
    if block.first == 2:
        try:
            (job / "died").touch(exist_ok=False)
        except FileExistsError:
            return int(block.first)
        os.kill(os.getpid(), signal.SIGKILL)
    return int(block.first)


def wait_to_be_killed(job: Path, block: Any) -> tuple[int, int]:
    """The block and who did it; at the third block the first time it says who it is, and waits for the end."""
    if block.first == 2 and not (job / "worker").exists():
        (job / "worker").write_text(str(os.getpid()))
        time.sleep(600)
    return block.first, os.getpid()


def wait_for_the_end_of_a_node(job: tuple[str, Path], block: Any) -> int:
    """On the node with this id, say that it is there, and wait for its end; elsewhere, for that of the node."""
    import ray

    node, folder = job
    if ray.get_runtime_context().get_node_id() == node:
        (folder / "started").write_text(str(block.first))
        time.sleep(600)
    while not (folder / "gone").exists():
        time.sleep(0.02)
    return int(block.first)


def run_on_after_the_first(job: Path, block: Any) -> int:
    """Of all blocks but the first, run on for ten minutes, and say so when that is interrupted."""
    if block.first:
        (job / "worker").write_text(str(os.getpid()))
        try:
            for _ in range(60_000):
                time.sleep(0.01)
        finally:
            (job / "ended").write_text(str(block.first))
    return int(block.first)


def die(job: Any, block: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(job: Any, block: Any) -> None:
    raise dtool.UsageError(f"no {block}", "choose others") if job == "ours" else ZeroDivisionError("by zero")


def warn(job: Any, block: Any) -> int:
    warnings.warn("beware", stacklevel=1)
    return 0


def get_threads(job: Any, block: Any) -> tuple[str, ...]:
    return tuple(os.environ[name] for name in ("OMP_NUM_THREADS", "DTOOL_THREADS"))


def sleep_long(job: Path, block: Any) -> None:
    (job / f"{os.getpid()}").touch()
    time.sleep(60)


def open_gaussians() -> dtool.Network:
    return dtool.targets.target("gmm:d=2").network()


def open_and_die_once(flag: Path) -> dtool.Network:
    """The Gaussians; the first process that opens them, if no file `flag` is there yet, is killed."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return open_gaussians()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it is dead")


def open_prototypes() -> dtool.Network:
    return network()


def draw(job: Any, block: Any) -> Any:
    return dtool.parts.draw_block(job, block).x0


class DyingOpener:
    """Opens a network of pictures; the first process that does so, if no file `flag` is there yet, dies of it."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __call__(self) -> dtool.Network:
        try:
            self.flag.touch(exist_ok=False)
        except FileExistsError:
            return network()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it is dead")


def make_filling(folder: Path, kind: Any = "npz", model: Any = None, **options: Any) -> Filling:
    """A folder of blocks of small pictures, claimed: of 11 images, 3 in a block."""
    net = network()
    usual = {"plans": dtool.plan("ddpm", steps=2, network=net), "count": 11, "size": 3, "seed": 5}
    job = Job(model=net if model is None else model, **usual | options).attach([net])
    return Filling(job=job, folder=folder, manifest=claim_folder(folder, Manifest.of(job, kind)))


def list_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
