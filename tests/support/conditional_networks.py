"""A network that adds a known effect of its conditions, and guidance written into a network by hand."""

import numpy as np

import dtool

TEXT = {"name": "text", "shape": (None, 2), "null": 0}
BIAS = {"name": "bias", "shape": (2,)}
START = np.random.default_rng(0).standard_normal((3, 2))


def effect(text, bias=0.0, label=0):
    """What the conditions add to the output: of a text the mean of its tokens' squares."""
    return 0.1 * np.square(text).mean(axis=1) + 0.3 * np.asarray(bias) + 0.01 * np.reshape(label, (-1, 1))


NO_TEXT = np.zeros((1, 1, 2))


def make_network(*conditions, **fields):
    """A network that adds `effect`, and the shapes of the texts that it was called with."""
    seen = []

    def fn(x, t, *label, text=NO_TEXT, bias=0.0):
        seen.append((len(x), text.shape[1]))
        return 0.2 * x + effect(text, bias, *label)

    network = dtool.network(fn, shape=(2,), conditions=conditions, **fields)
    network.is_builtin = True
    return network, seen


def sample_by_hand(without, given, scale, plan):
    """The same run of a network into which the extrapolation is written."""
    network = dtool.network(lambda x, t: 0.2 * x + without + scale * (given - without), shape=(2,))
    network.is_builtin = True
    return dtool.sample(network, plan, x=START).x0


PLAN = dtool.plan("dpmpp-2m", steps=4)
