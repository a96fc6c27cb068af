"""A codec's decoder behind the loop of a sampler's file: its images are pictures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from dtool.run.load_codec import load_codec  # noqa: E402
from tests.support.attending_networks import SHAPE, TEXT, make_attending  # noqa: E402
from tests.support.tiny_codecs import TinyCodec  # noqa: E402

PLAN, STEPS = "dpmpp-2m/karras", 4
TOLD = np.random.default_rng(0).standard_normal((5, 6, 8), dtype=np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network with a codec, and the file of a sampler over both."""
    module, spec = make_attending(TEXT, clip=True)
    host = dtool.load(module, spec=spec, device="cpu")
    host.codec = TinyCodec()
    path = tmp_path_factory.mktemp("decoded") / "app.onnx"
    report = dtool.export(host, path, plan=PLAN, steps=STEPS)
    return SimpleNamespace(host=host, path=path, report=report, file=dtool.load(path, device="cpu"))


@pytest.mark.parametrize("guidance", [1, 5])
def test_its_images_are_what_the_host_decodes(made, guidance):
    options = {"conditions": {"text": TOLD}, "guidance": guidance, "n": 5, "seed": 3}
    pictures = dtool.sample(made.file, **options).x0
    latents = dtool.sample(made.host, made.file.plan, **options).x0
    assert pictures.shape == (5, *made.host.codec.picture_shape) == (5, *made.file.picture_shape)
    assert made.file.picture_range == (-1.0, 1.0)
    assert np.abs(pictures - made.host.codec.decode(latents)).max() < 1e-4
    assert np.abs(pictures).max() <= 1
    alone = dtool.sample(made.file, ids=[2], conditions={"text": TOLD[2]}, guidance=guidance, seed=3).x0
    assert np.array_equal(alone[0], pictures[2])


def test_the_latents_are_a_second_output(made):
    session = ort.InferenceSession(made.path)
    assert [(o.name, o.shape[1:]) for o in session.get_outputs()][:2] == [
        ("images", list(made.host.codec.picture_shape)),
        ("latents", list(SHAPE)),
    ]
    images, latents = session.run(["images", "latents"], {"ids": np.arange(3, dtype=np.uint64), "text": TOLD[:3]})
    assert np.abs(images - made.host.codec.decode(latents)).max() < 1e-5
    trace = dtool.sample(made.file, n=2, conditions={"text": TOLD[:2]}, trace=True).trace
    assert np.array_equal(trace.x[-1], latents[:2])


def test_the_check_covers_the_pictures_and_can_be_repeated(made):
    from dtool.export.api import recheck

    assert made.report.comparisons[-1].what == "3 pictures, decoded apart"
    assert recheck(made.path).comparisons[-1].difference < 1e-4


def test_without_the_decoder(made, tmp_path):
    dtool.export(made.host, tmp_path / "app.onnx", plan=PLAN, steps=STEPS, decode=False, check=False)
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    assert file.picture_shape == SHAPE
    made.host.codec, codec = None, made.host.codec
    try:
        with pytest.raises(UsageError, match="has no codec"):
            dtool.export(made.host, tmp_path / "app.onnx", plan=PLAN, steps=STEPS, decode=True, check=False)
    finally:
        made.host.codec = codec


@pytest.mark.parametrize("external", [False, True], ids=["weights inside", "weights beside"])
def test_a_decoder_from_a_file_with_scale_and_shift(external, made, tmp_path):
    module = made.host.codec.module
    program = torch.onnx.export(
        module, (torch.zeros(2, *SHAPE),), dynamo=True, opset_version=20, input_names=["latents"],
        dynamic_shapes=({0: "batch"},), verbose=False,
    )  # fmt: skip
    onnx.save(
        program.model_proto, tmp_path / "decoder.onnx", save_as_external_data=external, location="decoder.data",
        size_threshold=100,
    )  # fmt: skip
    assert (tmp_path / "decoder.data").exists() == external
    host = dtool.load(made.host.module, spec=made.host.spec, device="cpu")
    host.codec = load_codec(tmp_path / "decoder.onnx", SHAPE, scale=0.5, shift=0.1)
    dtool.export(host, tmp_path / "app.onnx", plan=PLAN, steps=STEPS, check=False)
    file = dtool.load(tmp_path / "app.onnx", device="cpu")
    options = {"conditions": {"text": TOLD[:2]}, "n": 2}
    latents = dtool.sample(host, file.plan, **options).x0
    expected = made.host.codec.decode(latents / np.float32(0.5) + np.float32(0.1))
    assert np.abs(dtool.sample(file, **options).x0 - expected).max() < 1e-4


def test_a_codec_that_is_no_module_is_refused(made, tmp_path):
    class Other(TinyCodec):
        def to_module(self):
            return super(TinyCodec, self).to_module()

    host = dtool.load(made.host.module, spec=made.host.spec, device="cpu")
    host.codec = Other()
    with pytest.raises(UsageError, match="no PyTorch module") as error:
        dtool.export(host, tmp_path / "app.onnx", plan=PLAN, steps=STEPS)
    assert "decode=False" in error.value.hint
