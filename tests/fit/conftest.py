"""A small session that the tests of the room share: a Gaussian of ten axes, whose solution is known."""

import pytest

from dtool.fit.session import FitOptions, FitSession
from dtool.targets import target

TOKEN = "gaussian:d=10,condition=60"


@pytest.fixture(scope="session")
def gaussian_session():
    return FitSession(target(TOKEN).network(), FitOptions(noises=(48, 40, 20)))


@pytest.fixture(scope="session")
def mixture_session():
    return FitSession(target("gmm:d=2").network(), FitOptions(noises=(24, 20, 20)))
