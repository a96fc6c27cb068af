"""How a schedule is named, made and transformed: shift, zero terminal SNR, and the options that are refused."""

from dataclasses import replace

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.models.spec import resolve_schedule
from dtool.schedulers import get_scheduler
from dtool.schedulers.schedule import MAX_STEPS, Schedule
from dtool.schedulers.scheduler import scheduler
from tests.support.commandline import ran
from tests.support.schedules import VP


@pytest.mark.parametrize("name", [name for name in VP if get_scheduler(name).alpha[-1] > 0])
def test_zero_snr(name):
    """arXiv:2305.08891: √ᾱ is shifted to end at 0 and stretched to keep its first value; the rest stays in order."""
    plain, zero = get_scheduler(name), get_scheduler(name, zero_snr=True)
    assert zero.alpha[-1] == 0
    assert zero.sigma[-1] == 1
    assert zero.alpha[0] == pytest.approx(plain.alpha[0], rel=1e-15)
    assert zero.token == f"{name}:zero_snr=true"
    expected = plain.alpha[0] * (plain.alpha - plain.alpha[-1]) / (plain.alpha[0] - plain.alpha[-1])
    assert zero.alpha == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        ("cosin", "there is no scheduler 'cosin'"),
        ("cosine:S=1", "cosine has no option 'S'"),
        ("cosine:s=-1", "cosine: s='-1' is refused"),
        ("cosine:T=0", "cosine: T='0' is refused"),
        ("cosine:T=2.5", "cosine: T='2.5' is refused"),
        ("cosine:", "is not of the form"),
        ("cosine:s=1,s=2", "given twice"),
        ("linear:T=10", "numbers in"),
        ("linear:T=1,zero_snr=true", None),
        ("sigmoid:start=3", "start=3.0 is not below end=3.0"),
        ("betas", "betas needs the option 'path'"),
    ],
)
def test_what_is_refused(token, cause):
    with pytest.raises(DtoolError, match=cause) as error:
        get_scheduler(token)
    assert error.value.exit_code == 2
    assert error.value.hint


def test_other_tables_are_not_called_by_the_first_ones_name():
    whole = get_scheduler("linear")
    half = replace(whole, alpha=whole.alpha[:500], sigma=whole.sigma[:500])
    wide = replace(get_scheduler("ve"), sigma=2 * get_scheduler("ve").sigma)
    for table in (half, wide):
        assert (table.token, table.cite, table.portable) == ("", "", False)
        spec = dtool.NetworkSpec(shape=(1, 4, 4), schedule=table)
        assert resolve_schedule(spec).hash == table.hash
        assert dtool.plan("ddim", scheduler=table, steps=3).recipe == "ddim@custom"
    assert replace(whole, cite="another").token == whole.token


@pytest.mark.parametrize("name", ["linear", "cosine", "sub-vp", "edm", "flow", "trigflow", "jsd"])
@pytest.mark.parametrize("k", [0.3, 2.0])
def test_a_shift_multiplies_the_noise(name, k):
    plain, shifted = get_scheduler(name), get_scheduler(name, shift=k)
    assert shifted.coordinates == plain.coordinates
    with np.errstate(divide="ignore"):
        v = plain.sigma / plain.alpha
        assert shifted.sigma / shifted.alpha == pytest.approx(k * v, rel=1e-9)


def test_the_shift_comes_before_zero_snr():
    """The stretch keeps the first level of the shifted schedule, not of the plain one."""
    both = get_scheduler("cosine:T=50,shift=2,zero_snr=true")
    shifted = get_scheduler("cosine:T=50,shift=2")
    assert both.alpha[0] == pytest.approx(shifted.alpha[0], rel=1e-14)
    assert both.alpha[-1] == 0
    first, last = shifted.alpha[0], shifted.alpha[-1]
    assert both.alpha == pytest.approx(first * (shifted.alpha - last) / (first - last), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["ve", "edm", "sub-vp", "flow"])
def test_zero_snr_is_for_vp(name):
    with pytest.raises(UsageError, match="variance-preserving") as error:
        get_scheduler(name, zero_snr=True)
    assert error.value.hint


def test_zero_snr_leaves_a_schedule_that_ends_so():
    assert get_scheduler("jsd:zero_snr=true").hash == get_scheduler("jsd").hash
    assert get_scheduler("trigflow:zero_snr=true").hash == get_scheduler("trigflow").hash


@pytest.mark.parametrize("token", ["linear:T=300000000", "cosine:T=1000001", "betas", "flow:T=0"])
def test_schedules_that_are_refused_on_the_command_line(token, tmp_path, capsys):
    result = ran(capsys, "sample", "--scheduler", token, "-o", tmp_path / "a.png")
    assert (result.code, result.err.count("error:")) == (2, 1)


def test_another_packages_schedule_is_bounded_too():
    @scheduler("long")
    def long(*, T: int = 5) -> Schedule:  # noqa: N803
        """Long."""
        raise AssertionError("it was made")

    with pytest.raises(UsageError, match="is too long for a schedule"):
        long(T=MAX_STEPS + 1)
