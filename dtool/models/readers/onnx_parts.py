"""The parts of a pipeline besides its network as ONNX files: the autoencoder's halves, and text encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError, format_value
from dtool.models.codec import Codec
from dtool.models.conditions import Condition
from dtool.models.readers.diffusers_tokenizer import PromptTokenizer, open_tokenizer
from dtool.models.readers.onnx_folder import is_finite_number
from dtool.models.readers.time_ids import REFINER_COUNT, contrast_time_ids, make_time_ids
from dtool.models.runtime import Runtime
from dtool.models.text import TextEncoder
from dtool.models.tiles import find_picture_shape
from dtool.onnx.checked_file import read_checked_file
from dtool.onnx.interface import KINDS, describe_value
from dtool.onnx.limits import CALL_SECONDS, resolve_time_limit
from dtool.onnx.session import open_session, run_session
from dtool.onnx.walk import ValueInfo

if TYPE_CHECKING:
    from dtool.models.readers.onnx_folder import Folder

SCALE = 0.18215  # of Stable Diffusion 1, whose config did not say it at first
TOGETHER = "use the parts that belong together"


class OnnxPart:
    """An ONNX file that is called with arrays by name."""

    def __init__(self, path: Path, runtime: Runtime) -> None:
        """Raises DtoolError for a file that cannot or must not be run."""
        file = read_checked_file(path)
        self.path, self.inputs, self.outputs = path, file.graph.inputs, [value.name for value in file.graph.outputs]
        self._limit = resolve_time_limit(runtime.time_limit, CALL_SECONDS)
        self._session = open_session(file.data, str(path), runtime, weights=file.weights)

    def __call__(self, values: Sequence[NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """The outputs of these names for its inputs in their order; each is cast to the type that its input has."""
        if len(values) < len(self.inputs) or any(value.kind not in KINDS for value in self.inputs):
            raise DtoolError(
                f"{self.path} has the inputs {', '.join(map(describe_value, self.inputs))}, which are not known",
                TOGETHER,
            )
        pairs = zip(self.inputs, values, strict=False)
        feed = {value.name: np.ascontiguousarray(array, KINDS[value.kind]) for value, array in pairs}
        return [np.asarray(out, np.float32) for out in run_session(self._session, outputs, feed, self._limit)]


class OnnxCodec(Codec):
    """vae_decoder and, if it is there, vae_encoder. latent = (z - shift)·scale, where z is what the files know."""

    def __init__(
        self, decoder: OnnxPart, encoder: OnnxPart | None, latent_shape: tuple[int, ...], config: Mapping[str, Any]
    ) -> None:
        self._decoder, self._encoder, self.latent_shape = decoder, encoder, latent_shape
        self.is_scale_assumed = config.get("scaling_factor") is None
        self.scale, self.shift = (
            _read_number(config, key, usual, decoder.path)
            for key, usual in (("scaling_factor", SCALE), ("shift_factor", 0))
        )
        if not self.scale:
            raise DtoolError(f"{decoder.path}: its scaling_factor is 0", "write the factor that it was trained with")
        parts = [decoder] if encoder is None else [decoder, encoder]
        self.takes_any_size = all(_takes_any_size(part.inputs[0]) for part in parts if part.inputs)
        self.picture_shape = find_picture_shape(self._run_decoder, latent_shape, takes_any_size=self.takes_any_size)[1:]

    @property
    def path(self) -> Path:
        """The decoder's file."""
        return self._decoder.path

    def _run_decoder(self, latents: NDArray[Any]) -> NDArray[np.float32]:
        picture = self._decoder([latents / self.scale + self.shift], self._decoder.outputs[:1])[0]
        if picture.ndim != len(self.latent_shape) + 1 or len(picture) != len(latents):
            raise DtoolError(f"{self._decoder.path} makes pictures of shape {picture.shape}", TOGETHER)
        return picture

    def _decode(self, latents: NDArray[Any]) -> NDArray[Any]:
        return self._run_decoder(latents)

    def _encode(self, pictures: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        if self._encoder is None:
            return super()._encode(pictures)
        output = self._encoder([pictures], self._encoder.outputs[:1])[0]
        channels, *full = self.latent_shape
        size = tuple(a * b // c for a, b, c in zip(pictures.shape[2:], full, self.picture_shape[1:], strict=True))
        if output.shape[1:] == (2 * channels, *size):  # as AutoencoderKL's posterior
            mean, log_variance = output[:, :channels], output[:, channels:].clip(-30, 20)
            return (mean - self.shift) * self.scale, np.exp(0.5 * log_variance) * self.scale
        if output.shape[1:] == (channels, *size):
            mean = (output - self.shift) * self.scale
            return mean, np.zeros_like(mean)
        raise DtoolError(
            f"{self._encoder.path} makes latents of shape {output.shape[1:]}, not {self.latent_shape}", TOGETHER
        )


def _takes_any_size(value: ValueInfo) -> bool:
    return len(value.dims or ()) == 4 and not any(isinstance(length, int) for length in (value.dims or ())[2:])


def _read_number(config: Mapping[str, Any], key: str, usual: float, path: Path) -> np.float32:
    value = usual if config.get(key) is None else config[key]
    if not is_finite_number(value):
        raise DtoolError(f"{path.parent}: {key} is {format_value(value)} in its config", "write a finite number there")
    return np.float32(value)


def open_codec(folder: Folder, latent_shape: tuple[int, ...], runtime: Runtime) -> OnnxCodec | None:
    """The autoencoder, or None if there is none. Raises DtoolError for an encoder alone, and for broken files."""
    parts = folder.parts
    if "vae_decoder" not in parts:
        if "vae_encoder" in parts:
            raise DtoolError(f"{folder.path} has a vae_encoder and no vae_decoder", "copy the whole folder again")
        return None
    encoder = OnnxPart(parts["vae_encoder"], runtime) if "vae_encoder" in parts else None
    config = folder.read_config("vae", "vae_decoder", "vae_encoder")
    return OnnxCodec(OnnxPart(parts["vae_decoder"], runtime), encoder, latent_shape, config)


class OnnxText(TextEncoder):
    """Text encoders, each with its tokenizer, and conditions that are the same for every prompt.

    One makes the hidden states of its last layer (Stable Diffusion), two those of the last but one side by side and the
    second's projected pooled text (XL). zero_empty: zeros in the place of what the empty prompt gives.
    """

    def __init__(
        self, pairs: Sequence[tuple[PromptTokenizer, OnnxPart]], names: Sequence[str], *, zero_empty: bool,
        constants: Mapping[str, NDArray[Any]],
    ) -> None:  # fmt: skip
        self.pairs, self.made, self.zero_empty, self._constants = pairs, tuple(names), zero_empty, constants
        self.constants = tuple(constants)
        self.names = (*self.made, *self.constants)

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The arrays by name, `(len(texts), *shape)` each; each prompt is computed alone."""
        known = {text: self._encode_one(text) for text in dict.fromkeys(texts)}
        return {name: np.stack([known[text][name] for text in texts]) for name in self.names}

    def contrast(self, constants: Mapping[str, Any]) -> Mapping[str, Any]:
        """As they are, but a refiner's time_ids."""
        own = self._constants.get("time_ids")
        if own is None or len(own) != REFINER_COUNT:
            return constants
        return {**constants, "time_ids": contrast_time_ids(constants.get("time_ids", own))}

    def _encode_one(self, text: str) -> dict[str, NDArray[Any]]:
        parts = [self._run(*pair, text) for pair in self.pairs]
        arrays = [np.concatenate([states for states, _ in parts], axis=-1), *([parts[-1][1]] * (len(self.made) > 1))]
        made = dict(
            zip(self.made, (np.zeros_like(a) if self.zero_empty and not text else a for a in arrays), strict=True)
        )
        return {**made, **self._constants}

    def _run(self, tokenizer: PromptTokenizer, part: OnnxPart, text: str) -> tuple[NDArray[Any], NDArray[Any]]:
        ids, mask = (np.array(rows) for rows in tokenizer([text]))
        states, other = part([ids, mask], self.choose_outputs(part))
        return states[0], other[0]

    def choose_outputs(self, part: OnnxPart) -> tuple[str, str]:
        """The outputs of an encoder that are its hidden states and its pooled text."""
        pooled = next((name for name in ("text_embeds", "pooler_output") if name in part.outputs), part.outputs[-1])
        return self._choose_states(part), pooled

    def _choose_states(self, part: OnnxPart) -> str:
        layers = [name for name in part.outputs if name.startswith("hidden_states.") and name[14:].isdecimal()]
        layers.sort(key=lambda name: int(name[14:]))
        if len(self.made) > 1 and len(layers) > 1:
            return layers[-2]
        if len(self.made) == 1 and "last_hidden_state" in part.outputs:
            return "last_hidden_state"
        raise DtoolError(f"{part.path} has the outputs {', '.join(part.outputs)}, no hidden states", TOGETHER)


def open_text(
    folder: Folder, conditions: Sequence[Condition], picture: tuple[int, ...], runtime: Runtime
) -> OnnxText | None:
    """The text encoder for a network that takes these conditions; None if there is none, or it takes no text.

    Raises DtoolError where a tokenizer is missing, or makes other arrays than the network takes.
    """
    shapes = {one.name: one for one in conditions}
    encoders = [name for name in ("text_encoder", "text_encoder_2") if name in folder.parts]
    if not encoders or "encoder_hidden_states" not in shapes:
        return None
    names = [name for name in ("encoder_hidden_states", "text_embeds") if name in shapes]
    if len(encoders) > 1 and len(names) == 1:
        raise UsageError(f"{folder.path} has two text encoders, and the network takes no text_embeds", TOGETHER)
    height, width = picture[-2:] if len(picture) > 1 else (picture[0], picture[0])
    count = shapes["time_ids"].shape[0] if "time_ids" in shapes else None
    times = {} if count is None else {"time_ids": make_time_ids(height, width, count)}
    pairs = []
    for part in encoders:
        tokenizer = open_tokenizer(folder.path, folder.path / part.replace("text_encoder", "tokenizer"))
        pairs.append((tokenizer, OnnxPart(folder.parts[part], runtime)))
    zero = folder.index.get("force_zeros_for_empty_prompt", True) is not False
    text = OnnxText(pairs, names, zero_empty=zero and len(names) > 1, constants=times)
    for name, array in text.encode([""]).items():
        if not shapes[name].fits(array.shape[1:]):
            takes = f"the network takes {shapes[name].describe()}"
            raise DtoolError(f"the text encoders make {name} of shape {array.shape[1:]}, and {takes}", TOGETHER)
    return text
