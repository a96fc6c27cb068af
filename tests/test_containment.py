"""A schedule stays what it is wherever it is written; what a file says of itself is bounded, and names no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

import dtool
from dtool.containment import contained
from dtool.errors import DtoolError, UsageError
from dtool.networks.spec import NetworkSpec, described_schedule, schedule_of
from dtool.plan.recipe import recipe_of_file
from dtool.schedulers.schedule import MOST_STEPS, Schedule, from_lam, scheduler
from tests.commandline import ran

LAM = np.linspace(4.6, -np.log(50.5), 300)
COORDINATES = ("vp", "ve", "flow", "sub-vp")


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_a_schedule_of_ones_own_keeps_its_levels_and_coordinates(coordinates):
    made = from_lam(LAM, coordinates)
    seen: list[float] = []

    def fn(x: Any, t: Any) -> Any:
        seen.append(float(x[:1].std()))
        return 0 * x

    net = dtool.network(fn, shape=(4000,), schedule=made)
    dtool.sample(net, "euler", steps=2, n=1)
    alpha, sigma = made.alpha[-1], made.sigma[-1]
    assert seen[-2] == pytest.approx(np.hypot(alpha, sigma) if coordinates == "vp" else sigma, rel=0.05)
    assert (net.schedule.hash, net.schedule.coordinates) == (made.hash, coordinates)
    read = NetworkSpec.read(net.spec.model_dump_json(), "a file")
    assert read == net.spec
    assert schedule_of(read).hash == made.hash
    between = np.linspace(0, 299, 50)
    assert (np.array(schedule_of(read).level(between)) == np.array(made.level(between))).all()


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_through_checkpoints_and_exports(coordinates, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from dtool.networks import checkpoint
    from dtool.networks.unet import UNet, UNetConfig

    made = from_lam(LAM, coordinates)
    config = UNetConfig(channels=1, width=8, multipliers=(1,))
    spec = NetworkSpec(shape=(1, 8, 8), **described_schedule(made), prediction="x0")
    torch.manual_seed(0)
    for suffix in (".pt", ".safetensors"):
        path = checkpoint.save(tmp_path / f"a{suffix}", spec=spec, config=config, state_dict=UNet(config).state_dict())
        assert dtool.load(path).schedule.hash == made.hash
    dtool.export(path, tmp_path / "a.onnx", steps=2)
    dtool.export(path, tmp_path / "b.onnx", plan="ddim", steps=2)
    for name in ("a.onnx", "b.onnx"):
        net = dtool.load(tmp_path / name, device="cpu")
        assert (net.schedule.hash, net.schedule.coordinates) == (made.hash, coordinates)


def test_a_schedule_object_where_a_name_is_expected():
    made = from_lam(LAM, "ve")
    spec = NetworkSpec(shape=(2,), schedule=made)  # type: ignore[arg-type]
    assert schedule_of(spec).hash == made.hash
    assert NetworkSpec(shape=(2,), schedule="cosine").levels is None


def test_a_recipe_does_not_hide_a_schedule_without_a_name():
    plan = dtool.plan("ddim", scheduler=from_lam(LAM, "ve"), steps=3)
    assert plan.recipe == "ddim@custom"


def betas(folder: Path) -> Path:
    path = folder / "betas.txt"
    path.write_text("0.01 0.02 0.03 0.3")
    return path


def test_what_was_read_from_a_file_is_kept_without_the_files_name(tmp_path):
    token = f'betas:path="{betas(tmp_path)}"'
    for spec in (
        dtool.network(lambda x, t: x, shape=(2,), schedule=token).spec,
        NetworkSpec(shape=(2,), schedule=token),
    ):
        assert str(tmp_path) not in spec.model_dump_json()
        betas(tmp_path).unlink()
        read = NetworkSpec.read(spec.model_dump_json(), "a file")
        assert schedule_of(read).hash == dtool.schedule(f'betas:path="{betas(tmp_path)}"').hash


def test_a_schedule_of_another_package_is_kept_in_numbers():
    @scheduler("theirs")
    def theirs(*, T: int = 5) -> Schedule:  # noqa: N803
        """Theirs."""
        return from_lam(np.linspace(3, -3, T))

    made = theirs()
    made = type(theirs)(theirs.name, theirs.make, theirs.cite, theirs.model)()
    assert not made.portable
    assert "levels" in described_schedule(made)


# What a file says of itself


def document(schedule: str, **more: Any) -> str:
    return json.dumps({"shape": [2], "schedule": schedule, **more})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (document("betas:path=/etc/hostname"), "a file names another file, by the option 'path' of betas"),
        (document('betas:path="/etc/hostname"'), "a file names another file"),
        (document("linear:T=300000000"), "should be less than or equal to 1000000"),
        (document("edm:T=300000000"), "should be less than or equal to 1000000"),
        (document("no-such"), "there is no scheduler 'no-such'"),
        (document("custom"), "there is no scheduler 'custom'"),
        (document("x", betas=[0.1, 2]), "betas are numbers in"),
        (document("x", betas=[0.1], levels={"coordinates": "vp", "alpha": [1], "sigma": [1]}), "give one of them"),
        (document("x", levels={"coordinates": "vp", "alpha": [0.9, 0.5], "sigma": [0.4]}), "give as many of each"),
        (document("x", levels={"coordinates": "vp", "alpha": [1.0], "sigma": [1.0]}), "not in vp coordinates"),
        (document("x", levels={"coordinates": "up", "alpha": [1.0], "sigma": [1.0]}), "coordinates"),
        (document("linear", classes=2**40), "classes"),
        (document("linear", shape=[0, 8, 8]), "shape"),
        (document("linear", shape=[2**20, 2**20]), "too large"),
        (document("linear", data_range=[1, 1]), "data_range is a lower and a higher number"),
        (document("linear", classes=2, class_names=["a"]), "1 class_names for 2 classes"),
        ("[" * 100_000, "not valid"),
        ('{"shape": [2], "schedule": 3}', "schedule"),
    ],
)
def test_a_description_is_refused_in_one_line(text, message):
    with pytest.raises(DtoolError, match=message) as error:
        NetworkSpec.read(text, "a file")
    assert str(error.value).startswith("a file: ")
    assert error.value.hint


@pytest.mark.parametrize(
    "token",
    [
        'ddim/file:path="/etc/hostname"', 'ddim@betas:path="/etc/hostname"',
        'analytic-ddpm:stats="/etc/hostname"', 'ddim/karras:over="file:path=/etc/hostname"',
        'ddim/restart:base="file:path=/etc/hostname"', 'ddim/repaint:base="karras:over=\\"file:path=/etc/hostname\\""',
    ],
)  # fmt: skip
def test_a_recipe_in_a_file_names_no_other(token):
    with pytest.raises(UsageError) as error:
        recipe_of_file(token, "a file")
    assert "a file names another file, by the option" in f"{error.value} {error.value.hint}"


def test_a_recipe_in_a_file_may_name_all_else():
    for token in ("ddpm:sigma=beta@cosine/karras:rho=5", "analytic-ddpm:stats=unit", "ddim/restart:base=karras"):
        assert recipe_of_file(token, "a file").rule.name


def test_an_option_of_another_package_that_is_a_path():
    @scheduler("reads")
    def reads(*, source: Annotated[Path | None, Field(description="a file")] = None) -> Schedule:
        """Reads a file."""
        return from_lam(np.linspace(3, -3, 5))

    assert reads(source="anything").T == 5
    with contained("a file"), pytest.raises(UsageError, match="a file names another file, by the option 'source'"):
        reads(source="anything")


def sampler(path: Path, recipe: str) -> Path:
    """A sampler's file that says it holds this recipe."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    dtool.export(None, path, plan="ddim", steps=2, check=False)
    model = onnx.load(path)
    [own] = [entry for entry in model.metadata_props if entry.key == "dtool"]
    said = json.loads(own.value)
    said["plan"]["recipe"] = recipe
    own.value = json.dumps(said)
    onnx.save(model, path)
    return path


def test_a_sampler_file_that_names_another_file(tmp_path, capsys):
    path = sampler(tmp_path / "a.onnx", f'ddim@betas:path="{betas(tmp_path)}"')
    assert ran(capsys, "sample", path, "-n", "1", "-o", tmp_path / "a.png").code == 0  # its own plan runs as it is
    result = ran(capsys, "sample", path, "-n", "1", "--steps", "3", "-o", tmp_path / "a.png")
    assert result.code == 2
    assert "names another file, by the option 'path' of betas" in result.err
    with pytest.raises(UsageError, match="names another file"):
        dtool.sample(dtool.load(path, device="cpu"), steps=3, n=1)


@pytest.mark.parametrize("token", ["linear:T=300000000", "cosine:T=1000001", "betas", "flow:T=0"])
def test_on_the_command_line(token, tmp_path, capsys):
    result = ran(capsys, "sample", "--scheduler", token, "-o", tmp_path / "a.png")
    assert (result.code, result.err.count("error:")) == (2, 1)


def test_another_packages_schedule_is_bounded_too():
    @scheduler("long")
    def long(*, T: int = 5) -> Schedule:  # noqa: N803
        """Long."""
        raise AssertionError("it was made")

    with pytest.raises(UsageError, match="is too long for a schedule"):
        long(T=MOST_STEPS + 1)


def test_steps_of_a_spacing_that_rises_are_bounded():
    with pytest.raises(UsageError, match="steps are too many"):
        dtool.plan("ddim/repaint", steps=10**9)


def test_checkpoints_of_one_run_are_the_same_bytes(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors import safe_open

    from dtool.networks import checkpoint
    from dtool.networks.unet import UNet, UNetConfig

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
    from dtool.networks import checkpoint
    from dtool.networks.unet import UNet, UNetConfig

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
    from dtool.networks import checkpoint
    from dtool.networks.unet import UNet, UNetConfig

    config = UNetConfig(channels=1, width=8, multipliers=(1,))
    spec = NetworkSpec(shape=(1, 8, 8), schedule="linear")
    path = checkpoint.save(tmp_path / "a.pt", spec=spec, config=config, state_dict=UNet(config).state_dict())
    content = torch.load(path, weights_only=True)
    content["network"]["config"] |= change
    torch.save(content, path)
    with pytest.raises(DtoolError):
        dtool.load(path)
