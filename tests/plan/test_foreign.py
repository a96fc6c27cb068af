"""Words of other libraries' samplers, as far as no library is needed for them."""

import pytest

import dtool
from dtool.plan.foreign import LIBRARIES, find_library, refuse_interval, require_installed


def test_a_library_is_told_from_a_sampler_and_a_module():
    assert [find_library(f"{name}:X") for name in LIBRARIES] == list(LIBRARIES)
    for token in ("diffusers", "ddim:eta=0.5", "my.diffusers:rule", "dpmpp-2m/karras", ""):
        assert find_library(token) is None


def test_an_interval_of_a_foreign_sampler_is_refused():
    with pytest.raises(dtool.UsageError, match="a whole plan, and no rule for one interval"):
        refuse_interval(None, None)


@pytest.mark.parametrize("library", sorted(LIBRARIES.keys() - {"function", "plan"}))  # those need nothing, or torch
def test_a_missing_library_is_told_with_what_to_install(library, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name != "torch" else object())
    with pytest.raises(dtool.UsageError, match=f"is not installed, which samplers of {library} need") as error:
        require_installed(library)
    assert f"pip install 'dtool-diffusion[{library}]'" in error.value.hint


def test_a_word_without_a_name():
    with pytest.raises(dtool.UsageError, match="k-diffusion: names no sampler"):
        dtool.Recipe.parse("k-diffusion:")
