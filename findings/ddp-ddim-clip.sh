#!/usr/bin/env bash
# denoising-diffusion-pytorch 2.3.4 with torch 2.13.0 (PyPI); 2026-11-30, Linux x86-64.
#
# Expected: GaussianDiffusion and GaussianDiffusion1D, with the same options, noise and network, make the same numbers of a
# picture of 4 x 4 and of a sequence of 16. Instead, DDIM in two dimensions derives the noise again from the predicted image
# once that is clipped to -1 … 1, and in one dimension keeps what the network said. Where nothing is clipped they agree; where
# something is, they do not, and no option of either class changes that.
#
# Output seen:
#   nothing to clip: the same
#   clipped: apart by 0.207
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet torch==2.13.0 numpy==2.4.6 einops==0.8.2 accelerate==1.15.0 ema-pytorch==0.8.3 pillow scipy tqdm
python/bin/pip install --quiet --no-deps denoising-diffusion-pytorch==2.3.4

cat >run.py <<'PYTHON'
import logging
import sys
import types
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
# Training's packages, which the samplers do not use.
for name in ("torchvision", "torchvision.transforms", "torchvision.utils", "pytorch_fid", "pytorch_fid.fid_score",
             "pytorch_fid.inception"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"]
sys.modules["torchvision"].utils = sys.modules["torchvision.utils"]
sys.modules["pytorch_fid.fid_score"].calculate_frechet_distance = None
sys.modules["pytorch_fid.inception"].InceptionV3 = None
from denoising_diffusion_pytorch import GaussianDiffusion, GaussianDiffusion1D


class Network(nn.Module):
    """A fifth of x as the image in it, or half of it as the noise, whatever its shape."""

    channels = out_dim = 1
    self_condition = random_or_learned_sinusoidal_cond = False

    def __init__(self, small):
        super().__init__()
        self.small, self.share = small, nn.Parameter(torch.zeros(1000))

    def forward(self, x, time, x_self_cond=None):
        share = self.share[time].reshape(-1, *[1] * (x.ndim - 1))
        return (x - share.sqrt() * x / 5) / (1 - share).sqrt() if self.small else x / 2


def draw(kind, shape, small, **options):
    network = Network(small)
    diffusion = kind(
        network, timesteps=1000, sampling_timesteps=4, objective="pred_noise", beta_schedule="cosine",
        auto_normalize=False, **options,
    )
    network.share.data = diffusion.alphas_cumprod.clone()
    torch.manual_seed(0)
    return diffusion.ddim_sample(shape).flatten()


for small in (True, False):
    picture = draw(GaussianDiffusion, (1, 1, 4, 4), small, image_size=4)
    sequence = draw(GaussianDiffusion1D, (1, 1, 16), small, seq_length=16)
    apart = (picture - sequence).abs().max().item()
    print("nothing to clip:" if small else "clipped:", f"apart by {apart:.3f}" if apart > 1e-3 else "the same")
PYTHON

seen=$(python/bin/python run.py 2>/dev/null)
printf '%s\n' "$seen"
[ "$seen" = "nothing to clip: the same
clipped: apart by 0.207" ]
