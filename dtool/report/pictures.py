"""Samples and their way there as sprites: one picture per recipe, one row per image, one column per step."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

Floats = NDArray[np.floating[Any]]
Decode = Callable[[NDArray[Any]], NDArray[Any]]
Bytes = NDArray[np.uint8]

IMAGES, FRAMES, SIDE = 16, 21, 128  # at most so many images and steps, and pixels per side
BUDGET = 8_000_000  # values of all sprites together, of which a page becomes about half as many bytes
LEVELS = {"x": (12, 32), "x0": (32, 64)}  # of a run's first and second half; its end has all 256, and no eye can tell


@dataclass(frozen=True)
class SpriteLayout:
    """How much is shown: `images` of each recipe, `frames` of its run (0: the end only), every `shrink`-th pixel."""

    images: int
    frames: int
    shrink: int


def is_picture(shape: Sequence[int]) -> bool:
    """Whether a sample of this shape can be looked at: (H, W), (1, H, W) or (3, H, W)."""
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))


def fit_layout(rows: int, images: int, frames: int, shape: Sequence[int], budget: int = BUDGET) -> SpriteLayout:
    """What fits: fewer steps first, down to 8, then fewer images, down to 4, then both, and at last no steps.

    rows: how many recipes; images, frames: how many there are; shape: of a sample, (H, W) or (C, H, W).
    """
    shrink = ceil(max(shape[-2:]) / SIDE)
    size = ceil(shape[-2] / shrink) * ceil(shape[-1] / shrink) * (shape[0] if len(shape) == 3 else 1)
    k, f = min(images, IMAGES), min(frames, FRAMES)
    while rows * k * (2 * f + 1) * size > budget and (k > 1 or f > 0):
        if f > 8 or (k <= 4 and f > 3):
            f -= 1
        elif k > 1:
            k -= 1
        else:
            f = 0
    return SpriteLayout(k, f, shrink)


def choose_states(states: int, frames: int) -> list[int]:
    """`frames` of the states 0 … states-1, evenly, the first and the last among them; all if there are fewer."""
    if states <= frames:
        return list(range(states))
    return [round(i * (states - 1) / (frames - 1)) for i in range(frames)] if frames > 1 else [states - 1]


def make_sprites(
    document: dict[str, Any],
    images: Floats,
    traces: Sequence[Any] | None,
    budget: int = BUDGET,
    decode: Decode | None = None,
) -> dict[str, Any]:
    """The pictures of a page, as JSON can hold them; `rows` has one entry per recipe, in the document's order.

    images: (rows, k, *shape) in the document's data range. traces: None, or for each row None or a mapping with `x`
    (steps+1, k, *shape) and `x0` (steps, k, *shape). decode: of traces of latents, what makes pictures of some of them.
    """
    count, shape = images.shape[1], images.shape[2:]
    given_traces = list(traces) if traces is not None else []
    runs = [_unpack_trace(given_traces[i] if i < len(given_traces) else None) for i in range(len(images))]
    most = max((len(run[0]) for run in runs if run), default=0)
    fits = fit_layout(len(images), count, most, shape, budget)
    low, high = document.get("data_range") or (-1.0, 1.0)
    rows = [_make_row(images[i], runs[i], fits, (float(low), float(high)), decode) for i in range(len(images))]
    return {
        "width": ceil(shape[-1] / fits.shrink),
        "height": ceil(shape[-2] / fits.shrink),
        "count": fits.images,
        "of": count,
        "shrink": fits.shrink,
        "range": float(high) - float(low),
        "frames": max((len(row["at"]) for row in rows), default=1),
        "most": most,
        "rows": rows,
    }


def _unpack_trace(trace: Any) -> tuple[Floats, Floats] | None:
    """`x` and `x0` of a trace, a mapping or an object; None if there is none."""
    if trace is None:
        return None
    get = trace.get if isinstance(trace, dict) else lambda name: getattr(trace, name)
    x, x0 = np.asarray(get("x")), np.asarray(get("x0"))
    return (x, x0) if len(x) > 1 and len(x0) else None


def _make_row(
    final: Floats,
    run: tuple[Floats, Floats] | None,
    fits: SpriteLayout,
    limits: tuple[float, float],
    decode: Decode | None,
) -> dict[str, Any]:
    """The sprites of one recipe: of its run, or of its images alone. `at`: the states shown, 0 … `steps`."""
    ends = _quantise(_shrink(final[None, : fits.images], fits.shrink), limits)
    if run is None or fits.frames == 0:
        return {"steps": None, "at": [0], "final": encode_data_uri(ends), "x": None, "x0": None}
    x, x0 = (part[:, : fits.images] for part in run)
    at = choose_states(len(x), fits.frames)
    states = np.stack([_decode_frame(x[i], fits, decode) for i in at])
    guesses = np.stack([_decode_frame(x0[min(i, len(x0) - 1)], fits, decode) for i in at])
    noisy, clean = _quantise_run(_limit_spread(states, limits), limits, "x"), _quantise_run(guesses, limits, "x0")
    noisy[-1] = clean[-1] = ends[0]
    return {
        "steps": len(x) - 1, "at": at,
        "final": None, "x": encode_data_uri(noisy), "x0": encode_data_uri(clean),
    }  # fmt: skip


def _decode_frame(values: Floats, fits: SpriteLayout, decode: Decode | None) -> Floats:
    """One state of a run (k, *shape) as pictures, no larger than they are shown: one frame is decoded at a time."""
    return _shrink(values if decode is None else decode(values), fits.shrink)


def _limit_spread(states: Floats, limits: tuple[float, float]) -> Floats:
    """States (frames, k, *shape), those scaled down whose spread is beyond the data's: a variance that explodes."""
    middle, half = (limits[0] + limits[1]) / 2, (limits[1] - limits[0]) / 2
    axes = tuple(range(1, states.ndim))
    spread = np.sqrt(np.nanmean((states - middle) ** 2, axis=axes, keepdims=True))
    return np.asarray(middle + (states - middle) / np.maximum(1.0, spread / half))


def _shrink(values: Floats, shrink: int) -> Floats:
    """Values (…, H, W), averaged over squares of `shrink` pixels; the last ones may be narrower."""
    if shrink == 1:
        return values
    for axis in (-2, -1):
        starts = np.arange(0, values.shape[axis], shrink)
        widths = np.diff([*starts, values.shape[axis]])
        shape = [1] * values.ndim
        shape[axis] = len(widths)
        values = np.add.reduceat(values, starts, axis=axis) / widths.reshape(shape)
    return values


def _quantise(values: Floats, limits: tuple[float, float], levels: int = 256) -> Bytes:
    """Values (frames, k, [C,] H, W) as bytes; beyond the range they are cut off, what is not a number is the middle."""
    low, high = limits
    share = np.nan_to_num((np.asarray(values, np.float32) - low) / (high - low), nan=0.5, posinf=1.0, neginf=0.0)
    steps = np.rint(share.clip(0, 1) * (levels - 1))
    return np.asarray(np.rint(steps * (255 / (levels - 1)))).astype(np.uint8)


def _quantise_run(values: Floats, limits: tuple[float, float], kind: str) -> Bytes:
    """A run's values as bytes, of fewer levels while there is noise that hides them: a third of the size."""
    half = len(values) // 2
    first, second = LEVELS[kind]
    return np.concatenate([_quantise(values[:half], limits, first), _quantise(values[half:], limits, second)])


def encode_data_uri(tiles: Bytes) -> str:
    """Tiles (frames, k, [C,] H, W) as one picture, one column per frame and one row per image, as a data: URI.

    Lossless WebP, a sixth smaller than PNG for noise; PNG where Pillow was built without it.
    """
    if tiles.ndim == 4:
        tiles = tiles[:, :, None]
    frames, k, channels, height, width = tiles.shape
    sheet = tiles.transpose(1, 3, 0, 4, 2).reshape(k * height, frames * width, channels)
    picture = Image.fromarray(np.ascontiguousarray(np.broadcast_to(sheet, (*sheet.shape[:2], 3))))
    kind, options = ("WEBP", {"lossless": True}) if features.check("webp") else ("PNG", {})
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
