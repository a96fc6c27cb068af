"""The folder of an autoencoder: diffusers opens it, it is whole or has no config, and others' files stay."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.training.codec_folder import (  # noqa: E402
    CONFIG,
    STATE,
    WEIGHTS,
    check_folder,
    read_state,
    write_autoencoder,
    write_state,
)
from dtool.training.codec_loop import make_autoencoder  # noqa: E402
from dtool.util.files import WriteError  # noqa: E402
from tests.support.codec_training import LATENT, SHAPE, make_config  # noqa: E402


@pytest.fixture
def network() -> object:
    torch.manual_seed(0)
    return make_autoencoder(make_config(), SHAPE).eval().requires_grad_(False)


def test_diffusers_opens_what_is_written_and_decodes_the_same(network: object, tmp_path: Path) -> None:
    write_autoencoder(tmp_path / "codec", network)
    assert sorted(path.name for path in (tmp_path / "codec").iterdir()) == [CONFIG, WEIGHTS]
    assert [path.name for path in tmp_path.iterdir()] == ["codec"]
    opened = diffusers.AutoencoderKL.from_pretrained(tmp_path / "codec").eval()
    latents = torch.randn(2, *LATENT, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(opened.decode(latents).sample, network.decode(latents).sample)
    assert opened.config.scaling_factor == 1
    assert json.loads((tmp_path / "codec" / CONFIG).read_text())["_class_name"] == "AutoencoderKL"


def test_a_folder_that_is_replaced_has_no_config_until_it_is_whole(
    network: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "codec"
    write_autoencoder(folder, network)
    before = (folder / WEIGHTS).read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dtool.training.codec_folder.shutil.copyfile", fail)
    with pytest.raises(WriteError, match="No space left on device"):
        write_autoencoder(folder, network)
    assert not (folder / CONFIG).exists()
    assert (folder / WEIGHTS).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["codec"]


def test_weights_that_are_not_finite_are_not_written(network: object, tmp_path: Path) -> None:
    network.quant_conv.bias[0] = float("nan")
    with pytest.raises(DtoolError, match="NaN or infinity"):
        write_autoencoder(tmp_path / "codec", network)
    assert list(tmp_path.iterdir()) == []


def test_what_may_be_begun_continued_and_replaced(network: object, tmp_path: Path) -> None:
    folder = tmp_path / "codec"
    check_folder(folder, resume=False, force=False)
    with pytest.raises(DtoolError, match="--resume: there is no"):
        check_folder(folder, resume=True, force=False)
    write_autoencoder(folder, network)
    with pytest.raises(UsageError, match="codec exists") as caught:
        check_folder(folder, resume=False, force=False)
    assert "--resume continues it, --force replaces it" in caught.value.hint
    check_folder(folder, resume=False, force=True)
    (folder / STATE).touch()
    check_folder(folder, resume=True, force=False)
    (folder / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"holds other files \(thesis\.tex\)"):
        check_folder(folder, resume=False, force=True)
    for name in ("codec.safetensors", "file"):
        (tmp_path / "file").touch()
        with pytest.raises(UsageError, match="an autoencoder is a folder"):
            check_folder(tmp_path / name, resume=False, force=True)
    with pytest.raises(WriteError):
        check_folder(tmp_path / "none" / "codec", resume=False, force=False)


def test_a_state_that_is_none_is_refused(tmp_path: Path) -> None:
    state = {"step": 1, "config": "{}", "data": 0, "network": {}, "average": {"a": torch.zeros(1)}}
    write_state(tmp_path / "codec", state)
    assert read_state(tmp_path / "codec")["step"] == 1
    torch.save({"step": 1}, tmp_path / "codec" / STATE)
    with pytest.raises(DtoolError, match="is no state of a training"):
        read_state(tmp_path / "codec")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "codec" / STATE)
    with pytest.raises(DtoolError, match="loading it would run code"):
        read_state(tmp_path / "codec")
