"""What a smaller file costs: the same noise through the network and through its small version, side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, GateError
from dtool.export.smaller.recording_network import Feeds, RecordingNetwork
from dtool.measure.pooled_pixels import distance, floors
from dtool.measure.timing import measure_medians
from dtool.models.conditions import LABEL, make_trial_conditions
from dtool.models.labels import assign_classes
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.run.sampling import sample
from dtool.run.trial_options import make_trial_options

# Allowed RMSE of the images, as a part of their span (see `Loss.relative`): 30 dB. With the package's network and 20
# steps of dpmpp-2m/karras, half precision loses 0.09 %, int8 1.0 %, and 20 steps themselves 0.9 % against 40: this is
# three times what one accepts for speed anyway, and what int8 exceeds where its layers are badly chosen (to 7.5 %).
ALLOWED = 0.03
Array = NDArray[np.float32]


@dataclass(frozen=True)
class FrechetDistances:
    """Fréchet distances to the training images: of the images in float32, of the small ones, and of what n random
    draws of the training images' own Gaussian score (`floor`).
    """

    original: float
    small: float
    floor: float


@dataclass(frozen=True, kw_only=True)
class CompressionLoss:
    """What the small network loses against the one in float32, in `n` images of the same noise and plan.

    kind: half or int8. rmse, largest: the root mean square and the greatest difference of the images' numbers; median
    and worst: the root mean square difference of the image in the middle and of the worst. span: see `relative`.
    call, worst_call: the relative error |small - F|/|F| of one network call on the same input, its mean over the plan's
    rows and its greatest, which is at the time `worst_time`. quality: None without statistics of the training images.
    sizes: bytes before and after. milliseconds: medians per call at `batch`, in turns, on `device`; None if not timed.
    emulated: the images were made by float32 that rounds as fp16 does, this machine having none.
    """

    kind: str
    recipe: str
    n: int
    seed: int
    rmse: float
    median: float
    worst: float
    largest: float
    span: float
    call: float
    worst_call: float
    worst_time: float
    quality: FrechetDistances | None
    sizes: tuple[int, int]
    milliseconds: tuple[float, float] | None
    batch: int
    device: str
    emulated: bool = False

    @property
    def relative(self) -> float:
        """RMSE as a part of the images' span, which is what the threshold is about.

        The span is what the float32 images themselves take up, from the 0.5 % to the 99.5 % quantile of their numbers:
        for pictures that is the data range (and PSNR the usual one), for other data it is right even where the spec's
        data range is only the default, and a few wild numbers don't make it wide.
        """
        return self.rmse / self.span

    @property
    def psnr(self) -> float:
        """-20·log10(relative), in dB."""
        return math.inf if self.rmse == 0 else -20 * math.log10(self.relative)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it: an infinite psnr is null."""
        psnr = None if math.isinf(self.psnr) else self.psnr
        return asdict(self) | {"relative": self.relative, "psnr": psnr}

    def __str__(self) -> str:
        before, after = self.sizes
        lines = [f"{self.kind}: {before / 1e6:.2f} MB, now {after / 1e6:.2f} MB ({after / before:.0%})"]
        if self.milliseconds is not None:
            note = (
                "; it computes fp16 in float32: no word on GPUs" if (self.kind, self.device) == ("half", "cpu") else ""
            )
            took, takes = self.milliseconds
            lines.append(f"  {took:.3g} ms per call, now {takes:.3g} ms (batch {self.batch}, {self.device}{note})")
        worst = f"the median image {self.median / self.span:.2%}, the worst {self.worst / self.span:.2%}"
        how = f"{self.n} of {self.recipe}, same noise{', fp16 emulated' if self.emulated else ''}"
        lines += [
            f"  images: RMSE {self.relative:.2%} of their span ({self.psnr:.1f} dB), {worst} ({how})",
            f"  one call: relative error {self.call:.2%}, at worst {self.worst_call:.2%} (t = {self.worst_time:.4g})",
        ]
        if self.quality is not None:
            q = self.quality
            lines.append(
                f"  Fréchet distance to the training images {q.original:.4g}, now {q.small:.4g}"
                f" ({self.n} draws of their Gaussian: {q.floor:.2g})"
            )
        return "\n".join(lines)


def measure_loss(
    original: Network,
    small: Network,
    plan: Plan,
    *,
    kind: str,
    sizes: tuple[int, int],
    n: int = 32,
    seed: int = 1,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    emulation: Network | None = None,
    repeats: int = 15,
    batch: int = 1,
) -> CompressionLoss:
    """Sample images 0 … n-1 of `seed` with both, and compare them, and each network call, and the time of one.

    kind: "half" or "int8". seed: another one than that of the calibration. labels, guidance: as for `dtool.sample`.
    emulation: what stands for `small` in everything but the times, e.g. of `emulate_half`, where this machine would not
    compute as it will. repeats: 0 for no times.
    Raises DtoolError if the small network gives something that is not finite.
    """
    reference = emulation or small
    errors = _CallErrors(reference)
    chunk = max(size for size in range(1, max(1, min(n, original.micro_batch)) + 1) if n % size == 0)  # none is padded

    def run(network: Network) -> Array:
        told = make_trial_options(network.spec, n, guidance)
        samples = sample(network, plan, n=n, seed=seed, labels=labels, guidance=guidance, batch_size=chunk, **told)
        return np.asarray(samples.x0, np.float32)

    images = run(RecordingNetwork(original, errors))
    others = run(RecordingNetwork(reference, _require_finite))
    differences = others.astype(np.float64) - images
    each = np.sqrt(np.square(differences).reshape(n, -1).mean(axis=1))
    calls, times = errors.relative()
    milliseconds = _time_calls(original, small, batch, repeats) if repeats else None
    return CompressionLoss(
        kind=kind, recipe=plan.recipe, n=n, seed=seed, rmse=float(np.sqrt(np.square(each).mean())),
        median=float(np.median(each)), worst=float(each.max()), largest=float(np.abs(differences).max()),
        span=_span(images, original.spec.data_range), call=float(calls.mean()), worst_call=float(calls.max()),
        worst_time=float(times[calls.argmax()]), quality=_measure_quality(original, images, others), sizes=sizes,
        milliseconds=milliseconds, batch=batch, device=small.device, emulated=emulation is not None,
    )  # fmt: skip


def require_small_loss(loss: CompressionLoss, allowed: float = ALLOWED) -> None:
    """Raise GateError if the images are off by more than `allowed` of their span; infinity allows all."""
    if not loss.relative <= allowed:
        raise GateError(
            f"{loss.kind} moves the images by {loss.relative:.2%} of their span (RMSE over {loss.n} of {loss.recipe});"
            f" allowed are {allowed:.2%}",
            f"write it all the same with --allow-loss, or leave out --{loss.kind}",
        )


def _span(images: Array, data_range: tuple[float, float]) -> float:
    low, high = np.quantile(images, [0.005, 0.995])
    return float(high - low) or data_range[1] - data_range[0]


def _measure_quality(network: Network, images: Array, others: Array) -> FrechetDistances | None:
    against = network.spec.statistics
    if against is None or len(images) < 2:
        return None
    return FrechetDistances(
        distance(images, against), distance(others, against), float(floors(against, len(images)).mean())
    )


class _CallErrors:
    """Sums, time by time, of the squares of F and of small - F."""

    def __init__(self, small: Network) -> None:
        self.small = small
        self.sums: dict[float, NDArray[np.float64]] = {}

    def __call__(self, feeds: Feeds, output: NDArray[Any]) -> None:
        """Give the small network what the other one was given."""
        arrays = {name: self.small.array(v.astype(KINDS.get(name, v.dtype))) for name, v in feeds.items()}
        other = self.small.numpy(self.small.predict(arrays.pop("x"), arrays.pop("t"), arrays))
        _require_finite(feeds, other)
        squares = np.square([output.astype(np.float64), other.astype(np.float64) - output]).reshape(2, -1).sum(axis=1)
        t = float(feeds["t"][0])
        self.sums[t] = self.sums.get(t, np.zeros(2)) + squares

    def relative(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """|small - F|/|F| for each time, and the times; no error is none, even where F is zero."""
        sums = np.array(list(self.sums.values()))
        off = np.divide(sums[:, 1], sums[:, 0], out=np.full(len(sums), np.inf), where=sums[:, 0] > 0)
        return np.sqrt(np.where(sums[:, 1] == 0, 0.0, off)), np.array(list(self.sums))


KINDS = {"x": np.float32, "t": np.float32, "label": np.int64}


def _require_finite(feeds: Feeds, output: NDArray[Any]) -> None:
    if not np.isfinite(output).all():
        raise DtoolError(
            f"the small network gives numbers that are not finite, at t = {float(feeds['t'][0]):.4g}",
            "with --half, its values grow beyond 65504: leave that out; else look at the plan",
        )


def _time_calls(original: Network, small: Network, batch: int, repeats: int) -> tuple[float, float]:
    """Median milliseconds of a call of each, in turns; both warmed up."""
    random = np.random.default_rng(0)
    spec = original.spec
    x = random.standard_normal((batch, *spec.shape), dtype=np.float32)
    t = np.full(batch, 0.5 * original.schedule.T, dtype=np.float32)
    told = make_trial_conditions(spec, batch, random)
    label = assign_classes(original, range(batch))
    if label is not None:
        told[LABEL] = label

    def call(network: Network) -> Callable[[], float]:
        arguments = [network.array(x), network.array(t), network.arrays(told)]

        def timed() -> float:
            started = time.perf_counter()
            network.numpy(network.predict(*arguments))
            return time.perf_counter() - started

        return timed

    runs = [call(original), call(small)]
    for run in (*runs, *runs):
        run()
    before, after = measure_medians(runs, repeats)
    return 1e3 * before, 1e3 * after
