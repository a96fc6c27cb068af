"""dtool.certify.check and checks: what a plugin's author is given."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import dtool
import dtool.certify
from dtool.certify import CheckResult, checks, levels
from dtool.errors import UsageError
from dtool.samplers import get_sampler
from dtool.samplers.rule import sampler as rule_of
from dtool.spacings.spacing import spacing as spacing_of
from tests.support.commandline import failed, ran, typed

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


@pytest.mark.parametrize("target", [get_sampler("ddpm"), dtool.Recipe.parse("ddpm@linear/list:times=999;500;20")])
def test_rules_and_recipes_are_taken(target):
    found = {r.name: r.status for r in dtool.certify.check(target)}
    assert list(found) == NAMES
    assert set(found.values()) == {"pass", "skip"}


def test_each_certificate_is_a_callable_with_a_name():
    found = list(dtool.certify.checks("ddim"))
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

    found = {r.name: r for r in dtool.certify.check(careless)}
    assert list(found) == NAMES
    assert found["ends"].status == "fail"
    assert found["ends"].figure == "error"


def test_a_rule_that_is_not_linear_fails_with_the_reason():
    @rule_of("clipping", order=1)
    def clipping(now, to):
        return to.alpha * now.x0.clip(-1, 1) + to.sigma * now.eps

    found = {r.name: r for r in dtool.certify.check(clipping)}
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
    found = dtool.certify.check(name)
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
        dtool.certify.check(name)


def test_options_that_leave_the_marginals_are_reported_and_not_failed():
    for token in ("ddpm:sigma=beta", "ddpm:sigma=none"):
        found = {r.name: r for r in dtool.certify.check(token)}
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


def test_the_picture_of_convergence(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("dtool.certify.check", lambda _: [CheckResult("order", "pass", "2.0", "")])
    monkeypatch.setattr("dtool.certify.convergence.COUNTS", (4, 8, 16))
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

    monkeypatch.setattr("dtool.certify.check", examine)
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


OTHER_WAYS = ["ddim-inversion", "ddim-inversion:rounds=2", "er-sde:phi=ode,order=2"]  # others: tests of the registry


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_certificates_of_samplers_that_go_another_way(name):
    wrong = [r for r in (examine() for examine in checks(name) if examine.__name__ != "batch") if r.status == "fail"]
    assert not wrong
