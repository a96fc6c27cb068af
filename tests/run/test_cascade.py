"""A cascade is its networks, each told the last one's pictures; parts that do not fit are refused before any work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.models.network import Network
from dtool.run.cascade import continue_cascade, derive_seed, require_cascade, scale_pictures, split_cascade

LEVEL = {"name": "level", "null": 0.0}


def make_base(size: int = 2, **more: Any) -> Network:
    return dtool.network(lambda x, t, **_: x * 0.5, shape=(1, size, size), prediction="x0", **more)


def make_upscaler(size: int = 2, conditions: Any = None) -> Network:
    """Draws the small picture, each pixel four times, whatever the noise."""
    own = [{"name": "low", "shape": (1, size, size)}, LEVEL] if conditions is None else conditions

    def enlarge(x: Any, t: Any, low: Any, level: Any) -> Any:
        assert (np.asarray(level) == 0).all()
        return low.repeat(2, axis=2).repeat(2, axis=3)

    return dtool.network(enlarge, shape=(1, 2 * size, 2 * size), prediction="x0", conditions=own)


def test_each_network_is_fed_the_pictures_of_the_one_before() -> None:
    networks = [make_base(2), make_upscaler(2), make_upscaler(4)]
    first = dtool.sample(networks[0], "ddim", steps=3, n=5, seed=7)
    plans = [dtool.plan("ddim", steps=steps, network=net) for steps, net in zip((2, 4), networks[1:], strict=True)]
    last = continue_cascade(first, networks, plans, seed=7)
    assert last.x0.shape == (5, 1, 8, 8)
    expected = np.clip(first.x0, -1, 1).repeat(4, axis=2).repeat(4, axis=3)
    np.testing.assert_allclose(last.x0, expected, atol=1e-5)
    assert (last.calls, last.evaluations) == (3 + 2 + 4, 9)
    assert last.ids is not None
    assert last.ids.tolist() == [0, 1, 2, 3, 4]


def test_image_i_is_the_same_in_any_batch_and_each_network_has_its_own_noise() -> None:
    seen: list[Any] = []

    def remember(x: Any, t: Any, low: Any) -> Any:
        seen.append(np.array(x))
        return x * 0.5 + low

    net = dtool.network(remember, shape=(1, 2, 2), prediction="x0", conditions=[{"name": "low", "shape": (1, 2, 2)}])
    networks, plan = [make_base(2), net, net], dtool.plan("ddim", steps=2, network=net)
    drawn = []
    for ids in ([0, 1, 2], [2]):
        first = dtool.sample(networks[0], "ddim", steps=2, ids=ids, seed=3)
        drawn.append(continue_cascade(first, networks, [plan, plan], seed=3).x0)
    np.testing.assert_allclose(drawn[0][2], drawn[1][0], atol=1e-6)
    assert len({derive_seed(3, place) for place in range(4)} | {derive_seed(4, 1), 3}) == 6
    assert not np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize(
    ("networks", "says", "hint"),
    [
        ([make_base(4), make_upscaler(2)], "b takes low float32 (1, 2, 2), and a draws (1, 4, 4)", "put a network of"),
        ([make_base(2), make_base(2)], "b is no upscaler", "--task upscale:2"),
        ([make_upscaler(2), make_upscaler(4)], "a needs a picture itself", "begin a cascade"),
        (
            [make_base(2), make_upscaler(2), make_upscaler(2)],
            "c takes low float32 (1, 2, 2), and b draws (1, 4, 4)",
            "put a network of",
        ),
        (
            [make_base(2), make_upscaler(2, [{"name": "low", "shape": (1, 2, 2)}, {"name": "level"}])],
            "b is no upscaler",
            "--task upscale:2",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(networks: list[Network], says: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        require_cascade("abc"[: len(networks)], networks)
    assert says in str(error.value)
    assert hint in error.value.hint


def test_names_of_the_parts(tmp_path: Path) -> None:
    assert split_cascade(None) == []
    assert split_cascade("base.pt") == ["base.pt"]
    assert split_cascade("DPM++ 2M Karras") == ["DPM++ 2M Karras"]
    assert split_cascade("base.pt+x2.pt+x4.onnx") == ["base.pt", "x2.pt", "x4.onnx"]
    own = tmp_path / "a+b.pt"
    own.touch()
    assert split_cascade(str(own)) == [str(own)]
    for word in ("base.pt+", "+x2.pt", "a.pt++b.pt"):
        with pytest.raises(UsageError, match="has no name"):
            split_cascade(word)


def test_pictures_are_told_in_minus_one_to_one() -> None:
    x0 = np.array([0.0, 0.25, 1.0, 1.5])
    np.testing.assert_allclose(scale_pictures(x0, (0.0, 1.0)), [-1, -0.5, 1, 1])
