"""The benchmark: every way of running one plan, side by side in one run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dtool.arguments import checks_arguments
from dtool.backends.fused import FusedNetwork
from dtool.bench.contest import HOST, Way, Work, difference, ways
from dtool.bench.entrants import Entrants, gather
from dtool.bench.measure import in_turns, ratios
from dtool.bench.result import Benchmark, Timing
from dtool.errors import UsageError
from dtool.machine import machine
from dtool.networks.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.recipe import Recipe

Progress = Callable[[int, int], None]
TURN, MOST = 0.4, 10  # seconds that each has in a turn: a shorter run is repeated, up to so many times
SETTLE = 0.2  # seconds: threads that wait for more work spin, on the cores of whoever is next


@checks_arguments
def bench(
    network: Network,
    recipe: str | Recipe = "ddim",
    *,
    steps: int = 20,
    batches: Sequence[int] = (1, 4, 16, 64),
    rounds: int = 7,
    guidance: float | None = None,
    clip: bool | None = None,
    batch_size: int | None = None,
    fused: Path | str | None = None,
    backend: str | None = None,
    source: Path | str | None = None,
    where: Mapping[str, Any] | None = None,
    compile: bool = False,  # noqa: A002 - PyTorch's own word for it
    cuda_graph: bool = False,
    progress: Progress | None = None,
) -> Benchmark:
    """Time the bare network, `dtool.sample`, the fused file and, where they are installed, PyTorch and diffusers.

    All run the same plan on the same network, in turns, after one run each to warm up. A PyTorch network is exported
    and run on ONNX Runtime, too, unless backend="torch".
    batches: numbers of images to draw. rounds: turns of each, one run or, of short ones, several. guidance: default
    none; clip: the network's own. batch_size: images at a time, default what suits the device. fused: an exported
    sampler, instead of one that is exported for this. source: the file that a network on ONNX Runtime was loaded from;
    None for the package's own.
    where: arguments of `dtool.load` for exported files, if the network's device does not say it all: provider=…
    compile: the network on PyTorch takes part compiled, too; cuda_graph: that on ONNX Runtime as a CUDA graph.
    progress(done, total): after every run, in images.
    Raises UsageError for what cannot be had.
    """
    if not batches or min(batches) < 1 or rounds < 1 or (batch_size is not None and batch_size < 1):
        raise UsageError(f"batches {list(batches)}, {rounds} rounds: there is nothing to time", "use 1 or more of each")
    if isinstance(network, FusedNetwork):
        raise UsageError(
            f"{source} holds a whole sampler, not a network alone",
            "give the network itself, and this file with --fused",
        )
    if guidance is not None and not network.classes:
        raise UsageError("guidance needs a conditional network", "leave out guidance")
    wanted = recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)
    plan = make_plan(wanted, steps=steps, network=network)
    if plan.inverse:
        raise UsageError(f"{plan.recipe} leads from an image to its noise: it draws nothing", "time another recipe")
    clipped = network.spec.clip if clip is None else clip
    with tempfile.TemporaryDirectory(prefix="dtool-bench-") as folder:
        entrants = gather(
            network, source, wanted, plan, clip=clipped, fused=fused, keep=backend == "torch", folder=Path(folder),
            where=where or {}, compile=compile, cuda_graph=cuda_graph,
        )  # fmt: skip
        main = entrants.main
        scale = (1.0 if guidance is None else guidance) if main.classes else None
        work = Work(plan, scale, clipped, batch_size)
        about = machine(gpu=main.device != "cpu")
        contests = {n: ways(entrants, work, n) for n in batches}
        timings = _timed(contests, entrants, work, rounds, progress)
        reference = contests[batches[0]][0].name
    return Benchmark(
        about, _name(network, source), main.backend, main.device, plan.recipe, plan.hash, plan.steps, plan.rows,
        rounds, guidance, batch_size or main.micro_batch, reference, tuple(timings), entrants.skipped,
        tuple(_notes(timings, entrants, work)),
    )  # fmt: skip


def _name(network: Network, source: Path | str | None) -> str:
    if source is not None:
        return str(source)
    return "the package's network" if network.backend == "onnxruntime" else "the network"


def _timed(
    contests: dict[int, list[Way]], entrants: Entrants, work: Work, rounds: int, progress: Progress | None
) -> list[Timing]:
    """The timings of all batches: each way warms up, then they take turns."""
    repeats = {n: _repeats(found[0]) for n, found in contests.items()}
    done, total = 0, sum(n * len(found) * (rounds * repeats[n] + 1) for n, found in contests.items())

    def counted(n: int, run: Callable[[], Any]) -> Any:
        nonlocal done
        images = run()
        done += n
        if progress is not None:
            progress(done, total)
        return images

    timings = []
    for n, found in contests.items():
        differences = _differences(found, entrants, work, n, partial(counted, n))
        times = in_turns(
            [partial(counted, n, way.run) for way in found], rounds, warm=False, before=partial(_prepared, found),
            settle=SETTLE, repeats=repeats[n],
        )  # fmt: skip
        timings += [
            Timing(way.name, n, tuple(seconds), tuple(ratios(seconds, times[0])), differences[way.name])
            for way, seconds in zip(found, times, strict=True)
        ]
    return timings


def _repeats(reference: Way) -> int:
    """How many runs make a turn."""
    [[seconds]] = in_turns([reference.run], 1)
    return min(MOST, max(1, round(TURN / seconds)))


def _prepared(found: Sequence[Way], k: int) -> None:
    prepare = found[k].prepare
    if prepare is not None:
        prepare()


def _differences(
    found: Sequence[Way], entrants: Entrants, work: Work, n: int, counted: Callable[[Callable[[], Any]], Any]
) -> dict[str, float | None]:
    """Each way once, to warm up, and how far its images are from those of `dtool.sample`; None for the bare ones."""
    images: dict[str, Any] = {}
    for k, way in enumerate(found):
        _prepared(found, k)
        if way.replay is None:
            images[way.name] = counted(way.run)
        else:
            images[way.name] = counted(partial(way.replay, work.start(entrants.main, n)))
    apart = {name: None if name == HOST else difference(made, images[HOST]) for name, made in images.items()}
    for way in found:
        if way.replay is not None and work.plan.stochastic:
            apart[way.name] = None  # the same start, but noise of its own on the way
        elif way.replay is not None and entrants.equal is not None and work.clip != entrants.equal.clips:
            apart[way.name] = difference(images[way.name], work.host(entrants.main, n, clip=entrants.equal.clips))
    return apart


def _notes(timings: Sequence[Timing], entrants: Entrants, work: Work) -> list[str]:
    """What else should be known."""
    found = []
    if entrants.equal is not None:
        how = "" if entrants.equal.clips == work.clip else ", without clipping, which it does not have"
        found.append(f"diffusers draws all images in one batch{how}")
    worst: dict[str, float] = {}
    for timing in timings:
        if timing.difference is not None and timing.difference > 1e-3 and not timing.name.startswith("diffusers"):
            worst[timing.name] = max(timing.difference, worst.get(timing.name, 0.0))
    found += [f"{name}: its images are up to {far:.2g} from those of dtool.sample" for name, far in worst.items()]
    return found
