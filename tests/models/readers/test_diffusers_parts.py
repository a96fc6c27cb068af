"""Pipelines taken apart: from folders that are broken, and in memory."""

import json
import shutil

import pytest

import dtool
from dtool.errors import DtoolError, UsageError

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

from dtool.models.readers.diffusers_parts import get_class_name, take_parts  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sd")
    tiny.stable_diffusion(diffusers.DDIMScheduler(clip_sample=False)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def original(saved):
    return dtool.load(saved, device="cpu")


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def change_json(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(path, change):
    weights = load_file(path)
    change(weights)
    save_file(weights, path, {"format": "pt"})


def refuse(folder, cause, remedy):
    with pytest.raises(DtoolError) as caught:
        dtool.load(folder, device="cpu")
    assert cause in str(caught.value)
    assert remedy in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


def require_same(folder, other):
    """The network, its text encoder and its codec answer as those of the folder as it was saved."""
    one = dtool.load(folder, device="cpu")
    x = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    text = {"text": torch.ones(2, 5, 32)}
    assert torch.equal(
        one.predict(x, torch.tensor([3.0, 900.0]), text), other.predict(x, torch.tensor([3.0, 900.0]), text)
    )
    words = ["a cat", ""]
    assert (one.text.encode(words)["text"] == other.text.encode(words)["text"]).all()
    latents = x.numpy()
    assert (one.codec.decode(latents) == other.codec.decode(latents)).all()


@pytest.mark.parametrize("ways", [{"safe_serialization": False}, {"max_shard_size": "100KB"}, {"variant": "half"}])
def test_ways_of_saving(folder, saved, original, ways):
    for part, kind in (("unet", diffusers.UNet2DConditionModel), ("vae", diffusers.AutoencoderKL)):
        module = kind.from_pretrained(saved / part)
        (folder / part / WEIGHTS).unlink()
        module.save_pretrained(folder / part, **ways)
    require_same(folder, original)


def test_names_of_older_versions(folder, original):
    """Of attention before diffusers 0.13, and of CLIP before transformers 5, which had an index in the file, too."""
    new = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    weights = load_file(folder / "vae" / WEIGHTS)
    for name in [name for name in weights if ".attentions." in name and ".to_" in name]:
        part = next(each for each in new if each in name)
        weights[name.replace(part, new[part])] = weights.pop(name)
    assert "encoder.mid_block.attentions.0.query.weight" in weights
    save_file(weights, folder / "vae" / WEIGHTS)
    path = folder / "text_encoder" / "model.safetensors"
    words = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(path).items()}
    words["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(words, path, {"format": "pt"})
    require_same(folder, original)


@pytest.mark.parametrize(
    ("part", "kind", "cause"),
    [
        ("unet", "UNet3DConditionModel", "unet is of the class UNet3DConditionModel, which dtool does not open"),
        ("vae", "VQModel", "vae is of the class VQModel, which dtool does not open"),
        ("text_encoder", "BertModel", "text_encoder is of the class BertModel, which dtool does not open"),
    ],
)
def test_classes_that_are_not_opened(folder, part, kind, cause):
    index = folder / "model_index.json"
    change_json(index, **{part: [json.loads(index.read_text())[part][0], kind]})
    refuse(folder, cause, "known: ")


def test_a_pipeline_that_diffusers_lacks(folder):
    change_json(folder / "model_index.json", _class_name="NoSuchPipeline")
    refuse(folder, f"diffusers {diffusers.__version__} has no pipeline NoSuchPipeline", "pip install -U diffusers")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_part(folder, part):
    shutil.rmtree(folder / part)
    refuse(folder, f"names {part}, and there is no folder", "copy or download the whole folder again")


@pytest.mark.parametrize(
    ("file", "cause"),
    [
        (f"unet/{WEIGHTS}", "there are no weights in"),
        ("unet/config.json", "there is no file"),
        ("vae/config.json", "there is no file"),
        ("text_encoder/config.json", "there is no file"),
        ("text_encoder/model.safetensors", "there are no weights in"),
        ("scheduler/scheduler_config.json", "there is no file"),
        ("tokenizer/tokenizer_config.json", "there is no file"),
    ],
)
def test_a_missing_file(folder, file, cause):
    (folder / file).unlink()
    refuse(folder, cause, "download the whole folder again")


@pytest.mark.parametrize("file", [f"unet/{WEIGHTS}", f"vae/{WEIGHTS}", "text_encoder/model.safetensors"])
def test_truncated_weights(folder, file):
    path = folder / file
    path.write_bytes(path.read_bytes()[:-100])
    refuse(folder, f"{path}: the file is damaged", "copy or download it again")


@pytest.mark.parametrize(
    ("part", "values", "cause"),
    [
        ("unet", {"layers_per_block": 2}, "unet: the state dict lacks"),
        ("unet", {"cross_attention_dim": 64}, "unet: the state dict has "),
        ("unet", {"block_out_channels": [32]}, "diffusers makes no UNet2DConditionModel of it (Must provide the same"),
        ("unet", {"_class_name": "UNet2DModel"}, "its config.json is of the class 'UNet2DModel'"),
        ("vae", {"latent_channels": 8}, "vae: the state dict has "),
        ("text_encoder", {"num_hidden_layers": 4}, "text_encoder: the weights lack"),
        ("text_encoder", {"hidden_size": 64}, "text_encoder: the weights have the wrong shape for"),
    ],
)
def test_a_config_of_another_network(folder, part, values, cause):
    change_json(folder / part / "config.json", **values)
    refuse(folder, cause, "the whole folder again")


def test_weights_that_are_not_finite(folder):
    path = folder / "text_encoder" / "model.safetensors"
    change_weights(path, lambda weights: next(iter(weights.values())).fill_(float("nan")))
    refuse(folder, "text_encoder: the weights hold NaN or infinity", "copy or download it again")


def test_in_memory(saved):
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(saved, safety_checker=None)
    parts = take_parts(pipe)
    assert (parts.pipeline, parts.kind) == ("StableDiffusionPipeline", "UNet2DConditionModel")
    assert parts.network is pipe.unet
    alone = take_parts((pipe.unet, pipe.scheduler))
    assert alone.scheduler[1] == "DDIMScheduler"


def test_classes_derived_from_diffusers():
    class Mine(diffusers.UNet2DModel):
        pass

    assert get_class_name(Mine(block_out_channels=(32, 32, 32, 32))) == "UNet2DModel"


def test_in_memory_refused():
    with pytest.raises(DtoolError, match="dtool does not open networks of the class AutoencoderKL") as caught:
        take_parts(tiny.autoencoder())
    assert "known: UNet2DModel" in caught.value.hint
    pipe = diffusers.DDIMPipeline(tiny.unet(), diffusers.DDIMScheduler())
    del pipe.unet
    pipe.register_modules(unet=None)
    with pytest.raises(UsageError, match="the DDIMPipeline has neither a unet nor a transformer"):
        take_parts(pipe)


def test_the_safety_checker_is_said_not_to_look(saved, folder):
    change_json(folder / "model_index.json", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    assert "its safety checker does not look at the pictures" in dtool.load(folder, device="cpu").origin.differences
    with pytest.raises(UsageError) as caught:
        dtool.load(folder / "unet", device="cpu")
    assert caught.value.hint.endswith("or give the folder above it")
