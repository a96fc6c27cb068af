"""FID, KID, FD-DINOv2 and CMMD, on the features of torch-fidelity's networks, with weights from a file.

Needs the extra `fid`. Nothing is ever downloaded: a file that is not there is an error.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dtool.errors import DtoolError, UsageError
from dtool.metrics.classifier import apply_in_batches
from dtool.metrics.definition import Engine, metric
from dtool.metrics.frechet import plain_distance
from dtool.metrics.pool import Pool
from dtool.metrics.row_pair import RowPair, StreamedFigure
from dtool.metrics.stream_frechet import stream_frechet
from dtool.metrics.stream_pairs import stream_pairs
from dtool.metrics.two_sample import PAIR_FACTS, cubic_kernel, cubic_products, pool_pair, u_statistic
from dtool.util.arrays import Array

BATCH = 32
Weights = Annotated[str, Field(description="file of the network's weights; see docs/metrics.md for which")]
# torch-fidelity's name of the network, and the layer that is used
NETWORKS = {
    "inception": ("inception-v3-compat", "2048"),
    "dinov2": ("dinov2-vit-l-14", "dinov2"),
    "clip": ("clip-vit-l-14-336px", "clip"),
}


@functools.lru_cache(maxsize=2)
def load_extractor(name: str, weights: str, device: str = "cpu") -> Any:
    """One of torch-fidelity's networks, uint8 (n, 3, H, W) → a tuple of features (n, d), with weights from a file.

    name: inception, dinov2 or clip. weights: the file that torch-fidelity would download; of DINOv2, the backbone as
    TorchScript. Raises DtoolError if the file or torch-fidelity is missing, or if the file is another one.
    """
    if name not in NETWORKS:
        raise UsageError(f"there is no network {name!r}", f"use one of {', '.join(NETWORKS)}")
    path = Path(weights)
    if not path.is_file():
        raise DtoolError(f"there is no file {path}", "download the weights yourself: dtool downloads nothing")
    try:
        import torch
        import torch_fidelity  # noqa: F401
        from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
        from torch_fidelity.utils import create_feature_extractor
    except ImportError as error:
        raise DtoolError("FID and its like need torch-fidelity", "pip install 'dtool-diffusion[fid]'") from error

    class LocalDinoV2(FeatureExtractorDinoV2):  # type: ignore[misc]
        """torch-fidelity's own can only download."""

        def __init__(self) -> None:
            super(FeatureExtractorDinoV2, self).__init__(*NETWORKS["dinov2"][:1], list(NETWORKS["dinov2"][1:]))
            self.feature_extractor_internal_dtype = torch.float32
            self.model = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]

    full_name, layer = NETWORKS[name]
    try:
        if name == "dinov2":
            return LocalDinoV2().requires_grad_(False).eval().to(device)
        extractor = create_feature_extractor(
            full_name, [layer], cuda=False, feature_extractor_weights_path=str(path), verbose=False
        )
    except Exception as error:
        raise DtoolError(
            f"{path} does not hold the weights of {full_name} ({' '.join(str(error).split())[:120]})",
            "give the right file",
        ) from error
    return extractor.to(device)


def extract_features(
    images: NDArray[Any], data_range: tuple[float, float], *, network: str, weights: str, device: str = "cpu"
) -> Array:
    """Features (n, d) of images (n, [C,] H, W) in `data_range`, clipped and rounded to 256 levels; grey is repeated."""
    extractor = load_extractor(network, weights, device)
    import torch

    def run(part: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            return np.asarray(
                extractor(torch.from_numpy(convert_to_bytes(part, data_range)).to(device))[0].float().cpu()
            )

    return apply_in_batches(run, images, BATCH).astype(np.float64)


def convert_to_bytes(images: NDArray[Any], data_range: tuple[float, float]) -> NDArray[np.uint8]:
    """Images (n, [C,] H, W) as uint8 (n, 3, H, W); raises UsageError for other channels than 1 or 3."""
    stack = images[:, None] if images.ndim == 3 else images
    if stack.ndim != 4 or stack.shape[1] not in (1, 3):
        raise UsageError(f"images of {images.shape[1:]} are neither grey nor RGB", "leave this metric out")
    low, high = data_range
    levels = np.rint((np.asarray(stack, dtype=np.float64) - low) * (255 / (high - low))).clip(0, 255)
    return np.ascontiguousarray(np.broadcast_to(levels, (len(stack), 3, *stack.shape[2:])), dtype=np.uint8)


def _make_extractor(network: str) -> Any:
    def extract(images: NDArray[Any], data_range: tuple[float, float], **options: Any) -> Array:
        return extract_features(images, data_range, network=network, **options)

    return extract


def _stream_plain(pair: RowPair, **_: Any) -> StreamedFigure:
    return stream_frechet(pair, [1], _COSTLY["rounds"])


def _stream_kid(pair: RowPair, **_: Any) -> StreamedFigure:
    return stream_pairs(pair, "kid", _cube_pair)


def _cube_pair(_pair: RowPair, x: Array, y: Array) -> Array:
    return cubic_products(x, y)


def _stream_cmmd(pair: RowPair, **_: Any) -> StreamedFigure:
    return stream_pairs(pair, "cmmd", _scale_pair)


def _scale_pair(pair: RowPair, x: Array, y: Array) -> Array:
    return _scaled_kernel(pair.square_distances(_normalise(x), _normalise(y)))


def _normalise(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _scaled_kernel(squares: Array) -> Array:
    return np.asarray(1000 * np.exp(squares / -200))


def _kid(pool: Pool, **_: Any) -> Engine:
    return u_statistic(pool, cubic_kernel(pool))


def _cmmd(pool: Pool, **_: Any) -> Engine:
    unit = Pool(_normalise(pool.points), 1.0)
    return u_statistic(unit, lambda some: _scaled_kernel(unit.squared_distances(some)))


# an eigenvalue problem of 1024 or 2048 rows, each time
_COSTLY: dict[str, Any] = {"minimum": 4, "matched": False, "rounds": 24, "stream": _stream_plain}
_KID_FACTS: dict[str, Any] = {**PAIR_FACTS, "stream": _stream_kid}
_CMMD_FACTS: dict[str, Any] = {**PAIR_FACTS, "stream": _stream_cmmd}
Device = Annotated[str, Field(description="where the network runs: cpu or cuda")]


@metric("fid", "FID", cite="Heusel et al. 2017", extract=_make_extractor("inception"), **_COSTLY)
def fid(samples: Array, reference: Array, *, weights: Weights, device: Device = "cpu") -> float:
    """Fréchet distance on the features of the Inception network of 2015, as torch-fidelity computes it.

    Too large by about C/n: compare figures of the same n alone. `weights` is weights-inception-2015-12-05-6726825d.pth.
    """
    del weights, device
    return plain_distance(samples, reference)


@metric("kid", "KID", cite="Bińkowski et al. 2018", extract=_make_extractor("inception"), engine=_kid, **_KID_FACTS)
def kid(samples: Array, reference: Array, *, weights: Weights, device: Device = "cpu") -> float:
    """Unbiased MMD² with a cubic kernel on Inception's features. `weights` as for fid."""
    del weights, device
    pool, a, b = pool_pair(samples, reference)
    return float(_kid(pool)(a, b)[0])


@metric("fd-dinov2", "FD-DINOv2", cite="Stein et al. 2023", extract=_make_extractor("dinov2"), **_COSTLY)
def fd_dinov2(samples: Array, reference: Array, *, weights: Weights, device: Device = "cpu") -> float:
    """Fréchet distance on DINOv2's features (ViT-L/14), which rank diffusion models as people do.

    `weights` is the backbone as TorchScript.
    """
    del weights, device
    return plain_distance(samples, reference)


@metric("cmmd", "CMMD", cite="Jayasumana et al. 2024", extract=_make_extractor("clip"), engine=_cmmd, **_CMMD_FACTS)
def cmmd(samples: Array, reference: Array, *, weights: Weights, device: Device = "cpu") -> float:
    """Unbiased MMD² times 1000 of CLIP's image embeddings at unit length, with a Gaussian kernel of bandwidth 10.

    `weights` is OpenAI's ViT-L-14-336px.pt.
    """
    del weights, device
    pool, a, b = pool_pair(samples, reference)
    return float(_cmmd(pool)(a, b)[0])
