"""The likelihood of images under a network: the variational bound, term by term, and the probability-flow ODE."""

from dtool.likelihood.chain import VARIANCES, Variance
from dtool.likelihood.probability_flow import ode
from dtool.likelihood.result import Bound, Density, Term
from dtool.likelihood.variational_bound import bound, measure_chain_variance

__all__ = ["VARIANCES", "Bound", "Density", "Term", "Variance", "bound", "measure_chain_variance", "ode"]
