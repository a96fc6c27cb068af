"""Measure an autoencoder on pictures that it has not seen, and a network of its latents beside one of pixels.

`python docs/measure_codec.py PICTURES` trains an autoencoder on a folder of pictures of 64x64, a tenth of them held
out, and writes the tables in docs/latents.md: PSNR, beside bicubic interpolation from as many pixels as there are
latents; and the time of a sample, of a network on latents with the decoder, and of the same network on pixels, which
take turns. The networks' weights are random, for the time does not depend on them. `--codec FOLDER` measures one that
`dtool train-codec PICTURES` has trained with the seed 0 and that tenth held out.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import dtool
from dtool.data.images import Images, load
from dtool.measure.machine import detect_machine
from dtool.measure.timing import format_spread, quartiles, ratios, time_in_turns
from dtool.models.network import Network
from dtool.models.unet import UNet, UNetConfig
from dtool.training.codec_config import CodecConfig
from dtool.training.codec_loss import compute_psnr
from dtool.training.codec_session import start
from dtool.training.latents import TrainingCodec, open_training_codec
from dtool.training.validation import hold_out

PAGE = Path(__file__).with_name("latents.md")
START, END = "<!-- measured -->", "<!-- /measured -->"
SHARE, BATCH = 0.1, 4  # of the pictures held out; pictures of a step
STEPS, AT_ONCE, ROUNDS = 20, 4, 9  # of the sampler; pictures of a run; rounds
Array = NDArray[np.float32]


def train(data: str, steps: int, folder: Path) -> Path:
    """Train an autoencoder from 64x64x3 to 16x16x4."""
    config = CodecConfig(steps=steps, batch_size=BATCH, flip=True, validation=SHARE)
    for _ in start(data, folder, config, device="cpu").run():
        pass
    return folder


def enlarge(truth: Array, factor: int) -> Array:
    """Pictures (N, 3, H, W) made `factor` times smaller and enlarged again, both by Pillow's bicubic interpolation."""
    eight = np.rint((truth + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1)
    full, small = eight.shape[2:0:-1], tuple(n // factor for n in eight.shape[2:0:-1])
    bicubic = Image.Resampling.BICUBIC
    large = [np.asarray(Image.fromarray(one).resize(small, bicubic).resize(full, bicubic)) for one in eight]
    return np.stack(large).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1


def describe_psnr(name: str, pictures: Array, truth: Array) -> str:
    """A row: the mean PSNR with the 95 % interval of the mean, and the quartiles over the pictures."""
    psnr = compute_psnr(torch.from_numpy(pictures), torch.from_numpy(truth)).numpy()
    low, middle, high = np.quantile(psnr, (0.25, 0.5, 0.75))
    half = 1.96 * psnr.std(ddof=1) / np.sqrt(len(psnr))
    return f"| {name} | {psnr.mean():.2f} ± {half:.2f} | {low:.1f}, {middle:.1f}, {high:.1f} |"


def measure_psnr(codec: TrainingCodec, images: Images) -> list[str]:
    """The table's rows."""
    truth = images.take()
    factor = truth.shape[2] // codec.codec.latent_shape[1]
    numbers = " x ".join(map(str, codec.codec.latent_shape))
    return [
        describe_psnr(f"the autoencoder, {numbers} numbers", codec.codec.decode(codec.codec.encode(truth)), truth),
        describe_psnr(f"bicubic, from {factor} times smaller", enlarge(truth, factor), truth),
    ]


def make_network(config: UNetConfig, shape: tuple[int, ...]) -> Network:
    """A U-Net with random weights."""
    torch.manual_seed(0)
    module = UNet(config).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    network = dtool.load(module, spec=dtool.NetworkSpec(shape=shape, schedule="cosine"), device="cpu")
    network.is_builtin = True  # what it predicts need not be tried out
    return network


def measure_time(codec: TrainingCodec) -> list[str]:
    """The table's rows: seconds a picture, medians and quartiles, in turns."""
    latent, picture = codec.codec.latent_shape, codec.codec.picture_shape
    config = UNetConfig.for_shape(latent)
    on_latents = make_network(config, latent)
    on_pixels = make_network(config.model_copy(update={"channels": picture[0]}), picture)
    on_latents.codec = codec.codec

    def sample(network: Network) -> Callable[[], object]:
        return lambda: network.to_pictures(dtool.sample(network, "ddim", steps=STEPS, n=AT_ONCE, batch_size=AT_ONCE).x0)

    latents = np.random.default_rng(0).standard_normal((AT_ONCE, *latent), dtype=np.float32)
    runs = [sample(on_latents), sample(on_pixels), lambda: codec.codec.decode(latents)]
    times = time_in_turns(runs, ROUNDS)
    names = ["on latents, with the decoder", "on pixels", "of the first, the decoder alone"]
    rows = [
        f"| {name} | {format_spread(seconds, scale=1e3 / AT_ONCE)} |"
        for name, seconds in zip(names, times, strict=True)
    ]
    low, middle, high = quartiles(ratios(times[0], times[1]))
    return [*rows, f"| on latents ÷ on pixels, within a round | {middle:.2f} ({low:.2f} … {high:.2f}) |"]


def write(about: str, quality: list[str], times: list[str]) -> None:
    """Put the tables into docs/latents.md."""
    lines = [
        START, about, "", "| | PSNR, dB, mean | quartiles |", "|---|---|---|", *quality, "",
        f"DDIM, {STEPS} steps, {AT_ONCE} pictures at a time, one thread, {ROUNDS} rounds in turns:", "",
        "| | a picture, median (quartiles) |", "|---|---|", *times, END,
    ]  # fmt: skip
    text = PAGE.read_text(encoding="utf-8")
    table = "\n".join(lines)
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--steps", type=int, default=3700)
    parser.add_argument("--codec", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    pictures, held_out = hold_out(load(given.data, classes=False), SHARE, 0)
    assert held_out is not None
    with tempfile.TemporaryDirectory() as place:
        folder = given.codec or train(given.data, given.steps, Path(place) / "codec")
        codec = open_training_codec(folder, pictures.shape)
        quality, times = measure_psnr(codec, held_out), measure_time(codec)
    machine = detect_machine()
    about = (
        f"Measured {machine.date[:10]} on {machine.processor}, {machine.cores} cores, PyTorch "
        f"{machine.versions['torch']}; {len(pictures)} pictures to train on, the {len(held_out)} held out measured. "
        f"{BATCH} pictures a step, {given.steps} steps; {machine.load or 0:.0f} other processes were computing:"
    )
    write(about, quality, times)


if __name__ == "__main__":
    main()
