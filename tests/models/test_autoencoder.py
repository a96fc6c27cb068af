"""An autoencoder in a checkpoint: the same one comes back, and what cannot be one takes no memory."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.models.autoencoder import Autoencoder, require_diffusers  # noqa: E402
from dtool.models.diffusers_codec import DiffusersCodec  # noqa: E402
from tests.support import tiny_pipelines as tiny  # noqa: E402

MAKERS = [tiny.autoencoder, tiny.tiny_autoencoder]


@pytest.mark.parametrize("make", MAKERS, ids=["KL", "Tiny"])
def test_the_same_autoencoder_comes_back(make):
    tiny.seed()
    module = make()
    found = Autoencoder.of(module)
    again = Autoencoder.read(found.describe(), found.state_dict, "m.pt")
    assert again.compute_fingerprint() == found.compute_fingerprint()
    built = again.build("m.pt")
    assert not built.training
    assert not any(weight.requires_grad for weight in built.parameters())
    latents = np.random.default_rng(0).standard_normal((2, 4, 4, 4), dtype=np.float32)
    one, other = (DiffusersCodec(each, (4, 4, 4)) for each in (module, built))
    assert one.picture_shape == other.picture_shape == (3, 8, 8)
    np.testing.assert_array_equal(one.decode(latents), other.decode(latents))
    pictures = one.decode(latents)
    np.testing.assert_array_equal(one.encode(pictures), other.encode(pictures))


def test_weights_and_settings_are_in_the_fingerprint():
    tiny.seed()
    found = Autoencoder.of(tiny.autoencoder())
    state = {name: value.clone() for name, value in found.state_dict.items()}
    state["quant_conv.bias"][0] += 1e-3
    others = [
        Autoencoder(kind=found.kind, config=found.config, state_dict=state),
        Autoencoder(kind=found.kind, config=found.config | {"scaling_factor": 1.0}, state_dict=found.state_dict),
    ]
    assert len({each.compute_fingerprint() for each in (found, *others)}) == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"layers_per_block": 10**9}, "layers_per_block is 1e+09"),
        ({"block_out_channels": [8, 10**9]}, "block_out_channels is 1e+09"),
        ({"block_out_channels": [8] * 1000}, "block_out_channels is inf"),
        ({"block_out_channels": [8, 32]}, "the state dict"),
        ({"down_block_types": ["Nonsense"] * 2}, "diffusers makes no AutoencoderKL of its config"),
    ],
)
def test_a_config_takes_no_memory_before_it_is_known_to_fit(change, says):
    tiny.seed()
    found = Autoencoder.of(tiny.autoencoder())
    with pytest.raises(DtoolError) as caught:
        Autoencoder.read({"kind": found.kind, "config": found.config | change}, found.state_dict, "m.pt").build("m.pt")
    assert str(caught.value).startswith("m.pt: ")
    assert says in str(caught.value)
    assert caught.value.hint


def test_another_kind_and_weights_that_are_not_finite_are_refused():
    tiny.seed()
    found = Autoencoder.of(tiny.autoencoder())
    for about, state in (
        ({"kind": "VQModel", "config": {}}, {}),
        ({"kind": "AutoencoderKL"}, {}),
        (found.describe(), 3),
    ):
        with pytest.raises(DtoolError, match="of a kind this version does not know"):
            Autoencoder.read(about, state, "m.pt")
    state = found.state_dict | {"quant_conv.bias": torch.full((8,), float("nan"))}
    with pytest.raises(DtoolError, match="NaN or infinity"):
        Autoencoder.read(found.describe(), state, "m.pt")


def test_the_latents_shape_or_what_would_fit():
    found = Autoencoder.of(tiny.autoencoder())
    assert found.choose_latent_shape((3, 10, 6), "codec") == (4, 5, 3)
    with pytest.raises(UsageError, match="codec makes one latent of 2x2 pixels, and the pictures have 9x6") as caught:
        found.choose_latent_shape((3, 9, 6), "codec")
    assert caught.value.hint == "give --size 8x6, or another multiple of 2"
    with pytest.raises(UsageError, match="codec encodes pictures in colour, and these are grey"):
        found.choose_latent_shape((1, 8, 8), "codec")


def test_without_diffusers_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(DtoolError, match=r"diffusers is needed to decode what m\.pt samples") as caught:
        require_diffusers("decode what m.pt samples")
    assert "dtool-diffusion[diffusers]" in caught.value.hint
