"""What a diffusers folder says of itself, and what is refused before anything is imported."""

import json

import pytest

from dtool.errors import DtoolError
from dtool.models.readers.diffusers_index import read_index

INDEX = {
    "_class_name": "DDPMPipeline", "_diffusers_version": "0.42.1", "unet": ["diffusers", "UNet2DModel"],
    "scheduler": ["diffusers", "DDPMScheduler"], "vae": [None, None], "force_zeros_for_empty_prompt": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for name in ("unet", "scheduler"):
        (tmp_path / name).mkdir()
    return tmp_path


def write(folder, **changes):
    (folder / "model_index.json").write_text(json.dumps(INDEX | changes))
    return folder


def refuse(folder, cause, remedy):
    with pytest.raises(DtoolError) as caught:
        read_index(folder)
    assert cause in str(caught.value)
    assert remedy in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


def test_parts_settings_and_what_is_left_out(folder):
    index = read_index(write(folder))
    assert index.pipeline == "DDPMPipeline"
    assert {name: part.kind for name, part in index.parts.items()} == {
        "unet": "UNet2DModel", "scheduler": "DDPMScheduler",
    }  # fmt: skip
    assert index.settings == {"force_zeros_for_empty_prompt": True}


def test_a_network_alone(tmp_path):
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    index = read_index(tmp_path)
    assert index.pipeline is None
    assert index.parts["network"].folder == tmp_path


CODE = "open it with its own code, and give dtool the pipeline: dtool.load(pipeline)"


@pytest.mark.parametrize(
    ("changes", "cause", "remedy"),
    [
        ({"_class_name": ["pipeline", "Mine"]}, "made by code that comes with the folder (pipeline.Mine)", CODE),
        (
            {"unet": ["my_unet", "Mine"]},
            "unet is made by code that comes with the folder (the library 'my_unet')",
            CODE,
        ),
        ({"unet": ["os", "system"]}, "(the library 'os')", CODE),
        ({"_class_name": 3}, "_class_name is 3", "name a class of diffusers there"),
        ({"unet": ["diffusers", "a.b"]}, "unet is ['diffusers', 'a.b'], not a library and a class", "whole folder"),
        ({"unet": [None, None]}, "it names neither a unet nor a transformer", "give the folder of one network"),
        ({"vae": ["diffusers", "AutoencoderKL"]}, "names vae, and there is no folder", "copy or download the whole"),
    ],
)
def test_refused(folder, changes, cause, remedy):
    refuse(write(folder, **changes), cause, remedy)


def test_code_beside_a_part(folder):
    (folder / "unet" / "diffusers.py").write_text("raise SystemExit")
    refuse(write(folder), "(diffusers.py)", CODE)


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_damaged(tmp_path, text):
    (tmp_path / "model_index.json").write_bytes(text.encode("latin-1"))
    refuse(tmp_path, "model_index.json", "copy or download the whole folder again")


def test_links_out_of_the_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "unet").rmdir()
    (folder / "unet").symlink_to(elsewhere)
    refuse(write(folder), "is a link that leads out of", "put the file itself there")


def test_the_hubs_cache_links_to_its_blobs(tmp_path):
    """models--name/snapshots/revision/config.json → ../../blobs/hash."""
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1").write_text('{"_class_name": "UNet2DModel"}')
    (snapshot / "config.json").symlink_to("../../blobs/1")
    assert read_index(snapshot).parts["network"].kind == "UNet2DModel"
