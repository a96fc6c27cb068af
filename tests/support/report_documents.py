"""Documents for the tests of the report: made up, in the form that `dtool compare` writes."""

from __future__ import annotations

import copy

import numpy as np

import dtool

RECIPES = ("ddpm", "ddim", "ddim:eta=0.5", "dpmpp-2m/karras", "heun/karras", "unipc")
WHY = "it is stochastic: there is no one solution to be near to"
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!--<script>'&amp;{{7*7}}"


def samples(recipes=RECIPES, steps=(10, 20), n=16):
    """Plans, images (rows, n, *shape) and traces of the package's network."""
    network = dtool.default_network("cpu")
    runs = [dtool.sample(network, recipe, steps=count, n=n, trace=True) for recipe in recipes for count in steps]
    images = np.stack([run.x0 for run in runs])
    return runs, images, [{"x": run.trace.x, "x0": run.trace.x0} for run in runs]


def curve(times, total=1000):
    """The linear schedule at `times`: alpha_bar, beta and log-SNR."""
    beta = np.linspace(1e-4, 0.02, total)
    bars = np.cumprod(1 - beta)
    bar = np.interp(times, np.arange(total), bars)
    return {
        "time": list(map(float, times)),
        "alpha_bar": bar.tolist(),
        "beta": np.interp(times, np.arange(total), beta).tolist(),
        "log_snr": np.log(bar / (1 - bar)).tolist(),
    }


def figure(random, value):
    spread = abs(value) * random.uniform(0.05, 0.2)
    return {"value": value, "low": value - spread, "high": value + spread, "z": value * 30, "p": random.uniform()}


def entry(name, steps, random, *, stochastic=False, n=16):
    calls = 2 * steps - 1 if name.startswith("heun") else steps
    took = 0.02 * calls * random.uniform(0.9, 1.3)
    error = random.uniform(0.4, 1.4) / calls**1.3
    times = np.linspace(999, 0, steps) if "karras" not in name else 999 * np.linspace(1, 0, steps) ** 0.6
    return {
        "name": name,
        "recipe": f"{name}@linear",
        "steps": steps,
        "calls": calls,
        "plan": f"{random.integers(16**12):012x}",
        "seconds": took,
        "seconds_low": took * 0.96,
        "seconds_high": took * 1.08,
        "images_per_second": n / took,
        "timing": {"network": took * 0.86, "rule": took * 0.06, "noise": took * 0.05, "copies": took * 0.02},
        "solver": None if stochastic else {
            "rmse": error, "psnr": float(20 * np.log10(2 / error)), "low": error * 0.9, "high": error * 1.12,
            "judged": True,
        },
        "why_no_solver": WHY if stochastic else None,
        "figures": {
            "mmd": figure(random, random.uniform(0.4, 1) * 0.3 / calls),
            "fd": figure(random, random.uniform(0.8, 1.2) * (0.5 + 20 / calls)),
            "coverage": figure(random, random.uniform(0.85, 0.99) * (1 - 1.5 / calls)),
        },
        "points": curve(times),
    }  # fmt: skip


METRICS = [
    {"name": "mmd", "title": "MMD² (RBF)", "better": "lower", "headline": True, "null_mean": 0.0, "null_sd": 0.002},
    {"name": "fd", "title": "Fréchet distance, pixels", "better": "lower", "headline": True, "null_mean": 0.4,
     "null_sd": 0.1},
    {"name": "coverage", "title": "Coverage", "better": "higher", "headline": False, "null_mean": 0.97,
     "null_sd": 0.01},
]  # fmt: skip


def document(recipes=RECIPES, steps=(10, 20), n=16, seed=0, shape=(1, 28, 28)):
    """A whole document, one entry a recipe and step count."""
    random = np.random.default_rng(seed)
    names = [(name, count) for name in recipes for count in steps]
    entries = [entry(name, count, random, stochastic=name.startswith("ddpm") or "eta" in name, n=n)
               for name, count in names]  # fmt: skip
    rmse = np.abs(np.subtract.outer(*[random.uniform(0, 0.4, len(names))] * 2))
    return {
        "format": 2,
        "command": f"dtool compare {' '.join(recipes)} --steps {','.join(map(str, steps))} -n {n} -o report.html",
        "made": "2026-11-21T09:30:00+00:00",
        "verdict": "dpmpp-2m/karras is nearest to the solution at 10 calls (RMSE 0.031, 95 % 0.027 to 0.035); "
        "of the law of the data, no two recipes can be told apart at 20 calls.",
        "n": n, "seed": seed, "repeats": 5, "shape": list(shape), "data_range": [-1.0, 1.0],
        "backend": "onnxruntime", "device": "cpu", "model": "the package's own network (digits)",
        "class_names": list("0123456789"), "labels": [i % 10 for i in range(n)], "ids": list(range(n)),
        "prompts": [],
        "machine": {"cpu": "4 cores, x86-64", "memory": "16 GiB", "system": "Linux 6.1", "gpu": None},
        "versions": {"dtool-diffusion": "0.6.0", "python": "3.12.4", "numpy": "2.4.6", "onnxruntime": "1.24.0"},
        "plugins": [{"name": "dtool-quadratic", "version": "0.1.0", "status": "ok"}],
        "reference": {
            "recipe": "heun@linear", "steps": 320, "error": 0.0004, "ok": True, "reason": None, "start": 999.0,
        },
        "data": {"name": "digits.npz", "count": 1797},
        "metrics": copy.deepcopy(METRICS),
        "entries": entries,
        "schedules": [{"name": "linear", **curve(np.linspace(0, 999, 100))}],
        "rmse": rmse.tolist(),
        "baseline": None,
    }  # fmt: skip
