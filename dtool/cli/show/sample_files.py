"""What `dtool sample` writes: the picture, the strip of a trace, the array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.errors import UsageError
from dtool.util.files import OutputWriter, require_distinct_files, require_writable

if TYPE_CHECKING:
    from dtool.cli.flags.sample_files import SampleFiles
    from dtool.models.network import Network
    from dtool.plan import Plan
    from dtool.run.editing import GivenImage
    from dtool.run.sampling import Samples

PICTURE, ARRAY = Path("samples.png"), Path("samples.npz")  # where nothing else is said
DECODED = (2, 6)  # images and steps of a trace of latents that are shown


def check_paths(outputs: SampleFiles, inputs: Sequence[Path | str | None] = ()) -> None:
    """Find out before sampling, not after it, that a file cannot be written, is an input, or somebody else's."""
    from dtool.cli.show.pictures import require_own

    output, npz = outputs.output, outputs.npz
    if output is not None and output.suffix.lower() != ".png":
        raise UsageError(f"{output}: the picture is a PNG", "end its name in .png, or use --npz for the array")
    if npz is not None and npz.suffix.lower() != ".npz":
        raise UsageError(f"{npz}: the array is an .npz", "end its name in .npz")
    picture = output or PICTURE
    strip = _derive_trace_path(picture) if outputs.trace else None
    paths = [path for path in (npz, strip, None if outputs.has_extra_picture else picture) if path is not None]
    require_distinct_files(paths, inputs)
    for path in paths:
        require_writable(path)
    if output is None and npz is None:
        require_own(picture, f"name another, with -o (-o {picture} replaces it)")
    if strip is not None:
        require_own(strip, "move it away, or name another picture, with -o")


def _derive_trace_path(picture: Path) -> Path:
    return picture.with_name(f"{picture.stem}-trace.png")


def choose_files(net: Network, outputs: SampleFiles) -> dict[str, Path]:
    """What will be written. A network whose samples are no pictures gives an array, and no picture unless asked."""
    from dtool.cli.show.pictures import require_own
    from dtool.util.pictures import is_picture

    files: dict[str, Path] = {}
    if outputs.latents and net.codec is None:
        raise UsageError("this network has no codec: what it samples are the pictures", "leave --latents out")
    if outputs.latents and outputs.npz is None:
        raise UsageError("--latents is for the array", "name its file, with --npz FILE")
    if is_picture(net.picture_shape):
        files["picture"] = outputs.output or PICTURE
        if outputs.trace:
            files["trace"] = _derive_trace_path(files["picture"])
    elif outputs.output is not None or outputs.trace:
        raise UsageError(
            f"samples of shape {net.picture_shape} are no pictures", "leave out -o and --trace, and use --npz FILE"
        )
    if outputs.npz is not None or not files:
        files["npz"] = outputs.npz or ARRAY
        if outputs.npz is None:
            require_writable(ARRAY)
            require_own(ARRAY, f"name another, with --npz (--npz {ARRAY} replaces it)")
    return files


def write(
    files: dict[str, Path],
    net: Network,
    out: Samples,
    settings: dict[str, Any],
    *,
    extra: bool,
    latents: bool = False,
    edited: GivenImage | None = None,
) -> OutputWriter:
    """Write each file whole, the array first; pictures carry the settings that made them.

    extra: the picture is one that nobody asked for. latents: of a network with a codec, they are in the array too.
    edited: what the images began at; what is known of it is in the pictures as it was.
    """
    from dtool.cli.show.pictures import make_saver
    from dtool.run.editing import restore_known
    from dtool.util.pictures import draw_overview

    writer = OutputWriter()
    shown = net.to_pictures(out.x0)
    if net.codec is not None and edited is not None and edited.image is not None:
        shown = restore_known(net, shown, edited)
    if "npz" in files:
        more = {"latents": out.x0} if latents else {}
        writer.add("npz", files["npz"], _make_array_writer(out, {"x0": shown} | more, net.spec.names, settings))
    if "picture" in files:
        picture = make_saver(lambda: draw_overview(shown, net.picture_range, net.classes), **settings)
        writer.add("picture", files["picture"], picture, required=not extra)
    if "trace" in files:
        writer.add("trace", files["trace"], make_saver(lambda: _draw_strip(net, out), **settings))
    return writer


def _make_array_writer(
    out: Samples, images: dict[str, Any], names: Sequence[str], settings: dict[str, Any]
) -> Callable[[Path], None]:
    """What writes the images with their ids, and their classes by number and by name."""
    import json

    import numpy as np

    from dtool.models.labels import name_labels

    arrays = images | ({} if out.ids is None else {"ids": out.ids}) | {"settings": np.array(json.dumps(settings))}
    if out.labels is not None:
        arrays |= {
            "labels": out.labels,
            "label_names": np.array(name_labels(names, out.labels)),
            "class_names": np.array(names),
        }

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    return save


def _draw_strip(net: Network, out: Samples, images: int = 3, moments: int = 10) -> Any:
    """x_t above the image predicted from it, for the first few images, at evenly chosen steps and the end.

    Latents are decoded, a row of them at a time, and fewer of them: each costs as much as a finished picture.
    """
    import numpy as np

    from dtool.util.pictures import TileRow, draw_labelled_grid, get_max_tiles, to_pixels

    if net.codec is not None:
        images, moments = DECODED
    room = get_max_tiles(net.picture_shape, 64) // 2
    images = max(1, min(images, room // (moments + 1)))
    moments = max(1, min(moments, room // images - 1))
    assert out.trace is not None
    plan: Plan = out.plan
    steps = np.unique(np.linspace(0, plan.steps - 1, min(plan.steps, moments)).round().astype(int))
    starts = plan.step_starts[steps]
    heads = [f"t={t:.4g}" for t in plan.time[starts]] + ["end"]
    rows = []
    for i in range(min(images, len(out.x0))):
        states = np.concatenate([out.trace.x[steps, i], out.trace.x[-1:, i]])
        noisy = to_pixels(net.to_pictures(states), net.picture_range)
        clean = to_pixels(net.to_pictures(out.trace.x0[steps, i]), net.picture_range)
        name = f"image {int(out.ids[i])}" if out.ids is not None else f"image {i}"
        rows += [
            TileRow(name=name, note="x_t", tiles=noisy),
            TileRow(name="", note="the image predicted from it", tiles=clean, gap=14),
        ]
    title = f"{plan.recipe}, {plan.steps} steps"
    return draw_labelled_grid(rows, heads, title)
