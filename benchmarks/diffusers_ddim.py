"""The other side of cold_start.py: the same ONNX network under diffusers' DDIMScheduler. It knows nothing of dtool.

`python diffusers_ddim.py MODEL.onnx BETAS.npy OUT.png STEPS N CLASSES GUIDANCE`
"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import torch
from diffusers import DDIMScheduler
from PIL import Image


def main(model: str, betas: str, out: str, steps: int, n: int, classes: int, guidance: float) -> None:
    """Sample `n` images in one batch and write them side by side."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    scheduler = DDIMScheduler(
        len(np.load(betas)), trained_betas=np.load(betas), timestep_spacing="trailing", clip_sample=True
    )
    scheduler.set_timesteps(steps)
    shape = session.get_inputs()[0].shape[1:]
    x = torch.randn((n, *shape), generator=torch.Generator().manual_seed(0))
    labels = np.arange(n) % max(classes, 1)

    def network(x: np.ndarray, time: int, label: np.ndarray) -> np.ndarray:
        feed = {"x": x, "t": np.full(len(x), time, dtype=np.float32)}
        return session.run(None, feed | ({"label": label} if classes else {}))[0]

    for time in scheduler.timesteps.tolist():
        if classes and guidance != 1:
            none = np.full_like(labels, classes)
            both = network(np.concatenate([x.numpy()] * 2), time, np.concatenate([none, labels]))
            eps = both[:n] + guidance * (both[n:] - both[:n])
        else:
            eps = network(x.numpy(), time, labels)
        x = scheduler.step(torch.from_numpy(eps), time, x).prev_sample
    pixels = ((x.numpy().clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    rows = np.concatenate(list(pixels), axis=-1).transpose(1, 2, 0)
    Image.fromarray(rows[..., 0] if rows.shape[-1] == 1 else rows).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:7]), float(sys.argv[7]))
