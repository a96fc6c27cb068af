"""A function of any package, in k-diffusion's form, as a word of a recipe."""

import sys

import pytest

import dtool
from dtool.errors import UsageError
from dtool.util.file_references import contain_names

pytest.importorskip("torch")

PACK = """
def sample_mine(model, x, sigmas, extra_args=None, callback=None, disable=None, pull: float = 1.0):
    for now, to in zip(sigmas[:-1], sigmas[1:]):
        x = x + pull * (to - now) * (x - model(x, now * x.new_ones(len(x)))) / now
    return x


def sample_squares(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return model(x, sigmas[0] * x.new_ones(len(x))) ** 2


NUMBER = 3
"""


@pytest.fixture
def pack(tmp_path, monkeypatch):
    (tmp_path / "mypack.py").write_text(PACK, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("mypack", None)


def test_it_is_a_recipe(pack):
    made = dtool.plan("function:mypack:sample_mine/karras", steps=6)
    own = dtool.plan("euler@linear/karras", steps=6)
    assert made.alpha_bar == pytest.approx(own.alpha_bar, abs=1e-12)
    assert made.recipe == "function:mypack:sample_mine/karras"
    assert dtool.plan("function:mypack:sample_mine:pull=0.5", steps=6).recipe == "function:mypack:sample_mine:pull=0.5"


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("function:mypack", "names no function"),
        ("function:mypack:none", "cannot be imported"),
        ("function:nopack:sample", "cannot be imported"),
        ("function:mypack:NUMBER", "is no function"),
        ("function:mypack:sample_mine:eta=1", "has no option 'eta'"),
        ("function:mypack:sample_squares", "is not linear"),
        ("function:os:getcwd", "a sampler is|takes"),
    ],
)
def test_what_cannot_be_had_is_refused(pack, word, cause):
    with pytest.raises(UsageError, match=cause) as error:
        dtool.plan(word, steps=3)
    assert error.value.hint or "takes" in str(error.value)


def test_a_file_names_no_code(pack):
    with contain_names("the file"), pytest.raises(UsageError, match="names code of yours"):
        dtool.Recipe.parse("function:mypack:sample_mine")
