"""Checkpoints of PyTorch's format are examined before they are loaded: they run no code, and are no other archive."""

import pickle
import zipfile

import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.spec import NetworkSpec
from tests.support.archives import RAW, WRONG, rewritten


@pytest.fixture
def trained(tmp_path):
    torch = pytest.importorskip("torch")
    from dtool.models import checkpoint
    from dtool.models.unet import UNet, UNetConfig

    torch.manual_seed(0)
    config = UNetConfig(channels=1, width=8, multipliers=(1,), attention=())
    spec = NetworkSpec(shape=(1, 8, 8), schedule="cosine", prediction="v")
    return checkpoint.save(tmp_path / "m.pt", spec=spec, config=config, state_dict=UNet(config).state_dict())


def refusal(path):
    with pytest.raises(DtoolError) as caught:
        dtool.load(path)
    assert not RAW.search(str(caught.value))
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("encrypted", "it is encrypted"),
        ("deflated", "it is compressed"),
        ("lzma", "it is compressed"),
        ("misplaced", "the file is damaged"),
    ],
)
def test_a_checkpoint_that_is_an_archive_of_another_kind(how, why, trained):
    dtool.load(trained)
    WRONG[how](trained)
    assert why in refusal(trained)


@pytest.mark.parametrize(
    "pickled", [b"", b".", b"\x80\x02X\x04\0\0\0\xff\xff\xff\xff.", b"\x80\x02}", b"\x80\x02]q\0h\1."]
)
def test_a_checkpoint_whose_pickle_is_cut_off_or_no_text(pickled, trained):
    rewritten(trained, data=pickled)
    assert "the file is damaged" in refusal(trained)


@pytest.mark.parametrize("archived", [True, False])
@pytest.mark.parametrize("value", [bytearray(3), {1, 2}, complex(1, 2)])
def test_a_checkpoint_calls_nothing_that_weights_do_not_need(value, archived, trained, monkeypatch):
    import torch

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was loaded"))
    pickled = pickle.dumps({"format": 1, "spec": value}, protocol=2)
    if archived:
        rewritten(trained, data=pickled)
    else:
        trained.write_bytes(pickled)
    assert "refused, because loading it would run code that weights do not need" in refusal(trained)


def test_a_checkpoint_without_its_pickle_or_with_two(trained):
    with zipfile.ZipFile(trained) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for kept, why in (
        (lambda name: not name.endswith(".pkl"), "it holds no data.pkl"),
        (bool, "it holds data.pkl twice"),
    ):
        with zipfile.ZipFile(trained, "w") as archive:
            for name, content in entries.items():
                if kept(name):
                    archive.writestr(name, content)
            if kept is bool:
                archive.writestr("other/data.pkl", b"N.")
        assert why in refusal(trained)
