"""A codec from a file of its own: an ONNX file that decodes latents, or what a reader knows as an autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.models.codec import Codec
from dtool.models.find_reader import find_reader
from dtool.models.runtime import ANYWHERE, Runtime
from dtool.models.tiles import find_picture_shape
from dtool.plugins.registry import get_registry
from dtool.run.backend_modules import import_onnx_backend


def load_codec(
    path: str | Path,
    latent_shape: Sequence[int],
    *,
    scale: float | None = None,
    shift: float | None = None,
    runtime: Runtime = ANYWHERE,
) -> Codec:
    """The codec in a file or folder, for latents of this shape, which are divided by `scale` and have `shift` added.

    An .onnx of one input, float `(B, *latent_shape)`, and one output, `(B, C, H, W)` in -1 … 1; or what a reader opens
    as a codec, which may know its scale and shift itself. Raises DtoolError for a file that is missing, broken or
    unsafe, UsageError for one that holds no codec, or does not fit.
    """
    file, shape = Path(path), tuple(latent_shape)
    if scale == 0:
        raise UsageError("a scale of 0 leaves nothing of the latents", "give another --decoder-scale (scale=)")
    if not file.exists():
        raise DtoolError(f"there is no file {file}", "check the path of the decoder")
    reader = find_reader(file)
    if reader is not None and reader.open_codec is not None:
        return reader.open_codec(file, shape, scale, shift, runtime)
    if file.suffix.lower() == ".onnx" and file.is_file():
        return OnnxCodec(file, shape, 1.0 if scale is None else scale, 0.0 if shift is None else shift, runtime)
    known = [entry.spelling for entry, each in get_registry().readers.iterate_loaded() if each.open_codec is not None]
    raise UsageError(
        f"{file} is no decoder that is known here", f"give an .onnx{''.join(f', {name}' for name in known)}"
    )


class OnnxCodec(Codec):
    """A decoder alone, run by ONNX Runtime."""

    def __init__(self, path: Path, latent_shape: tuple[int, ...], scale: float, shift: float, runtime: Runtime) -> None:
        """Check the file, load it, and decode one latent to see how large a picture is."""
        self.latent_shape, self.scale, self.shift = latent_shape, scale, shift
        import_onnx_backend()  # says what is missing, if it is
        from dtool.run.onnx_function import OnnxFunction

        self.path, self._decoder = path, OnnxFunction(path, runtime)
        batch, dims = self._decoder.batch, self._decoder.dims
        if len(dims) != len(latent_shape) or any(
            known not in (None, own) for known, own in zip(dims, latent_shape, strict=True)
        ):
            takes = ", ".join("…" if each is None else str(each) for each in dims)
            raise UsageError(
                f"{path} decodes latents of shape ({takes}); the network's are {latent_shape}", "give its own decoder"
            )
        self._fixed = batch
        self.takes_any_size = len(dims) == 3 and dims[1:] == (None, None)
        shape = find_picture_shape(self._call, latent_shape, takes_any_size=self.takes_any_size)
        if len(shape) != 4 or shape[1] not in (1, 3):
            raise UsageError(
                f"{path} makes arrays of shape {shape[1:]}, no pictures", "it must return (B, 1 or 3, H, W)"
            )
        self.picture_shape = shape[1:]

    @property
    def batch_size(self) -> int:
        """As of any codec, or as many as the file takes at a time."""
        return self._fixed or super().batch_size

    def _decode(self, latents: NDArray[Any]) -> NDArray[Any]:
        values = self._call(np.asarray(latents, dtype=np.float32) / np.float32(self.scale) + np.float32(self.shift))
        if not np.isfinite(values).all():
            raise DtoolError(f"{self.path} made NaN or infinity of the latents", "look at --decoder-scale")
        return values

    def _call(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        count, size = len(latents), self._fixed or len(latents)
        padded = np.concatenate([latents, np.repeat(latents[-1:], size - count, axis=0)]) if size > count else latents
        return self._decoder(padded)[:count]
