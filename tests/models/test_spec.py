"""A network's description keeps the schedule that it was trained under, wherever it is written."""

import json
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import DtoolError
from dtool.models.spec import NetworkSpec, describe_schedule, resolve_schedule
from dtool.schedulers.schedule import Schedule, from_lam
from dtool.schedulers.scheduler import scheduler
from tests.support.schedules import betas

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
    assert resolve_schedule(read).hash == made.hash
    between = np.linspace(0, 299, 50)
    assert (np.array(resolve_schedule(read).level(between)) == np.array(made.level(between))).all()


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_through_checkpoints_and_exports(coordinates, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from dtool.models import checkpoint
    from dtool.models.unet import UNet, UNetConfig

    made = from_lam(LAM, coordinates)
    config = UNetConfig(channels=1, width=8, multipliers=(1,))
    spec = NetworkSpec(shape=(1, 8, 8), **describe_schedule(made), prediction="x0")
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
    assert resolve_schedule(spec).hash == made.hash
    assert NetworkSpec(shape=(2,), schedule="cosine").levels is None


def test_a_recipe_does_not_hide_a_schedule_without_a_name():
    plan = dtool.plan("ddim", scheduler=from_lam(LAM, "ve"), steps=3)
    assert plan.recipe == "ddim@custom"


def test_what_was_read_from_a_file_is_kept_without_the_files_name(tmp_path):
    token = f'betas:path="{betas(tmp_path)}"'
    for spec in (
        dtool.network(lambda x, t: x, shape=(2,), schedule=token).spec,
        NetworkSpec(shape=(2,), schedule=token),
    ):
        assert str(tmp_path) not in spec.model_dump_json()
        betas(tmp_path).unlink()
        read = NetworkSpec.read(spec.model_dump_json(), "a file")
        assert resolve_schedule(read).hash == dtool.get_scheduler(f'betas:path="{betas(tmp_path)}"').hash


def test_a_schedule_of_another_package_is_kept_in_numbers():
    @scheduler("theirs")
    def theirs(*, T: int = 5) -> Schedule:  # noqa: N803
        """Theirs."""
        return from_lam(np.linspace(3, -3, T))

    made = theirs()
    assert not made.portable
    assert "levels" in describe_schedule(made)


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


def test_a_spec_that_contradicts_itself():
    with pytest.raises(ValueError, match="guidance=2 needs a label that means no class"):
        NetworkSpec(shape=(2,), schedule="linear", classes=3, null_class=False, guidance=2)
    spec = NetworkSpec(shape=(2,), schedule="linear", classes=3, null_class=False)
    assert (spec.labels, spec.guidable) == (3, False)
    assert NetworkSpec(shape=(2,), schedule="linear", classes=3).labels == 4
    assert NetworkSpec(shape=(2,), schedule="linear").labels == 0
