"""What an exported file has inside: a prompt, arrays, a decoder of another file; and what has no place in it."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.run.guided_conditions import Request
from tests.support.commandline import failed, ran

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from dtool.export import BuiltIn
from tests.support.tiny_texts import make_host

TOLD = Request(prompt="a red house", negative="the sea")


@pytest.fixture(scope="module")
def host():
    return make_host()


def draw(host, steps=3, n=2, **told):
    return host.codec.decode(np.asarray(dtool.sample(host, "ddim", steps=steps, n=n, **told).x0))


@pytest.mark.parametrize("form", [{}, {"freeze": True}, {"inputs": ["seed", "guidance"]}], ids=["", "frozen", "inputs"])
def test_a_sampler_that_is_told_a_prompt(form, host, tmp_path):
    path = tmp_path / "red.onnx"
    report = dtool.export(host, path, plan="ddim", steps=3, built_in=BuiltIn(request=TOLD), **form)
    assert any(each.what == "told no text: what is built in" for each in report.comparisons)
    net = dtool.load(path, device="cpu")
    assert net.form.told == ("text",)
    if form.get("freeze"):
        config = (tmp_path / "config.pbtxt").read_text()
        assert ('"ids"' in config, '"text"' in config, '"text_without"' in config) == (True, False, False)
    want = draw(host, prompt="a red house", negative="the sea")
    np.testing.assert_allclose(dtool.sample(net, n=2).x0, want, atol=1e-4)
    assert np.abs(want - draw(host, prompt="a red house")).max() > 1e-2
    if not form:
        other = {"text": host.text.encode(["a blue house"])["text"][0]}
        want = draw(host, prompt="a blue house", negative="the sea")
        np.testing.assert_allclose(dtool.sample(net, n=2, conditions=other).x0, want, atol=1e-4)


def test_a_network_alone_keeps_them_as_constants(host, tmp_path):
    report = dtool.export(host, tmp_path / "net.onnx", built_in=BuiltIn(request=Request(prompt="a red house")))
    net = dtool.load(tmp_path / "net.onnx", device="cpu")
    assert (net.spec.conditions, net.spec.guidance) == ((), 1.0)
    assert report.largest < 1e-4
    want = dtool.sample(host, "ddim", steps=3, n=2, prompt="a red house", guidance=1.0).x0
    np.testing.assert_allclose(dtool.sample(net, "ddim", steps=3, n=2).x0, np.asarray(want), atol=1e-4)


def test_a_decoder_of_another_file(host, tmp_path, capsys):
    """By the command line's words: the file decodes what it samples, as the host does with that decoder."""
    from dtool.export.network.decoder import export_decoder
    from dtool.run.load_codec import load_codec

    (tmp_path / "decoder.onnx").write_bytes(export_decoder(host.codec).SerializeToString())
    words = BuiltIn(decoder=tmp_path / "decoder.onnx", scale=0.5, shift=0.25)
    bare = make_host()
    bare.codec = None
    dtool.export(bare, tmp_path / "whole.onnx", plan="ddim", steps=2, built_in=words)
    told = {"text": host.text.encode(["a red house"])["text"][0]}
    made = dtool.sample(dtool.load(tmp_path / "whole.onnx", device="cpu"), n=2, conditions=told, guidance=1.0).x0
    codec = load_codec(tmp_path / "decoder.onnx", host.shape, scale=0.5, shift=0.25)
    latents = dtool.sample(host, "ddim", steps=2, n=2, conditions=told, guidance=1.0).x0
    np.testing.assert_allclose(made, codec.decode(np.asarray(latents)), atol=1e-4)
    failed(
        ran(capsys, "export", "a.pt", "--recipe", "ddim", "--decoder-scale", "2"), 2, "are for a decoder", "--decoder"
    )


@pytest.mark.parametrize(
    ("request_", "options", "cause"),
    [
        (Request(negative="the sea"), {}, "a negative prompt is built in beside a prompt"),
        (Request(prompt=["a", "b"]), {}, "2 prompts for 1 images"),
        (Request(prompt="a"), {"text": True}, "prompts are given at each run"),
        (Request(prompt="a"), {"inputs": ["without"]}, "an input that must be given"),
        (Request(prompt="a", negative="b"), {"guidance": 1.0}, "what to compare with is given, but no guidance"),
        (Request(conditions={"size": 1}), {}, "the network takes no condition 'size'"),
    ],
)
def test_what_has_no_place_in_a_file(request_, options, cause, host, tmp_path):
    with pytest.raises(UsageError) as caught:
        dtool.export(host, tmp_path / "a.onnx", plan="ddim", steps=2, built_in=BuiltIn(request=request_), **options)
    assert cause in str(caught.value)
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_folders_and_networks_alone(host, tmp_path):
    with pytest.raises(UsageError, match="its pictures are told when they are sampled"):
        dtool.export(host, tmp_path / "folder", plan="ddim", built_in=BuiltIn(request=TOLD))
    with pytest.raises(UsageError, match="a decoder follows a sampler's loop"):
        dtool.export(host, tmp_path / "a.onnx", built_in=BuiltIn(decoder=tmp_path / "d.onnx"))
