"""What `dtool sample` writes: the picture, the strip of a trace, the array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import UsageError
from dtool.files import Writing, require_apart, require_writable

if TYPE_CHECKING:
    from dtool.backends.sampling import Samples
    from dtool.networks.network import Network
    from dtool.plan import Plan

PICTURE, ARRAY = Path("samples.png"), Path("samples.npz")  # where nothing else is said


def check_paths(output: Path | None, npz: Path | None, trace: bool, inputs: Sequence[Path | str | None] = ()) -> None:
    """Find out before sampling, not after it, that a file cannot be written, is an input, or somebody else's."""
    from dtool.cli.pictures import require_own

    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(f"{output}: the picture is a PNG", "end its name in .png, or use --npz for the array")
    if npz is not None and npz.suffix.lower() != ".npz":
        raise UsageError(f"{npz}: the array is an .npz", "end its name in .npz")
    picture = output or PICTURE
    strip = _trace_path(picture) if trace else None
    asked = [path for path in (npz, strip, None if _is_extra(output, npz) else picture) if path is not None]
    require_apart(asked, inputs)
    for path in asked:
        require_writable(path)
    if output is None and npz is None:
        require_own(picture, f"name another, with -o (-o {picture} replaces it)")
    if strip is not None:
        require_own(strip, "move it away, or name another picture, with -o")


def _is_extra(output: Path | None, npz: Path | None) -> bool:
    """Whether the picture is one that nobody asked for: it comes with the array where it can, and replaces nothing."""
    return output is None and npz is not None


def _trace_path(picture: Path) -> Path:
    return picture.with_name(f"{picture.stem}-trace.png")


def files_for(net: Network, output: Path | None, npz: Path | None, trace: bool) -> dict[str, Path]:
    """What will be written. A network whose samples are no pictures gives an array, and no picture unless asked."""
    from dtool.cli.pictures import require_own
    from dtool.picture import is_picture

    files: dict[str, Path] = {}
    if is_picture(net.shape):
        files["picture"] = output or PICTURE
        if trace:
            files["trace"] = _trace_path(files["picture"])
    elif output is not None or trace:
        raise UsageError(
            f"samples of shape {net.shape} are no pictures", "leave out -o and --trace, and use --npz FILE"
        )
    if npz is not None or not files:
        files["npz"] = npz or ARRAY
        if npz is None:
            require_writable(ARRAY)
            require_own(ARRAY, f"name another, with --npz (--npz {ARRAY} replaces it)")
    return files


def write(files: dict[str, Path], net: Network, out: Samples, settings: dict[str, Any], extra: bool) -> Writing:
    """Write each file whole, the array first; pictures carry the settings that made them.

    extra: the picture is one that nobody asked for.
    """
    from dtool.cli.pictures import saving
    from dtool.picture import overview

    writing = Writing()
    if "npz" in files:
        writing.add("npz", files["npz"], _array_writer(out, net.spec.names, settings))
    if "picture" in files:
        picture = saving(lambda: overview(out.x0, net.spec.data_range, net.classes), **settings)
        writing.add("picture", files["picture"], picture, asked=not extra)
    if "trace" in files:
        writing.add("trace", files["trace"], saving(lambda: _strip(net, out), **settings))
    return writing


def _array_writer(out: Samples, names: Sequence[str], settings: dict[str, Any]) -> Callable[[Path], None]:
    """What writes the images with their ids, and their classes by number and by name."""
    import json

    import numpy as np

    from dtool.networks.labels import label_names

    arrays = {"x0": out.x0, "ids": out.ids, "settings": np.array(json.dumps(settings))}
    if out.labels is not None:
        arrays |= {
            "labels": out.labels,
            "label_names": np.array(label_names(names, out.labels)),
            "class_names": np.array(names),
        }

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    return save


def _strip(net: Network, out: Samples, images: int = 3, moments: int = 10) -> Any:
    """x_t above the image predicted from it, for the first few images, at evenly chosen steps and the end."""
    import numpy as np

    from dtool.picture import Row, labelled, most_tiles, pixels

    room = most_tiles(net.shape, 64) // 2
    images = max(1, min(images, room // (moments + 1)))
    moments = max(1, min(moments, room // images - 1))
    assert out.trace is not None
    plan: Plan = out.plan
    chosen = np.unique(np.linspace(0, plan.steps - 1, min(plan.steps, moments)).round().astype(int))
    starts = np.flatnonzero(np.concatenate([[True], plan.step_end[:-1]]))[chosen]
    heads = [f"t={t:.4g}" for t in plan.time[starts]] + ["end"]
    rows = []
    for i in range(min(images, len(out.x0))):
        noisy = pixels(np.concatenate([out.trace.x[chosen, i], out.trace.x[-1:, i]]), net.spec.data_range)
        clean = pixels(out.trace.x0[chosen, i], net.spec.data_range)
        name = f"image {int(out.ids[i])}" if out.ids is not None else f"image {i}"
        rows += [Row(name, "x_t", noisy), Row("", "the image predicted from it", clean, gap=14)]
    title = f"{plan.recipe}, {plan.steps} steps"
    return labelled(rows, heads, title)
