"""Folders of ONNX files are exported again as whole pipelines: text encoders in one graph, decoder, and sampler."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from tests.support.commandline import ran

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tokenizers")

from dtool.export.network.onnx_text import merge_text_encoders
from tests.support.small_onnx_folder import write_small_folder


@pytest.fixture
def folder(tmp_path):
    return write_small_folder(tmp_path / "small")


@pytest.mark.filterwarnings("ignore::dtool.run.assumptions.AssumptionWarning")
def test_a_folder_again_as_a_pipeline(folder, tmp_path, capsys):
    done = ran(capsys, "export", folder, "--recipe", "ddim", "--steps", 3, "-o", tmp_path / "again", "-q")
    assert done.code == 0, done.err
    old, new = (dtool.load(path, device="cpu") for path in (folder, tmp_path / "again"))
    for guidance in (1.0, 4.0):
        told = {"prompt": "a cat", "guidance": guidance, "n": 2}
        want = old.codec.decode(dtool.sample(old, "ddim", steps=3, **told).x0)
        np.testing.assert_allclose(dtool.sample(new, **told).x0, want, atol=1e-5)
    again = ran(capsys, "export", tmp_path / "again", "--recipe", "ddim", "-o", tmp_path / "third")
    assert again.code == 0, again  # what dtool has exported is taken apart again


def test_one_file_with_a_prompt_in_it(folder, tmp_path, capsys):
    words = ("--prompt", "a cat", "--guidance", 3, "--steps", 2, "-o", tmp_path / "cat.onnx", "-q")
    assert ran(capsys, "export", folder, "--recipe", "ddim", *words).code == 0
    old, new = dtool.load(folder, device="cpu"), dtool.load(tmp_path / "cat.onnx", device="cpu")
    want = old.codec.decode(dtool.sample(old, "ddim", steps=2, n=2, prompt="a cat", guidance=3.0).x0)
    np.testing.assert_allclose(dtool.sample(new, n=2).x0, want, atol=1e-5)


def test_two_encoders(tmp_path):
    """Of Stable Diffusion XL: states side by side, pooled text, zeros for no text, the picture's size."""
    diffusers = pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from onnxruntime import InferenceSession

    from tests.support import tiny_pipelines
    from tests.support.onnx_folders import write_onnx_folder_xl

    pipeline = tiny_pipelines.stable_diffusion_xl(diffusers.DDIMScheduler(clip_sample=False))
    text = dtool.load(write_onnx_folder_xl(pipeline, tmp_path / "xl"), device="cpu").text
    assert text.zero_empty
    merged = merge_text_encoders(text)
    prompts = ["a cat", "", "dog"]
    rows = zip(merged.inputs, text.pairs, strict=True)
    ids = {name: np.array(tokenizer(prompts)[0]) for name, (tokenizer, _) in rows}
    made = InferenceSession(merged.proto.SerializeToString()).run(list(text.names), ids)
    for array, (name, want) in zip(made, text.encode(prompts).items(), strict=True):
        np.testing.assert_allclose(array, want, atol=1e-5, err_msg=name)
    assert not made[0][1].any()


def test_an_encoder_that_is_told_more(folder):
    text = dtool.load(folder, device="cpu").text
    text.pairs[0][1].inputs.append(text.pairs[0][1].inputs[0])
    with pytest.raises(UsageError, match="takes more than token numbers"):
        merge_text_encoders(text)
