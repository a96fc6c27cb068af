"""How probable a network finds images: the variational bound, term by term, and the probability-flow ODE."""

from dtool.likelihood.bound import bound
from dtool.likelihood.chain import VARIANCES, Variance
from dtool.likelihood.ode import ode
from dtool.likelihood.result import Bound, Density, Term

__all__ = ["VARIANCES", "Bound", "Density", "Term", "Variance", "bound", "ode"]
