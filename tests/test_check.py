"""dtool.testing.check and checks: what a plugin's author is given."""

import dataclasses
from math import sqrt

import numpy as np
import pytest
from commandline import failed, ran, typed
from PIL import Image

import dtool
import dtool.testing
from dtool.errors import UsageError
from dtool.samplers import sampler
from dtool.samplers.rule import sampler as rule_of
from dtool.schedulers.spacing import spacing as spacing_of
from dtool.testing import CheckResult, grids, levels
from dtool.testing.convergence import LAW, ODE, curve, measured_by
from dtool.testing.examination import examine_all
from dtool.testing.order import global_slope, local_slope
from dtool.testing.slopes import slope_of

NAMES = [
    "marginals",
    "compiled",
    "same",
    "invariances",
    "order-local",
    "order-global",
    "order-shipped",
    "moments",
    "ends",
    "backends",
    "batch",
]


def test_a_right_sampler_passes():
    found = dtool.check("dpmpp-2m@cosine/logsnr")
    assert [r.name for r in found] == NAMES
    assert {r.status for r in found} <= {"pass", "skip"}, found
    assert {r.name for r in found if r.status == "skip"} <= {"same"}, found
    assert all(r.figure and r.detail for r in found)


@pytest.mark.parametrize("target", [sampler("ddpm"), dtool.Recipe.parse("ddpm@linear/list:times=999;500;20")])
def test_rules_and_recipes_are_taken(target):
    found = {r.name: r.status for r in dtool.testing.check(target)}
    assert list(found) == NAMES
    assert set(found.values()) == {"pass", "skip"}


def test_each_certificate_is_a_callable_with_a_name():
    found = list(dtool.testing.checks("ddim"))
    assert [one.__name__ for one in found] == NAMES
    assert all(one.__doc__ for one in found)
    result = found[0]()
    assert isinstance(result, CheckResult)
    assert result.status == "pass"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.status = "fail"


def test_an_error_in_a_rule_is_a_failure_and_not_the_end():
    @rule_of("careless", order=1)
    def careless(now, to):
        return to.alpha * now.x0 + to.sigma * now.eps / (now.t - to.t - 1)

    found = {r.name: r for r in dtool.testing.check(careless)}
    assert list(found) == NAMES
    assert found["ends"].status == "fail"
    assert found["ends"].figure == "error"


def test_a_rule_that_is_not_linear_fails_with_the_reason():
    @rule_of("clipping", order=1)
    def clipping(now, to):
        return to.alpha * now.x0.clip(-1, 1) + to.sigma * now.eps

    found = {r.name: r for r in dtool.testing.check(clipping)}
    assert found["marginals"].status == "fail"
    assert "not linear" in found["marginals"].detail


@pytest.mark.parametrize(
    ("name", "certificates"),
    [
        ("cosine:T=100", ["levels", "inverse", "samples"]),
        ("linear:zero_snr=true", ["levels", "inverse", "samples"]),
        ("karras:rho=5", ["steps"]),
        ("quadratic", ["levels", "inverse", "samples", "steps"]),
    ],
)
def test_schedules_and_spacings_are_examined_too(name, certificates):
    found = dtool.testing.check(name)
    assert [r.name for r in found] == certificates
    assert {r.status for r in found} == {"pass"}


def test_a_spacing_that_cannot_place_every_n_is_found():
    @spacing_of("sparse")
    def sparse(schedule, n):
        return [(schedule.T - 1) // 2**i for i in range(n)]

    result = levels.examine_steps("steps", sparse)
    assert result.status == "fail"
    assert "spacing sparse gives no" in result.detail


@pytest.mark.parametrize("name", ["ddmi", "ddim@nothing"])
def test_an_unknown_name_is_the_users_error(name):
    with pytest.raises(UsageError, match="there is no"):
        dtool.testing.check(name)


def test_options_that_leave_the_marginals_are_reported_and_not_failed():
    for token in ("ddpm:sigma=beta", "ddpm:sigma=none"):
        found = {r.name: r for r in dtool.testing.check(token)}
        assert found["marginals"].status == "info"
        assert "fail" not in {r.status for r in found.values()}


def test_a_rule_is_examined_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "mine_of_test_check.py").write_text(
        "from dtool.samplers.rule import sampler\n\n\n"
        "@sampler('mine', order=1)\ndef mine(now, to):\n    return to.alpha * now.x0 + to.sigma * now.eps\n\n\n"
        "nothing = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert {r.status for r in dtool.check("mine_of_test_check:mine") if r.name != "same"} == {"pass"}
    with pytest.raises(UsageError, match="is a int, not a sampler"):
        dtool.check("mine_of_test_check:nothing")
    with pytest.raises(UsageError, match=r"cannot be imported .AttributeError"):
        dtool.check("mine_of_test_check:gone")


@rule_of("rk4", order=4, calls=4, basis="eps")
def rk4(now, to):
    """The classical method of Runge and Kutta in λ, where dx̄/dλ = -v·ε."""
    h, x, middle = to.lam - now.lam, now.x / now.alpha, grids.at((now.lam + to.lam) / 2)
    k1 = -now.v * now.eps
    first = yield middle.alpha * (x + h / 2 * k1), middle
    k2 = -first.v * first.eps
    second = yield middle.alpha * (x + h / 2 * k2), middle
    k3 = -second.v * second.eps
    third = yield to.alpha * (x + h * k3), to
    return to.alpha * (x + h / 6 * (k1 + 2 * k2 + 2 * k3 - third.v * third.eps))


def test_order_four_is_measured():
    assert global_slope(rk4).value == pytest.approx(4, abs=0.1)
    assert local_slope(rk4).value == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(("order", "constant"), [(3, 1e2), (4, 10.0), (5, 1e3), (6, 1e3), (6, 1e6)])
def test_high_orders_are_measured_where_the_error_can_be_trusted(order, constant):
    found = slope_of(lambda n: constant / n**order * (1 + 3 / n) + 1e-14 * sqrt(n))
    assert found.value == pytest.approx(order, abs=0.05)
    assert len(found.errors) >= 3


def test_the_order_is_that_of_the_options():
    @rule_of("either", order=1, orders=lambda wrong: (2 if wrong else 1, 1))
    def either(now, to, *, wrong: bool = False):
        return to.alpha * now.x0 + to.sigma * now.eps

    for wrong, status in ((False, "pass"), (True, "fail")):
        found = {one.__name__: one for one in dtool.testing.checks(either.bind(wrong=wrong))}
        assert found["order-global"]().status == status


def test_a_curve_is_the_error_at_each_step_count():
    euler, heun = sampler("euler"), sampler("heun")
    assert measured_by(euler, heun) == ODE
    assert measured_by(euler, sampler("ddpm")) == LAW
    for measure in (ODE, LAW):
        found = curve(heun, measure, (8, 16, 32, 64))
        assert found.counts == (8, 16, 32, 64)
        assert np.log2(found.errors[-2] / found.errors[-1]) == pytest.approx(2, abs=0.2)
        (first, high), (last, low) = found.reference()
        assert np.log2(high / low) / np.log2(last / first) == pytest.approx(2)
        assert low < found.errors[-1]


def test_what_is_exact_has_a_short_curve():
    assert curve(rk4, ODE, (64, 2048)).counts == (64,), "errors at the floor of rounding are left out"


def test_many_are_examined_in_processes_of_their_own():
    found = dict(examine_all(["logsnr", "linear", "karras"], jobs=2))
    assert set(found) == {"logsnr", "linear", "karras"}
    assert {r.status for r in found["karras"]} == {"pass"}
    assert "fail" not in {r.status for results in found.values() for r in results}


def test_an_unknown_name_among_many_is_the_users_error():
    with pytest.raises(UsageError, match="there is no"):
        list(examine_all(["karras", "nonesuch", "linear"], jobs=2))


def test_the_picture_of_convergence(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("dtool.testing.check", lambda _: [CheckResult("order", "pass", "2.0", "")])
    monkeypatch.setattr("dtool.testing.convergence.COUNTS", (4, 8, 16))
    paths = {}
    for names in (["heun"], ["euler"], ["ddpm", "heun"]):
        paths[names[0]] = tmp_path / f"{names[0]}.png"
        done = ran(capsys, "check", *names, "--plot", paths[names[0]])
        assert done.code == 0
        assert "drawn into" in done.err
    sizes = {}
    for name, path in paths.items():
        with Image.open(path) as picture:
            assert len(picture.getcolors(1 << 20)) > 50
            sizes[name] = np.asarray(picture)
    assert len({image.tobytes() for image in sizes.values()}) == 3


def test_a_picture_of_all_is_refused(capsys, tmp_path):
    failed(ran(capsys, "check", "--all", "--plot", tmp_path / "a.png"), 2, "a picture of every sampler", "name a few")
    failed(ran(capsys, "check", "ddim", "--plot", tmp_path / "no" / "a.png"), 1, "can't be written", "folder")


def test_all_of_them_in_one_table(capsys, monkeypatch):
    def examine(name):
        status = "fail" if name == "heun" else "pass"
        return [CheckResult("order-global", status, "2.00 / 2.01", ""), CheckResult("moments", "pass", "2.0", "")]

    monkeypatch.setattr("dtool.testing.check", examine)
    done = ran(capsys, "check", "--all", "--jobs", 1)
    assert done.code == 1
    rows = {line.split()[0]: line for line in done.out.splitlines()}
    assert rows["heun"].split()[1] == "2"
    assert rows["heun"].endswith("failed: order-global")
    assert rows["euler"].endswith("passed")
    assert "heun: 1 passed, 1 failed" in done.err


def test_check_in_a_process_of_its_own():
    done = typed("check", "karras", "trailing", "logsnr", "--json")
    assert done.code == 0, done.err
    assert "3/3" in done.err
