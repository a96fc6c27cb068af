"""Measurements are kept until anything that they depend on changes, and only in the folder that is given."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import dtool
from dtool.certify import checks
from dtool.certify.cache import VARIABLE, choose_folder, keep_curve, keep_result
from dtool.certify.convergence import LAW, curve
from dtool.certify.result import CheckResult
from dtool.errors import DtoolError
from dtool.samplers import get_sampler

EULER = get_sampler("euler")
PACKAGE = Path(dtool.__file__).parent


class Counted:
    """A certificate that says how often it was measured."""

    __name__ = "counted"

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return CheckResult("counted", "pass", f"{self.times}", "by hand")


@pytest.fixture
def counted():
    return Counted()


def test_it_is_measured_once(counted, tmp_path):
    folder = tmp_path / "new" / "folder"
    results = [keep_result(counted, EULER, folder)() for _ in range(3)]
    assert results == [CheckResult("counted", "pass", "1", "by hand")] * 3
    assert counted.times == 1
    assert [path.suffix for path in folder.iterdir()] == [".json"]


def test_nothing_is_kept_without_a_folder(counted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        keep_result(counted, EULER, None)()
    assert counted.times == 2
    assert not list(tmp_path.iterdir())


def test_another_rule_and_other_options_are_measured_for_themselves(counted, tmp_path):
    for token in ("euler", "ddim", "ddim:eta=0.5", "ddim"):
        keep_result(counted, get_sampler(token), tmp_path)()
    assert counted.times == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"key": 1}', b"\xff", "value", "key"])
def test_a_damaged_file_is_measured_again_and_mended(counted, tmp_path, damage):
    keep_result(counted, EULER, tmp_path)()
    [path] = tmp_path.iterdir()
    entry = json.loads(path.read_text())
    if isinstance(damage, str):
        entry[damage] = {"other": 1}
        damage = json.dumps(entry).encode()
    path.write_bytes(damage)
    assert keep_result(counted, EULER, tmp_path)().figure == "2"
    assert keep_result(counted, EULER, tmp_path)().figure == "2"


def test_where_nothing_can_be_written_it_is_measured(counted, tmp_path):
    (tmp_path / "file").write_text("no folder")
    for _ in range(2):
        keep_result(counted, EULER, tmp_path / "file" / "folder")()
    assert counted.times == 2


def test_what_a_rule_raises_is_not_kept(tmp_path):
    def fails():
        raise DtoolError("no")

    for _ in range(2):
        with pytest.raises(DtoolError, match="no"):
            keep_result(fails, EULER, tmp_path)()
    assert not list(tmp_path.iterdir())


def test_several_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: keep_result(Counted(), EULER, tmp_path)(), range(40)))
    assert set(results) == {CheckResult("counted", "pass", "1", "by hand")}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_kept_curve_is_the_curve_bit_for_bit(tmp_path):
    measured = curve(get_sampler("heun"), LAW)
    assert [keep_curve(get_sampler("heun"), LAW, tmp_path) for _ in range(2)] == [measured] * 2


def test_a_certificate_keeps_its_name_and_what_it_says(tmp_path):
    for one in checks("euler"):
        kept = keep_result(one, EULER, tmp_path)
        assert (kept.__name__, kept.__doc__) == (one.__name__, one.__doc__)


def test_the_environment_moves_and_disables_it(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert choose_folder(tmp_path) == tmp_path
    monkeypatch.setenv(VARIABLE, "elsewhere")
    assert choose_folder(tmp_path) == Path("elsewhere")
    monkeypatch.setenv(VARIABLE, "")
    assert choose_folder(tmp_path) is None
