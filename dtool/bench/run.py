"""The benchmark: every way of running one plan, side by side in one run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from dtool.bench.entrants import Entrants, gather
from dtool.bench.result import Benchmark, Timing
from dtool.bench.ways import HOST, Runner, Workload, list_runners, max_difference
from dtool.compare.entry_identity import describe_guidance
from dtool.errors import UsageError
from dtool.guidances.guidance import Guidance
from dtool.measure.machine import detect_machine
from dtool.measure.timing import ratios, time_in_turns
from dtool.models.network import Network
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.plan.api import plan as make_plan
from dtool.plan.recipe import Recipe
from dtool.run.guided_conditions import Request, ToldOptions
from dtool.run.guided_plan import resolve_guidance
from dtool.run.repeated_conditions import repeat_conditions
from dtool.run.sampler_file import FusedNetwork
from dtool.util.arguments import check_arguments

ProgressCallback = Callable[[int, int], None]
TURN, MAX_REPEATS = 0.4, 10  # seconds that each has in a turn: a shorter run is repeated, up to so many times
SETTLE = 0.2  # seconds: threads that wait for more work spin, on the cores of whoever is next


@check_arguments
def bench(
    network: Network,
    recipe: str | Recipe = "ddim",
    *,
    steps: int = 20,
    batches: Sequence[int] = (1, 4, 16, 64),
    rounds: int = 7,
    guidance: float | str | Guidance | None = None,
    clip: bool | None = None,
    batch_size: int | None = None,
    fused: Path | str | None = None,
    source: Path | str | None = None,
    runtime: Runtime | None = None,
    progress: ProgressCallback | None = None,
    **told_options: Unpack[ToldOptions],
) -> Benchmark:
    """Time the bare network, `dtool.sample`, the fused file and, where they are installed, PyTorch and diffusers.

    All run the same plan on the same network, in turns, after one run each to warm up. A PyTorch network is exported
    and run on ONNX Runtime, too, unless the runtime's backend is "torch".
    batches: numbers of images to draw. rounds: turns of each, one run or, of short ones, several. guidance: default
    the recipe's, or none; clip: the network's own. prompt, negative, conditions, without: as for `dtool.compare`; the
    text encoder and the codec are not timed. batch_size: images at a time, default what suits the device. fused: an
    exported sampler, instead of one that is exported for this. source: the file that a network on ONNX Runtime was
    loaded from; None for the package's own.
    runtime: where exported files run, if the network's device does not say it all, as with a provider; with `compile`
    the network on PyTorch takes part compiled, too, with `cuda_graph` that on ONNX Runtime as a CUDA graph.
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
    if guidance is not None and not network.spec.is_conditional:
        raise UsageError("guidance needs a conditional network", "leave out guidance")
    wanted = recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)
    made = make_plan(wanted, steps=wanted.own_steps or steps, network=network)
    plan, scale = resolve_guidance(network.spec, made, 1.0 if guidance is None and not made.guidance else guidance)
    if plan.inverse:
        raise UsageError(f"{plan.recipe} leads from an image to its noise: it draws nothing", "time another recipe")
    clipped = network.spec.clip if clip is None else clip
    with tempfile.TemporaryDirectory(prefix="dtool-bench-") as folder:
        entrants = gather(
            network, source, wanted, plan, clip=clipped, fused=fused, folder=Path(folder), runtime=runtime or ANYWHERE
        )
        main = entrants.main
        plain_scale = scale if main.spec.is_conditional else None
        asked = Request(**told_options, guidance=plain_scale)
        work = Workload(
            plan=plan, guidance=plain_scale, clip=clipped, chunk=batch_size, told=repeat_conditions(network, asked)
        )
        about = detect_machine(gpu=main.device != "cpu")
        contests = {n: list_runners(entrants, work, n) for n in batches}
        timings = _time_contests(contests, entrants, work, rounds, progress)
        reference = contests[batches[0]][0].name
    return Benchmark(
        machine=about, model=_describe_network(network, source), backend=main.backend, device=main.device,
        recipe=plan.recipe, plan=plan.hash, steps=plan.steps, calls=plan.rows, rounds=rounds,
        evaluations=plan.rows + int(work.doubled.sum()), scale=1.0 if plain_scale is None else plain_scale,
        guidance=describe_guidance(plan.guidance, scale),
        images_at_a_time=batch_size or main.micro_batch, reference=reference, timings=tuple(timings),
        skipped=entrants.skipped, notes=tuple(_collect_notes(timings, entrants, work)),
    )  # fmt: skip


def _describe_network(network: Network, source: Path | str | None) -> str:
    if source is not None:
        return str(source)
    return "the package's network" if network.backend == "onnxruntime" else "the network"


def _time_contests(
    contests: dict[int, list[Runner]],
    entrants: Entrants,
    work: Workload,
    rounds: int,
    progress: ProgressCallback | None,
) -> list[Timing]:
    """The timings of all batches: each way warms up, then they take turns."""
    repeats = {n: _choose_repeats(runners[0]) for n, runners in contests.items()}
    done, total = 0, sum(n * len(runners) * (rounds * repeats[n] + 1) for n, runners in contests.items())

    def counted(n: int, run: Callable[[], Any]) -> Any:
        nonlocal done
        images = run()
        done += n
        if progress is not None:
            progress(done, total)
        return images

    timings = []
    for n, runners in contests.items():
        differences = _measure_differences(runners, entrants, work, n, partial(counted, n))
        times = time_in_turns(
            [partial(counted, n, way.run) for way in runners], rounds, warm=False, before=partial(_prepare, runners),
            settle=SETTLE, repeats=repeats[n],
        )  # fmt: skip
        timings += [
            Timing(
                name=way.name,
                batch=n,
                seconds=tuple(seconds),
                ratios=tuple(ratios(seconds, times[0])),
                difference=differences[way.name],
            )
            for way, seconds in zip(runners, times, strict=True)
        ]
    return timings


def _choose_repeats(reference: Runner) -> int:
    """How many runs make a turn."""
    [[seconds]] = time_in_turns([reference.run], 1)
    return min(MAX_REPEATS, max(1, round(TURN / seconds)))


def _prepare(runners: Sequence[Runner], k: int) -> None:
    prepare = runners[k].prepare
    if prepare is not None:
        prepare()


def _measure_differences(
    runners: Sequence[Runner], entrants: Entrants, work: Workload, n: int, counted: Callable[[Callable[[], Any]], Any]
) -> dict[str, float | None]:
    """Each way once, to warm up, and how far its images are from those of `dtool.sample`; None for the bare ones."""
    images: dict[str, Any] = {}
    for k, way in enumerate(runners):
        _prepare(runners, k)
        if way.replay is None:
            images[way.name] = counted(way.run)
        else:
            images[way.name] = counted(partial(way.replay, work.draw_start(entrants.main, n)))
    differences = {
        name: None if name == HOST else max_difference(result, images[HOST]) for name, result in images.items()
    }
    for way in runners:
        if way.replay is not None and work.plan.stochastic:
            differences[way.name] = None  # the same start, but noise of its own on the way
        elif way.replay is not None and entrants.equal is not None and work.clip != entrants.equal.clips:
            differences[way.name] = max_difference(
                images[way.name], work.sample_images(entrants.main, n, clip=entrants.equal.clips)
            )
    return differences


def _collect_notes(timings: Sequence[Timing], entrants: Entrants, work: Workload) -> list[str]:
    """What else should be known."""
    notes = []
    if entrants.equal is not None:
        how = "" if entrants.equal.clips == work.clip else ", without clipping, which it does not have"
        notes.append(f"diffusers draws all images in one batch{how}")
    worst: dict[str, float] = {}
    for timing in timings:
        if timing.difference is not None and timing.difference > 1e-3 and not timing.name.startswith("diffusers"):
            worst[timing.name] = max(timing.difference, worst.get(timing.name, 0.0))
    notes += [f"{name}: its images are up to {far:.2g} from those of dtool.sample" for name, far in worst.items()]
    return notes
