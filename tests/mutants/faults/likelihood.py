"""Faults in the likelihood."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "decoder-without-its-tail",
        "dtool/likelihood/decoder.py",
        "low = np.where(x0 < first, -np.inf, (x0 - half - mean) / std)",
        "low = (x0 - half - mean) / std",
        "the lowest level is not given what lies below it",
    ),
    Fault(
        "chain-last-variance",
        "dtool/likelihood/chain.py",
        "-np.expm1(2 * (self.lam[-2] - self.lam[-1]))",
        "-np.expm1(self.lam[-2] - self.lam[-1])",
        "tilde's variance of the last step is that of half a step",
    ),
    Fault(
        "bound-measured-on-its-own-noise",
        "dtool/likelihood/variational_bound.py",
        "make_seeded_noise(seed, names, network.shape, 1 + draws)",
        "make_seeded_noise(seed, names, network.shape, 1)",
        "the analytic variance is fitted to the very noise that it is judged on",
    ),
    Fault(
        "calls-lose-the-seed",
        "dtool/likelihood/network_calls.py",
        "Normals(seed, names[place], shape)",
        "Normals(0, names[place], shape)",
        "every seed has the bound of seed 0",
    ),
    Fault(
        "ode-half-a-level-up",
        "dtool/likelihood/probability_flow.py",
        "(draw_uniforms(seed, names, 0, network.shape) - 0.5)",
        "draw_uniforms(seed, names, 0, network.shape)",
        "dequantisation moves an image up by half a level",
    ),
    Fault(
        "ode-one-probe-many-times",
        "dtool/likelihood/probability_flow.py",
        "uniforms(seed, names, 1 + i, shape)",
        "uniforms(seed, names, 1, shape)",
        "several probes are one and the same",
    ),
    Fault(
        "solver-second-slope",
        "dtool/likelihood/ode_solver.py",
        "slope(y + h * first, at + h, place)",
        "slope(y + h * first, at, place)",
        "Heun's second slope is asked for at the step's beginning: order 1",
    ),
    Fault(
        "autograd-adds-its-probes",
        "dtool/likelihood/autograd.py",
        "trace if probes is None else trace / count",
        "trace",
        "the trace is the sum over the probes, not their mean",
    ),
)
