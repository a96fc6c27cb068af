"""The small exported networks as fixtures."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", params=["u-net", "narrow", "vectors", "normed"])
def small(request):
    from tests.support.small_exports import make_small

    return make_small(request.param)


@pytest.fixture(scope="module")
def unet():
    from tests.support.small_exports import make_small

    return make_small("narrow")
