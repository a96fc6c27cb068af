"""Checkpoints: what is written is read, and what can't be read is refused with a sentence, running no code."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import dtool  # noqa: E402
from dtool.errors import DtoolError, UsageError  # noqa: E402
from dtool.models import checkpoint  # noqa: E402
from dtool.models.spec import NetworkSpec  # noqa: E402
from dtool.models.unet import UNet, UNetConfig  # noqa: E402
from tests.support.commandline import failed, ran  # noqa: E402

CONFIG = UNetConfig(channels=1, width=8, multipliers=(1, 2), classes=3)
SPEC = NetworkSpec(shape=(1, 8, 8), schedule="cosine", prediction="v", classes=3, class_names=("a", "b", "ö"))


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(0)
    return UNet(CONFIG)


def write(path: Path, network: UNet, **more: Any) -> Path:
    return checkpoint.save(path, spec=SPEC, config=CONFIG, state_dict=network.state_dict(), **more)


def tampered(path: Path, good: UNet, **changes: Any) -> Path:
    """A .pt whose content is changed after the fact; `None` deletes."""
    content = torch.load(write(path, good), weights_only=True) | changes
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


def refusal(path: Path) -> DtoolError:
    with pytest.raises(DtoolError) as caught:
        checkpoint.read(path).build()
    error = caught.value
    assert str(error).startswith(str(path))
    assert "\n" not in str(error)
    assert error.hint
    assert "\n" not in error.hint
    return error


@pytest.mark.parametrize("suffix", checkpoint.SUFFIXES)
def test_what_is_written_is_read(suffix: str, network: UNet, tmp_path: Path) -> None:
    found = checkpoint.read(write(tmp_path / f"model{suffix}", network))
    assert found.spec == SPEC
    built = found.build()
    assert not built.training
    assert not any(parameter.requires_grad for parameter in built.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(built.state_dict()[name], value)
    assert [path.name for path in tmp_path.iterdir()] == [f"model{suffix}"]


def test_pt_is_a_plain_dict(network: UNet, tmp_path: Path) -> None:
    content = torch.load(write(tmp_path / "model.pt", network, training={"step": 3}), weights_only=True)
    assert content["format"] == 1
    assert content["training"] == {"step": 3}
    assert json.loads(content["spec"])["schedule"] == "cosine"
    assert UNetConfig(**content["network"]["config"]) == CONFIG


def test_safetensors_leaves_training_out(network: UNet, tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", network, training={"step": 3})
    assert checkpoint.read(path).training is None


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in str(refusal(tmp_path / "none.pt"))


def test_unknown_suffix(network: UNet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model\.ckpt") as caught:
        write(tmp_path / "model.ckpt", network)
    assert ".safetensors" in caught.value.hint


@pytest.mark.parametrize("suffix", checkpoint.SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_truncated_at_any_place(suffix: str, share: float, network: UNet, tmp_path: Path) -> None:
    path = write(tmp_path / f"model{suffix}", network)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refusal(path)


def test_a_flipped_byte_in_the_weights_is_noticed(network: UNet, tmp_path: Path) -> None:
    path = write(tmp_path / "model.pt", network)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DtoolError, match="damaged"):
        checkpoint.read(path)


@pytest.mark.parametrize("suffix", checkpoint.SUFFIXES)
def test_foreign_bytes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"this is a shopping list, not a network\n" * 50)
    refusal(path)


def test_foreign_contents(network: UNet, tmp_path: Path) -> None:
    for content in (network.state_dict(), {"model": network.state_dict()}, torch.zeros(3), {"format": 1}, {}):
        torch.save(content, tmp_path / "foreign.pt")
        assert "not a checkpoint of dtool" in str(refusal(tmp_path / "foreign.pt"))


def test_foreign_safetensors(network: UNet, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(network.state_dict(), tmp_path / "model.safetensors")
    assert "not a checkpoint of dtool" in str(refusal(tmp_path / "model.safetensors"))


class Bomb:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_that_wants_to_run_code_does_not(writer: str, tmp_path: Path) -> None:
    path, target = tmp_path / "model.pt", tmp_path / "exploded"
    if writer == "torch":
        torch.save({"format": 1, "spec": Bomb(target)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(target), protocol=2))
    assert "run code" in str(refusal(path))
    assert not target.exists()


def test_a_whole_module_is_refused(network: UNet, tmp_path: Path) -> None:
    torch.save(network, tmp_path / "model.pt")
    assert "run code" in str(refusal(tmp_path / "model.pt"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_neither_written_nor_read(value: float, network: UNet, tmp_path: Path) -> None:
    path = write(tmp_path / "model.pt", network)
    good = path.read_bytes()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state["last.bias"][0] = value
    with pytest.raises(DtoolError, match=r"NaN or infinity \(in last\.bias\)"):
        checkpoint.save(path, spec=SPEC, config=CONFIG, state_dict=state)
    assert path.read_bytes() == good
    assert "last.bias" in str(refusal(tampered(path, network, state_dict=state)))


def test_weights_that_do_not_fit(network: UNet, tmp_path: Path) -> None:
    state, path = network.state_dict(), tmp_path / "model.pt"
    fewer = {name: value for name, value in state.items() if name != "first.bias"}
    assert "lacks first.bias" in str(refusal(tampered(path, network, state_dict=fewer)))
    assert "unknown extra" in str(refusal(tampered(path, network, state_dict={**state, "extra": torch.zeros(1)})))
    wrong = {**state, "first.bias": torch.zeros(3)}
    assert "has first.bias of shape (3,), not (8,)" in str(refusal(tampered(path, network, state_dict=wrong)))
    assert "not a tensor" in str(refusal(tampered(path, network, state_dict={**state, "first.bias": 3.0})))


def test_descriptions_that_make_no_sense(network: UNet, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    newer = refusal(tampered(path, network, format=3, dtool="9.0"))
    assert "dtool 9.0 in format 3" in str(newer)
    assert "pip install -U" in newer.hint
    assert "not a checkpoint" in str(refusal(tampered(path, network, network=None)))
    assert "description" in str(refusal(tampered(path, network, spec="{}")))
    assert "'transformer'" in str(refusal(tampered(path, network, network={"kind": "transformer", "config": {}})))
    assert "configuration" in str(refusal(tampered(path, network, network={"kind": "unet", "config": {"width": 7}})))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond `size` bytes, as it does when the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("suffix", checkpoint.SUFFIXES)
def test_a_full_disk_leaves_the_old_file(suffix: str, network: UNet, tmp_path: Path) -> None:
    path = write(tmp_path / f"model{suffix}", network)
    good = path.read_bytes()
    with largest_file(10_000), pytest.raises(DtoolError, match=r"can't be written \(File too large\)") as caught:
        write(path, network)
    assert "free some space" in caught.value.hint
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_the_old_file(network: UNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "model.pt", network)
    good = path.read_bytes()

    def interrupted(target: Path, data: bytes) -> None:
        with target.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path, network)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(network: UNet, tmp_path: Path) -> None:
    with pytest.raises(DtoolError, match="can't be written") as caught:
        write(tmp_path / "none" / "model.pt", network)
    assert "-o" in caught.value.hint


def test_permissions_are_those_of_any_new_file(network: UNet, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    path = write(tmp_path / "model.pt", network)
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    path.chmod(0o600)
    assert write(path, network).stat().st_mode & 0o777 == 0o600


def test_a_foreign_checkpoint_does_not_say_what_it_was_trained_for(capsys, folder):
    torch = pytest.importorskip("torch")
    torch.save({"conv.weight": torch.zeros(2, 2)}, folder / "weights.pt")
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")
    flags = ("--schedule", "linear", "--prediction", "eps")
    for name, cause in (("weights.pt", "not a checkpoint of dtool"), ("module.pt", "would run code")):
        result = ran(capsys, "sample", name, *flags)
        failed(result, 1, cause, "package.module:factory, or export it to ONNX")
        assert "says itself" not in result.err
        with pytest.raises(DtoolError, match=cause):
            dtool.export(name, "out.onnx", plan="ddim", spec={"schedule": "linear", "prediction": "eps"})


def test_checkpoints_of_one_run_are_the_same_bytes(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors import safe_open

    from dtool.models import checkpoint
    from dtool.models.unet import UNet, UNetConfig

    config = UNetConfig(channels=1, width=8, multipliers=(1,), classes=2)
    spec = NetworkSpec(shape=(1, 8, 8), schedule="linear", classes=2)
    torch.manual_seed(0)
    state = UNet(config).state_dict()
    paths = [
        checkpoint.save(tmp_path / f"{i}.safetensors", spec=spec, config=config, state_dict=state) for i in range(8)
    ]
    assert len({path.read_bytes() for path in paths}) == 1
    with safe_open(paths[0], framework="pt") as file:
        assert list(file.metadata()) == ["dtool"]
    assert dtool.load(paths[0]).spec == spec


def test_a_checkpoint_that_declares_more_than_it_holds(tmp_path):
    torch = pytest.importorskip("torch")
    from dtool.models import checkpoint
    from dtool.models.unet import UNet, UNetConfig

    config = UNetConfig(channels=1, width=8, multipliers=(1,))
    spec = NetworkSpec(shape=(1, 8, 8), schedule="linear")
    path = checkpoint.save(tmp_path / "a.pt", spec=spec, config=config, state_dict=UNet(config).state_dict())
    content = torch.load(path, weights_only=True)
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] = torch.zeros(1).expand(2**40)
    torch.save(content, path)
    with pytest.raises(DtoolError, match="stands for more numbers than the file holds"):
        dtool.load(path)


@pytest.mark.parametrize(
    "change", [{"width": 65536, "multipliers": [1024]}, {"blocks": 10**9}, {"multipliers": [1] * 1000}, {"classes": 2}]
)
def test_a_configuration_takes_no_memory_before_it_is_known_to_fit(change, tmp_path):
    torch = pytest.importorskip("torch")
    from dtool.models import checkpoint
    from dtool.models.unet import UNet, UNetConfig

    config = UNetConfig(channels=1, width=8, multipliers=(1,))
    spec = NetworkSpec(shape=(1, 8, 8), schedule="linear")
    path = checkpoint.save(tmp_path / "a.pt", spec=spec, config=config, state_dict=UNet(config).state_dict())
    content = torch.load(path, weights_only=True)
    content["network"]["config"] |= change
    torch.save(content, path)
    with pytest.raises(DtoolError):
        dtool.load(path)


@pytest.mark.parametrize("suffix", checkpoint.SUFFIXES)
@pytest.mark.parametrize("spec", [SPEC, {"schedule": "linear"}], ids=["whole", "a field"])
def test_a_checkpoint_says_itself_what_it_is(suffix: str, spec: Any, network: UNet, tmp_path: Path) -> None:
    path = write(tmp_path / f"model{suffix}", network)
    with pytest.raises(UsageError, match="says itself what it was trained for"):
        dtool.load(path, spec=spec)
    assert dtool.load(path, device="cpu").spec == SPEC
