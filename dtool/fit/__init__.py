"""Tables learned from forward passes: the best plan for one network, guidance and budget.

The package itself can be called: `dtool.fit(network, calls=5)`.
"""

from dtool.fit.run import fit
from dtool.util.callable_package import make_callable

__all__ = ["fit"]

make_callable(__name__, fit)
