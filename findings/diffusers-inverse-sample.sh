#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0 (PyPI); 2026-12-01, Linux x86-64, CPU.
#
# DDIMInverseScheduler leads from an image to its noise, for networks that predict the noise, v or the image ("sample"). With
# prediction_type="sample" and every other option left alone its first step gives NaN, whatever the network says: the noise is
# computed from the predicted image, and divided by a standard deviation that is 0 at the image. With the two others the same step
# is finite. We expected all three to be.
#
# Output seen:
#   epsilon: finite
#   v_prediction: finite
#   sample: not finite
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 diffusers==0.42.1

cat >run.py <<'PYTHON'
import torch
from diffusers import DDIMInverseScheduler

image = torch.linspace(-0.9, 0.9, 64).reshape(1, 1, 8, 8)
for kind in ("epsilon", "v_prediction", "sample"):
    scheduler = DDIMInverseScheduler(prediction_type=kind)
    scheduler.set_timesteps(20)
    said = {"epsilon": torch.zeros_like(image), "v_prediction": torch.zeros_like(image), "sample": image}[kind]
    after = scheduler.step(said, scheduler.timesteps[0], image).prev_sample
    print(f"{kind}: {'finite' if after.isfinite().all() else 'not finite'}")
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "epsilon: finite
v_prediction: finite
sample: not finite" ]
