"""`--eta`: a stochastic plan from a session."""

import pytest

from dtool.certify.adopted import measure_marginals
from dtool.errors import UsageError
from dtool.fit.law_fit import fit_law
from dtool.fit.session import FitOptions, FitSession
from dtool.fit.work import Work
from dtool.targets import target


def test_a_stochastic_plan_keeps_the_marginals():
    session = FitSession(target("gmm:d=2").network(), FitOptions(basis="x0", noises=(24, 24, 4)))
    seen = []
    plan = fit_law(session, 3, 0.5, Work(on_better=seen.append))
    assert plan.stochastic
    assert plan.fit.kind == "law"
    assert max(measure_marginals(plan)[:2]) < 1e-12
    assert plan.fit.validation <= seen[0].fit.validation
    with pytest.raises(UsageError, match=r"eta=1\.5"):
        fit_law(session, 3, 1.5, Work())
    with pytest.raises(UsageError, match="remember images"):
        fit_law(FitSession(target("gmm:d=2").network(), FitOptions(noises=(4, 4, 4))), 3, 0.5, Work())
