"""Noise on what a network is told: its law, the same bits in any batch, on every host and in a sampler's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.conditions import Condition
from dtool.models.network import Network
from dtool.run.cascade import continue_cascade, derive_seed, parse_levels
from dtool.run.noise import counter_range, normals, number_last_draw

CONDITIONS = ({"name": "low", "shape": (1, 3, 3), "noised_by": "level"}, {"name": "level", "null": 0.0})


def make_network(conditions: Any = CONDITIONS, seen: list[Any] | None = None) -> Network:
    """Draws what it is told, and remembers it."""

    def draw(x: Any, t: Any, low: Any, level: Any) -> Any:
        if seen is not None:
            seen.append((np.array(low), np.array(level)))
        return low + 0 * x

    return dtool.network(draw, shape=(1, 3, 3), prediction="x0", conditions=conditions)


def draw_told(ids: Any, level: Any, seed: int = 5, low: float = 0.25, **more: Any) -> Any:
    told = {"low": np.full((1, 3, 3), low, np.float32), "level": level}
    return dtool.sample(make_network(), "ddim", steps=2, ids=ids, seed=seed, conditions=told, **more).x0


def test_what_is_told_has_noise_of_its_level() -> None:
    drawn = draw_told(range(2000), 0.6, low=0.5)
    assert drawn.mean() == pytest.approx(0.8 * 0.5, abs=0.01)
    assert drawn.std() == pytest.approx(0.6, abs=0.01)
    assert abs(np.corrcoef(drawn.reshape(2000, -1).T) - np.eye(9)).max() < 0.1
    np.testing.assert_array_equal(draw_told(range(3), 0.0), np.full((3, 1, 3, 3), 0.25, np.float32))


def test_an_image_s_noise_follows_from_its_seed_and_id_alone() -> None:
    levels = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    whole = draw_told([0, 1, 2, 3], levels)
    np.testing.assert_array_equal(draw_told([3, 1], levels[[3, 1]], batch_size=1), whole[[3, 1]])
    assert not np.array_equal(draw_told([0], 0.1, seed=6)[0], whole[0])


def test_it_is_not_the_noise_of_the_run() -> None:
    z = (draw_told([7], 0.6) - np.float32(0.8 * 0.25)) / 0.6
    for draw in range(4):
        assert abs(z - normals(5, np.array([7], np.uint64), draw, (1, 3, 3))[0]).max() > 0.1
    for shape in ((1, 3, 3), (3, 64, 64), (5,), ()):
        assert counter_range(number_last_draw(shape), 1, int(np.prod(shape)))[1] <= 2**32


def test_guidance_compares_with_the_same_picture_without_noise() -> None:
    seen: list[Any] = []
    told = {"low": np.full((1, 3, 3), 0.25, np.float32), "level": 0.5}
    dtool.sample(make_network(seen=seen), "ddim", steps=1, n=2, batch_size=2, conditions=told, guidance=2.0)
    low, level = seen[-1]  # one call of both halves; before it networks are tried out
    np.testing.assert_array_equal(np.unique(level), [0, 0.5])
    np.testing.assert_array_equal(low[level == 0], np.full((2, 1, 3, 3), 0.25, np.float32))
    assert (low[level == 0.5] != 0.25).all()


@pytest.mark.parametrize("level", [-0.1, 1.0, [0.1, 2.0]])
def test_what_is_no_level_is_refused(level: Any) -> None:
    with pytest.raises(UsageError, match=r"level is .*, and it is a level of noise") as caught:
        draw_told([0, 1], level)
    assert caught.value.hint == "give 0 to 0.99"


@pytest.mark.parametrize(
    "conditions",
    [
        ({"name": "low", "shape": (1, 3, 3), "noised_by": "level"},),
        ({"name": "low", "shape": (1, 3, 3), "noised_by": "level"}, {"name": "level", "shape": (2,)}),
        ({"name": "low", "shape": (1, None, 3), "noised_by": "level"}, {"name": "level"}),
        ({"name": "low", "noised_by": "low"},),
    ],
)
def test_the_level_of_a_condition_is_a_number(conditions: Any) -> None:
    with pytest.raises((ValueError, UsageError), match="noise on low has a level"):
        dtool.NetworkSpec(shape=(1, 3, 3), schedule="linear", conditions=conditions)


def test_a_condition_without_noise_is_written_as_before() -> None:
    assert Condition(name="low", shape=(1, 3, 3)).model_dump(mode="json").keys() == {"name", "shape", "dtype", "null"}
    noised = Condition(name="low", shape=(1, 3, 3), noised_by="level")
    assert Condition.model_validate_json(noised.model_dump_json()) == noised


def test_every_host_and_a_sampler_s_file_put_the_same_noise(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    spec = dtool.NetworkSpec(shape=(1, 6, 6), schedule="cosine", prediction="x0", conditions=CONDITIONS)

    class Enlarge(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any, t: Any, low: Any, level: Any) -> Any:
            large = torch.nn.functional.interpolate(low, scale_factor=2, mode="nearest")
            return 0.1 * x + large * (1 + level[:, None, None, None])

    dtool.export((Enlarge(), spec), tmp_path / "net.onnx")
    report = dtool.export(tmp_path / "net.onnx", tmp_path / "app.onnx", plan="ddpm", steps=3)
    assert report is not None
    told = {"low": np.linspace(-1, 1, 9, dtype=np.float32).reshape(1, 3, 3), "level": np.float32([0, 0.2, 0.7])}
    options: dict[str, Any] = {"seed": 9, "ids": [2, 0, 5], "conditions": told}
    hosts = [
        dtool.load(Enlarge(), spec=spec, device="cpu"),
        *(dtool.load(tmp_path / f"{n}.onnx") for n in ("net", "app")),
    ]
    for scale in (1.0, 2.5):
        one, *others = [dtool.sample(net, hosts[2].plan, guidance=scale, **options).x0 for net in hosts]
        for other in others:
            assert np.abs(one - other).max() < 1e-5
    clean = {**told, "level": np.float32([0, 0, 0])}
    both = [dtool.sample(hosts[2], conditions=own, ids=[2, 0, 5], seed=9).x0 for own in (told, clean)]
    moved = np.abs(both[0] - both[1]).max(axis=(1, 2, 3))
    assert moved[0] < 1e-6 < 0.1 < moved[1:].min()


def test_a_cascade_s_networks_have_each_their_level() -> None:
    seen: list[Any] = []
    base = dtool.network(lambda x, t: x * 0.5, shape=(1, 3, 3), prediction="x0")
    networks = [base, make_network(seen=seen), make_network(seen=seen)]
    plan = dtool.plan("ddim", steps=1, network=networks[1])
    first = dtool.sample(base, "ddim", steps=1, n=3, seed=4)
    continue_cascade(first, networks, [plan, plan], seed=4, levels=[0.3, 0.0], batch_size=3)
    seen = [part for part in seen if len(part[0]) == 3]  # the run itself: networks are tried out with other batches
    z = normals(derive_seed(4, 1), np.arange(3, dtype=np.uint64), number_last_draw((1, 3, 3)), (1, 3, 3))[0]
    low = np.clip(first.x0, -1, 1)
    np.testing.assert_allclose(seen[0][0], np.sqrt(1 - 0.3**2) * low + 0.3 * z, atol=1e-6)
    assert [part[1].max() for part in seen] == pytest.approx([0.3, 0.0])
    np.testing.assert_allclose(seen[1][0], np.clip(seen[0][0], -1, 1), atol=1e-6)


def test_levels_that_do_not_fit_a_cascade_are_refused() -> None:
    base, noised = dtool.network(lambda x, t: x, shape=(1, 3, 3)), make_network()
    plain = make_network(({"name": "low", "shape": (1, 3, 3)}, {"name": "level", "null": 0.0}))
    names, networks = ["a", "b", "c"], [base, noised, plain]
    assert parse_levels("0.2", names, [base, noised, noised]) == [0.2, 0.2]
    assert parse_levels("0.2,0", names, networks) == [0.2, 0.0]
    for text, given, says in (
        ("0.2", networks, "c says of no noise on its pictures"),
        ("much", networks, "not levels of noise"),
        ("0.1,0.2,0.3", networks, "3 levels, and 2 networks are fed pictures"),
        ("1.5,0", networks, "it is a level of noise"),
        ("0.2", [base], "--augment is of a cascade"),
    ):
        with pytest.raises(UsageError, match=says):
            parse_levels(text, names, given)
