"""EDM's preconditioning around a closed-form denoiser, inverted by hand: arXiv:2206.00364, table 1, in x' = x/α."""

import numpy as np

import dtool
from dtool.models.spec import NetworkSpec, describe_schedule
from dtool.run.numpy_backend import FunctionNetwork


def columns(values, like):
    """A number for each image, to be multiplied with an array `(B, *shape)`."""
    return np.asarray(values).reshape(-1, *[1] * (like.ndim - 1))


def precondition(law, schedule, sigma_data):
    """F(c_in·x', t) of the law's denoiser D: D = c_skip·x' + c_out·F at v = σ/α, and where α = 0 the limit of that."""
    levels = dtool.get_scheduler(schedule)

    def fn(scaled, t):
        alpha, sigma = (columns(each, scaled) for each in levels.level(t))
        x = scaled * np.hypot(sigma, alpha * sigma_data)
        image = law.predict(x, alpha.ravel(), sigma.ravel(), None, "x0")
        with np.errstate(all="ignore"):
            v = sigma / alpha
            power = v**2 + sigma_data**2
            c_in, c_skip, c_out = 1 / np.sqrt(power), sigma_data**2 / power, v * sigma_data / np.sqrt(power)
            inner = (image - c_skip * (scaled / c_in)) / c_out
        return np.where(alpha == 0, image / sigma_data, inner)

    return make_network(fn, law, levels, f"edm:sigma_data={sigma_data!r}")


def denoise(law, schedule):
    """The same denoiser told as what it predicts."""
    levels = dtool.get_scheduler(schedule)

    def fn(x, t):
        alpha, sigma = levels.level(t)
        return law.predict(x, alpha, sigma, None, "x0")

    return make_network(fn, law, levels, "x0")


def make_network(fn, law, levels, prediction, **fields):
    """A function as a network of this law's shape, known not to mix its batch."""
    spec = NetworkSpec(shape=law.shape, **describe_schedule(levels), prediction=prediction, **fields)
    network = FunctionNetwork(fn, spec)
    network.is_builtin = True
    return network
