#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0 (PyPI); 2026-11-30, Linux x86-64, CPU.
#
# TCDScheduler has the options clip_sample and thresholding, and describes them as DDIMScheduler and LCMScheduler do, but its
# step reads neither: the predicted x0 is never clipped, and the result is the same number for number, without a word.
# A setting taken over from another scheduler's configuration is lost so. We expected what the other two do.
#
# Output seen:
#   DDIMScheduler, nothing: up to 223.3, clip_sample: up to 5.1, thresholding: up to 5.1
#     clip_sample changes it: True  thresholding changes it: True
#   LCMScheduler, nothing: up to 151.8, clip_sample: up to 2.5, thresholding: up to 2.5
#     clip_sample changes it: True  thresholding changes it: True
#   TCDScheduler, nothing: up to 153.7, clip_sample: up to 153.7, thresholding: up to 153.7
#     clip_sample changes it: False  thresholding changes it: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 diffusers==0.42.1 numpy

cat >run.py <<'PYTHON'
import warnings

import torch
from diffusers import DDIMScheduler, LCMScheduler, TCDScheduler

warnings.simplefilter("ignore")
SETTINGS = {
    "nothing": {"clip_sample": False},
    "clip_sample": {"clip_sample": True},
    "thresholding": {"clip_sample": False, "thresholding": True},
}


def step(kind, **config):
    scheduler = kind(**config)
    scheduler.set_timesteps(4)
    x = torch.linspace(-50, 50, 48).reshape(1, 3, 4, 4)
    said = 0.1 * x
    return scheduler.step(said, scheduler.timesteps[0], x, generator=torch.Generator().manual_seed(0)).prev_sample


for kind in (DDIMScheduler, LCMScheduler, TCDScheduler):
    results = {name: step(kind, **config) for name, config in SETTINGS.items()}
    print(kind.__name__, *(f"{name}: up to {found.abs().max():.1f}" for name, found in results.items()), sep=", ")
    print("  clip_sample changes it:", not torch.equal(results["nothing"], results["clip_sample"]),
          " thresholding changes it:", not torch.equal(results["nothing"], results["thresholding"]))  # fmt: skip
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "DDIMScheduler, nothing: up to 223.3, clip_sample: up to 5.1, thresholding: up to 5.1
  clip_sample changes it: True  thresholding changes it: True
LCMScheduler, nothing: up to 151.8, clip_sample: up to 2.5, thresholding: up to 2.5
  clip_sample changes it: True  thresholding changes it: True
TCDScheduler, nothing: up to 153.7, clip_sample: up to 153.7, thresholding: up to 153.7
  clip_sample changes it: False  thresholding changes it: False" ]
