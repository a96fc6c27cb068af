#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0 (PyPI); 2026-11-30, Linux x86-64, CPU.
#
# UniPCMultistepScheduler(predict_x0=False) is the UniPC of the paper (arXiv:2302.04867) that predicts the noise. With every
# other option left alone the last level is then 0 (final_sigmas_type="zero"), where half the log of the signal-to-noise ratio
# is infinite: the step multiplies σ = 0 by e^h - 1 = inf, and the sample is NaN, however many steps there are and without a
# word, although the limit of the product is finite. Of the same combination DPMSolverMultistepScheduler says
# that it is not supported. We expected a number, or that refusal.
#
# Output seen:
#   {} finite steps: 1 of 1, 3 of 3, 10 of 10, 50 of 50
#   {'predict_x0': False} finite steps: 0 of 1, 2 of 3, 9 of 10, 49 of 50
#   {'predict_x0': False, 'final_sigmas_type': 'sigma_min'} finite steps: 1 of 1, 3 of 3, 10 of 10, 50 of 50
#   DPMSolverMultistepScheduler: `final_sigmas_type` zero is not supported for `algorithm_type` dpmsolver
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 diffusers==0.42.1 numpy

cat >run.py <<'PYTHON'
import logging
import warnings

import torch
from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

warnings.simplefilter("ignore")
logging.disable()


def finite(n, **config):
    scheduler = UniPCMultistepScheduler(**config)
    scheduler.set_timesteps(n)
    x = torch.ones(1, 1, 2, 2)
    steps = []
    for t in scheduler.timesteps:
        x = scheduler.step(0.5 * x, t, x).prev_sample
        steps.append(bool(torch.isfinite(x).all()))
    return f"{sum(steps)} of {n}"


for config in ({}, {"predict_x0": False}, {"predict_x0": False, "final_sigmas_type": "sigma_min"}):
    print(config, "finite steps:", ", ".join(finite(n, **config) for n in (1, 3, 10, 50)))
try:
    DPMSolverMultistepScheduler(algorithm_type="dpmsolver")
except ValueError as error:
    print("DPMSolverMultistepScheduler:", str(error).split(".")[0])
PYTHON

seen=$(python/bin/python run.py)
printf '%s\n' "$seen"
[ "$seen" = "{} finite steps: 1 of 1, 3 of 3, 10 of 10, 50 of 50
{'predict_x0': False} finite steps: 0 of 1, 2 of 3, 9 of 10, 49 of 50
{'predict_x0': False, 'final_sigmas_type': 'sigma_min'} finite steps: 1 of 1, 3 of 3, 10 of 10, 50 of 50
DPMSolverMultistepScheduler: \`final_sigmas_type\` zero is not supported for \`algorithm_type\` dpmsolver" ]
