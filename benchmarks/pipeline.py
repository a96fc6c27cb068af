"""A pipeline shaped like Stable Diffusion: dtool on PyTorch, and exported, beside diffusers' own pipeline, on the CPU.

`python benchmarks/pipeline.py [--rounds N]`: 8 prompts, 20 steps of DDIM, guidance 5, decoded. The weights are random
and the widths small, so that it takes minutes. The three take turns; the memory is that of a process of its own, above
what it has imported. The bars: exported, at most 0.75 of diffusers' time and 0.6 of its memory; on PyTorch, 1.02 of its
time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import dtool
from dtool.measure.machine import format_header
from dtool.measure.timing import format_spread, ratios, time_in_turns
from dtool.util import memory

PROMPTS = ("a cat", "the dog", "a dog", "the cat", "cats", "dogs", "a bat", "the bat")
STEPS, GUIDANCE = 20, 5.0
WAYS = ("diffusers", "dtool, PyTorch", "dtool, exported")
BARS = {"dtool, PyTorch": 1.02, "dtool, exported": 0.75}
MEMORY_BAR = 0.6


def main() -> None:
    """Print the times of the three ways, their ratios, their memory, and how far their pictures are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--batch-size", type=int, help="images at a time on dtool [default: its own choice, one]")
    parser.add_argument("--memory", nargs=2, metavar=("WAY", "FOLDER"), help="measure one way, in this process")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.memory:
        print(json.dumps(measure_memory(given.memory[0], Path(given.memory[1]))))
        return
    print(format_header(["dtool-diffusion", "diffusers", "transformers", "torch", "onnxruntime"]))
    with TemporaryDirectory() as folder:
        make_folders(Path(folder), given.width)
        report_times(Path(folder), given.rounds, given.batch_size)
        report_memory(Path(folder))


def make_folders(folder: Path, width: int) -> None:
    """A folder of diffusers, and what dtool exports of it."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from tests.support.tiny_pipelines import alphabet, clip_tokenizer, seed

    seed()
    words = len(alphabet()[0])
    text = CLIPTextConfig(
        vocab_size=words, hidden_size=256, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=4,
        max_position_embeddings=77, bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1,
    )  # fmt: skip
    widths = (width, 2 * width, 4 * width, 4 * width)
    unet = UNet2DConditionModel(sample_size=32, block_out_channels=widths, cross_attention_dim=256)
    vae = AutoencoderKL(
        block_out_channels=(32, 64, 128, 128), latent_channels=4, norm_num_groups=16, layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, set_alpha_to_one=False, steps_offset=1,
        clip_sample=False,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        unet=unet.eval(), vae=vae.eval(), text_encoder=CLIPTextModel(text).eval(), tokenizer=clip_tokenizer(length=77),
        scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder / "diffusers")
    network = dtool.load(folder / "diffusers", device="cpu")
    plan = dtool.plan(network.origin.recipe, steps=STEPS, network=network)  # type: ignore[union-attr]
    dtool.export(network, folder / "exported", plan=plan, check=False)


def open_way(way: str, folder: Path, batch_size: int | None = None) -> Callable[[], Any]:
    """A function that makes the eight pictures `(8, 3, H, W)`, in -1 … 1."""
    if way == "diffusers":
        from diffusers import StableDiffusionPipeline

        pipeline = StableDiffusionPipeline.from_pretrained(folder / "diffusers", local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        latents = draw_start()

        def run() -> Any:
            import torch

            made = pipeline(
                list(PROMPTS), num_inference_steps=STEPS, guidance_scale=GUIDANCE, latents=torch.from_numpy(latents),
                output_type="np",
            )  # fmt: skip
            return 2 * np.asarray(made.images).transpose(0, 3, 1, 2) - 1

        return run
    network = dtool.load(folder / ("exported" if way == "dtool, exported" else "diffusers"), device="cpu")
    recipe = None if way == "dtool, exported" else network.origin.recipe  # type: ignore[union-attr]

    def sample() -> Any:
        out = dtool.sample(
            network, recipe, steps=STEPS, prompt=PROMPTS, guidance=GUIDANCE, seed=0, batch_size=batch_size
        )
        return network.to_pictures(out.x0)

    return sample


def draw_start() -> Any:
    """The start of seed 0 that dtool draws."""
    from dtool.run.noise import normals

    return np.asarray(normals(0, np.arange(len(PROMPTS), dtype=np.uint64), 0, (4, 32, 32))[0])


def report_times(folder: Path, rounds: int, batch_size: int | None) -> None:
    """Print the seconds of each way, in turns, and its share of diffusers'."""
    runs = [open_way(way, folder, batch_size) for way in WAYS]
    pictures = [run() for run in runs]
    for way, picture in zip(WAYS[1:], pictures[1:], strict=True):
        print(f"{way}: the pictures are at most {np.abs(picture - pictures[0]).max():.1e} from diffusers'")
    times = time_in_turns(runs, rounds)
    for way, seconds in zip(WAYS, times, strict=True):
        share = format_spread(ratios(seconds, times[0]), "", 1)
        bar = f", {share} of diffusers' (bar {BARS[way]})" if way in BARS else ""
        print(f"{way}: {format_spread(seconds, 's', 1)}{bar}")


def measure_memory(way: str, folder: Path) -> dict[str, float]:
    """The most memory of a process that opens and runs a way, above what its imports take, in MB."""
    if way != "dtool, exported":
        import diffusers  # noqa: F401
        import transformers  # noqa: F401
    before = memory.get_usage()
    run = open_way(way, folder)
    run()
    return {"peak": memory.get_peak() / 2**20, "base": before / 2**20}


def report_memory(folder: Path) -> None:
    """Print the peak memory of each way."""
    peaks = {}
    for way in WAYS:
        command = [sys.executable, __file__, "--memory", way, str(folder)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        figures = json.loads(said)
        peaks[way] = figures["peak"]
        share = f", {figures['peak'] / peaks[WAYS[0]]:.2f} of diffusers'" if way != WAYS[0] else ""
        bar = f" (bar {MEMORY_BAR})" if way == "dtool, exported" else ""
        print(f"{way}: at most {figures['peak']:.0f} MB, {figures['base']:.0f} MB of it before opening{share}{bar}")


if __name__ == "__main__":
    main()
