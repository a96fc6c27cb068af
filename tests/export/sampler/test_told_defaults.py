"""Conditions that are built into a sampler's graph: defaults that may be replaced, or constants."""

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError, UsageError
from dtool.run.guided_conditions import Request

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from dtool.export import BuiltIn
from dtool.export.network.sources import resolve_source
from dtool.export.sampler.assembly import build
from dtool.export.sampler.settings import SamplerFileOptions, resolve_sampler
from dtool.export.sampler.told_defaults import build_in, check_built_in
from tests.support.tiny_texts import LENGTH, make_host

RANDOM = np.random.default_rng(0)


def draw_text():
    return RANDOM.standard_normal((1, LENGTH, 8)).astype(np.float32)


def make_sampler(**options):
    source, plan, form = resolve_sampler(
        resolve_source(make_host()), "ddim", 2, SamplerFileOptions(decode=False, **options)
    )
    return build(source.proto, source.spec, plan, form)


def test_a_default_stays_an_input_and_a_constant_is_none():
    given, without = {"text": draw_text()}, {"text": draw_text()}
    free, frozen = (build_in(make_sampler(**more), given, without) for more in ({}, {"freeze": True}))
    names = [{value.name for value in each.model.graph.input} for each in (free, frozen)]
    assert {"text", "text_without"} <= names[0]
    assert names[1] == {"ids"}
    assert free.document["form"]["told"] == ("text",)
    assert "told" not in make_sampler().document["form"]


@pytest.mark.parametrize("options", [{}, {"freeze": True}])
def test_what_is_built_in_alone_is_compared_with_itself(options):
    given = {"text": draw_text()}
    sampler = make_sampler(**options)
    [default] = [each for each in build_in(sampler, given, {}).model.graph.initializer if each.name == "text_without"]
    assert list(default.dims) == [0, LENGTH, 8]


def test_other_images_are_an_error():
    given, without = {"text": draw_text()}, {"text": draw_text()}
    sampler = make_sampler()
    done = build_in(sampler, given, without)
    assert check_built_in(sampler, done, given, without).difference == 0
    with pytest.raises(DtoolError, match="what is built in gives other images"):
        check_built_in(sampler, done, {"text": draw_text()}, without)


def test_what_is_built_in_cannot_be_another(tmp_path):
    built_in = BuiltIn(request=Request(prompt="a red house"))
    dtool.export(make_host(), tmp_path / "a.onnx", plan="ddim", steps=2, freeze=True, built_in=built_in, check=False)
    net = dtool.load(tmp_path / "a.onnx", device="cpu")
    with pytest.raises(UsageError, match="text is no input of this file: its value is built in"):
        dtool.sample(net, n=1, conditions={"text": draw_text()[0]})
    from dtool.export.api import recheck

    with pytest.raises(UsageError, match="is built into"):
        recheck(tmp_path / "a.onnx")
