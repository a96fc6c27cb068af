"""Spacings by time, in exact arithmetic, and as other libraries round them."""

from fractions import Fraction
from math import cos, log, pi

import pytest

from dtool.errors import UsageError
from dtool.plan import grid
from dtool.schedulers import get_scheduler
from dtool.spacings import get_spacing
from tests.support.spacings import BAD, LATENT, LINEAR


def test_by_time():
    """The names of user interfaces: fractional, rounded down, without the last."""
    assert get_spacing("normal")(LATENT, 4).tolist() == [999, 666, 333, 0]
    assert get_spacing("sgm_uniform")(LATENT, 3).tolist() == [999, 666, 333]
    assert get_spacing("simple")(LATENT, 3).tolist() == [999, 999 - 333, 999 - 666]
    assert get_spacing("simple")(LATENT, 7).tolist() == [999 - int(i * 1000 / 7) for i in range(7)]
    assert get_spacing("ddim_uniform")(LATENT, 20).tolist() == [50 * i + 1 for i in reversed(range(20))]
    assert get_spacing("lcm")(LATENT, 4).tolist() == [999, 759, 499, 259]
    assert get_spacing("trailing:whole=false")(LATENT, 3) == pytest.approx([999, 1000 * 2 / 3 - 1, 1000 / 3 - 1])


def test_trailing_on_a_flow_is_that_of_flux():
    found = [p.sigma for p in grid(get_scheduler("flow"), get_spacing("trailing:whole=false"), 28)]
    assert found == pytest.approx([1 - i / 28 for i in range(29)], abs=1e-12)


@pytest.mark.parametrize("write", ["txt", "json"])
def test_a_file_of_times(tmp_path, write):
    path = tmp_path / f"times.{write}"
    path.write_text("[900, 500.5, 3]" if write == "json" else "900, 500.5\n3")
    place = get_spacing("file", path=str(path))
    assert place(LINEAR, 3).tolist() == [900, 500.5, 3]
    assert grid(LINEAR, get_spacing("file", path=str(path), end="sigma_min"), 2)[-1].t == 3
    with pytest.raises(UsageError, match="3 times were given for 4 steps"):
        place(LINEAR, 4)


def test_cosines_are_cosines():
    """The levels of `normal` on cosine are those of its formula between whole times: λ is linear there."""
    table = get_scheduler("cosine", T=10)
    (point, *_) = grid(table, get_spacing("list:times=2.5"), 1)
    lam = [
        0.5 * log(a / (1 - a))
        for a in ((cos(((i + 1) / 10 + 0.008) / 1.008 * pi / 2) / cos(0.008 / 1.008 * pi / 2)) ** 2 for i in (2, 3))
    ]
    assert point.lam == pytest.approx(sum(lam) / 2, rel=1e-9)


@pytest.mark.parametrize("n", BAD)
def test_trailing_in_exact_arithmetic(n):
    times = get_spacing("trailing")(get_scheduler("linear"), n)
    assert times.tolist() == [round(Fraction(1000 * (n - i), n)) - 1 for i in range(n)]


@pytest.mark.parametrize("total", [1, 2, 7, 50, 1000])
def test_formulas_in_exact_arithmetic(total):
    table = get_scheduler("cosine", T=total)
    for n in range(1, total + 1, max(1, total // 50)):
        found = {name: get_spacing(name)(table, n).tolist() for name in ("trailing", "leading", "linspace")}
        assert found["trailing"] == [round(Fraction(total * (n - i), n)) - 1 for i in range(n)]
        assert found["leading"] == [Fraction(i * total, n).__floor__() for i in reversed(range(n))]
        gaps = max(n - 1, 1)
        assert found["linspace"] == [total - 1 - round(Fraction(i * (total - 1), gaps)) for i in range(n)]


def test_quadratic_is_dense_near_the_image():
    times = get_spacing("quadratic")(get_scheduler("linear"), 10)
    assert times.tolist() == [int(999 * (i / 9) ** 2) for i in reversed(range(10))]
    assert get_spacing("quad", reach=0.8)(get_scheduler("linear"), 10)[0] == int(0.8 * 999)


def test_own_times():
    place = get_spacing("list:times=999;750.5;20")
    assert place(get_scheduler("linear"), 3).tolist() == [999, 750.5, 20]
    assert get_spacing(place.token).options == place.options


def test_leading_with_an_offset():
    assert get_spacing("leading:offset=1")(get_scheduler("linear"), 50).tolist() == [
        20 * i + 1 for i in reversed(range(50))
    ]


def test_smoothstep_is_dense_at_both_ends():
    times = get_spacing("smoothstep")(get_scheduler("linear"), 4)
    assert times == pytest.approx([999, 999 * 0.84375, 999 * 0.5, 999 * 0.15625])
