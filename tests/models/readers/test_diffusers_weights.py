"""Which files hold a part's weights, and weights that are not those of the config."""

import json
import os
import weakref

import pytest

from dtool.errors import DtoolError
from dtool.models.readers.diffusers_weights import build_module, find_weights, read_weights

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

STEM = "diffusion_pytorch_model"


def make():
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


def state():
    return {name: torch.full_like(value, 2) for name, value in make().state_dict().items()}


def refuse(action, cause, remedy):
    with pytest.raises(DtoolError) as caught:
        action()
    assert cause in str(caught.value)
    assert remedy in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([f"{STEM}.bin", f"{STEM}.safetensors"], f"{STEM}.safetensors"),
        ([f"{STEM}.fp16.safetensors", f"{STEM}.safetensors"], f"{STEM}.safetensors"),
        ([f"{STEM}.bin", f"{STEM}.fp16.safetensors"], f"{STEM}.fp16.safetensors"),
        (["model.safetensors", "flax_model.msgpack"], "model.safetensors"),
        (["pytorch_model.bin", "config.json"], "pytorch_model.bin"),
    ],
)
def test_the_best_file_is_chosen(tmp_path, names, chosen):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in find_weights(tmp_path, tmp_path)] == [chosen]


def test_half_precision_becomes_single(tmp_path):
    save_file({name: value.half() if value.is_floating_point() else value for name, value in state().items()},
              tmp_path / f"{STEM}.fp16.safetensors")  # fmt: skip
    module = build_module(make, read_weights(tmp_path, tmp_path), tmp_path)
    assert module[0].weight.dtype == torch.float32
    assert not module.training
    assert (module[0].weight == 2).all()


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_shards(tmp_path, suffix):
    whole, places = state(), {}
    for number, (name, value) in enumerate(whole.items()):
        places[name] = f"{STEM}-{number}.{suffix}"
        path = tmp_path / places[name]
        if suffix == "bin":
            torch.save({name: value}, path)
        else:
            save_file({name: value}, path)
    (tmp_path / f"{STEM}.{suffix}.index.json").write_text(json.dumps({"weight_map": places}))
    assert read_weights(tmp_path, tmp_path).keys() == whole.keys()
    (tmp_path / places["0.weight"]).unlink()
    refuse(lambda: read_weights(tmp_path, tmp_path), "and there is no such file", "the whole folder again")


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "a.py"])
def test_shards_that_are_not_beside_their_index(tmp_path, name):
    (tmp_path / f"{STEM}.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    refuse(lambda: read_weights(tmp_path, tmp_path), "which is no file of weights beside it", "the whole folder again")


def test_no_weights(tmp_path):
    refuse(lambda: read_weights(tmp_path, tmp_path), "there are no weights in", f"put {STEM}.safetensors there")


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("kept", [0, 10, 300])
def test_truncated(tmp_path, suffix, kept):
    path = tmp_path / f"{STEM}.{suffix}"
    if suffix == "bin":
        torch.save(state(), path)
    else:
        save_file(state(), path)
    path.write_bytes(path.read_bytes()[:kept])
    refuse(lambda: read_weights(tmp_path, tmp_path), f"{path}: the file is damaged", "copy or download it again")


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_code_is_not_run(tmp_path):
    torch.save({"a": Evil()}, tmp_path / f"{STEM}.bin")
    refuse(lambda: read_weights(tmp_path, tmp_path), "would run code that weights do not need", "as safetensors")


def test_links_out_of_the_folder(tmp_path):
    (tmp_path / "part").mkdir()
    save_file(state(), tmp_path / "elsewhere.safetensors")
    (tmp_path / "part" / f"{STEM}.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    root = tmp_path / "part"
    refuse(lambda: read_weights(root, root), "is a link that leads out of", "put the file itself there")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda s: s.pop("0.weight"), "the state dict lacks 0.weight"),
        (lambda s: s.update(other=torch.zeros(1)), "the state dict has an unknown other"),
        (lambda s: s.update({"0.weight": torch.zeros(3, 2)}), "has 0.weight of shape (3, 2), not (2, 3)"),
    ],
)
def test_weights_of_another_network(tmp_path, change, cause):
    weights = state()
    change(weights)
    refuse(
        lambda: build_module(make, weights, tmp_path), cause, "config.json and the weights belong to different networks"
    )


def test_weights_that_are_not_finite(tmp_path):
    weights = state() | {"0.bias": torch.tensor([1.0, float("nan")])}
    refuse(lambda: build_module(make, weights, tmp_path), "hold NaN or infinity (in 0.bias)", "copy or download")


def test_what_a_module_makes_by_itself_is_made_and_no_random_number_is_used_up(tmp_path):
    """Buffers that no file holds, such as position tables, are not left without memory."""

    def make_own():
        module = torch.nn.Linear(2, 2)
        module.register_buffer("table", torch.arange(3.0), persistent=False)
        return module

    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    weights = {"weight": torch.eye(2), "bias": torch.zeros(2)}
    assert build_module(make_own, weights, tmp_path).table.tolist() == [0, 1, 2]
    assert torch.rand(1) == expected


def test_what_it_was_made_with_is_gone_before_the_weights_are_touched(tmp_path, monkeypatch):
    """Both in memory would be twice the weights."""
    made, living = [], []

    def make_own():
        module = torch.nn.Sequential(torch.nn.Linear(2, 2))
        module[0].register_buffer("table", torch.arange(3.0), persistent=False)
        made.append(weakref.ref(module[0].weight))
        return module

    def count(*_):
        living.append([not each().is_meta for each in made if each() is not None])

    monkeypatch.setattr("dtool.models.weight_file.require_numbers", count)
    weights = {"0.weight": torch.eye(2), "0.bias": torch.zeros(2)}
    assert build_module(make_own, weights, tmp_path)[0].table.tolist() == [0, 1, 2]
    assert len(made) == 2
    assert living == [[False]], "the one without memory alone"
