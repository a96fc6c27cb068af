"""Networks in closed form that are told prompts and other conditions, and sample latents that a codec decodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

import dtool
from dtool.models.codec import Codec
from dtool.models.network import Network
from dtool.models.origin import Origin
from dtool.models.text import TextEncoder

LATENT, PICTURE = (4, 3, 3), (3, 6, 6)
SPREAD = 0.3  # of the images around what they are told


class Words(TextEncoder):
    """A vector of each text: 0 of the empty one. `calls` counts the texts that it was asked for."""

    names = ("text",)

    def __init__(self) -> None:
        self.calls: list[str] = []

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        self.calls += texts
        vectors = [np.random.default_rng(crc32(text.encode())).uniform(-1, 1, 4) * bool(text) for text in texts]
        return {"text": np.stack(vectors).astype(np.float32)}


class Doubling(Codec):
    """Every pixel four times, of the first three channels; `sizes` are those of the calls."""

    latent_shape, picture_shape = LATENT, PICTURE

    def __init__(self) -> None:
        self.sizes: list[int] = []

    @property
    def batch_size(self) -> int:
        return 3

    def _decode(self, latents: NDArray[Any]) -> NDArray[Any]:
        self.sizes.append(len(latents))
        return latents[:, :3].repeat(2, axis=2).repeat(2, axis=3)


def text_network(*, codec: bool = True, origin: bool = True, **fields: Any) -> Network:
    """x0 ~ N(the text's vector along the channels, SPREAD²), ε predicted; a number `size` shifts it further."""
    schedule = dtool.get_scheduler("linear")

    def eps(x: Any, t: Any, text: Any, size: Any) -> Any:
        alpha, sigma = (
            each.reshape(-1, *[1] * (x.ndim - 1)) for each in schedule.level(t.astype(np.float64).clip(0, 999))
        )
        mean = (text + size[:, None]).reshape(*text.shape, *[1] * (x.ndim - 2))
        x0 = (mean * sigma**2 + SPREAD**2 * alpha * x) / (sigma**2 + SPREAD**2 * alpha**2)
        return ((x - alpha * x0) / sigma).astype(x.dtype)

    conditions = [{"name": "text", "shape": (4,)}, {"name": "size", "null": 0}]
    network = dtool.network(eps, shape=LATENT, schedule="linear", conditions=conditions, **fields)
    network.text = Words()
    network.codec = Doubling() if codec else None
    if origin:
        network.origin = Origin(
            reader="words", what="a closed form that is told a text", recipe="dpmpp-2m/karras", steps=7,
            differences=("Its makers start a little later.",), assumptions=("It was trained on 1,000 steps.",),
        )  # fmt: skip
    return network


def write_decoder(
    path: Path, *, batch: int | str = "batch", channels: int = 3, size: tuple[int, int] | tuple[str, str] = LATENT[1:]
) -> None:
    """An ONNX file that does to latents what `Doubling` does, of `channels` channels. size: their height and width."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = {
        "sizes": np.array([1.0, 1.0, 2.0, 2.0], dtype=np.float32),
        **{name: np.array([value]) for name, value in (("first", 0), ("last", channels), ("axis", 1))},
    }
    doubled = [2 * length if isinstance(length, int) else f"twice_{length}" for length in size]
    nodes = [
        helper.make_node("Slice", ["latents", "first", "last", "axis"], ["some"]),
        helper.make_node("Resize", ["some", "", "sizes"], ["pictures"], mode="nearest"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "decoder", [value("latents", TensorProto.FLOAT, [batch, LATENT[0], *size])],
        [value("pictures", TensorProto.FLOAT, [batch, channels, *doubled])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save_model(model, path)
