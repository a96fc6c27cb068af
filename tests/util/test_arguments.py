"""Arguments of a wrong kind: refused by name, before anything is done; numpy's numbers are numbers."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.util.arguments import as_integers, as_numbers, check_arguments

NET = dtool.network(lambda x, t: x, shape=(2,))

CONDITIONAL = dtool.network(lambda x, t, label: x, shape=(2,), classes=3)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"seed": "3"}, "seed='3' is not a whole number"),
        ({"seed": 1.5}, "seed=1.5 is not a whole number"),
        ({"seed": None}, "seed=None is not a whole number"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"seed": 2**64}, "out of range"),
        ({"seed": 10**5000}, "is not a whole number"),
        ({"n": 1.5}, "n=1.5 is not a whole number"),
        ({"n": True}, "n=True is not a whole number"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"batch_size": True}, "batch_size=True"),
        ({"clip": "yes"}, "clip='yes' is not True or False"),
        ({"clip": 1}, "clip=1 is not True or False"),
        ({"trace": "no"}, "trace='no'"),
        ({"guidance": "two"}, "there is no guidance 'two'"),
        ({"threshold": "x"}, "threshold='x' cannot be read"),
        ({"progress": 5}, "progress=5 is not a function"),
        ({"ids": 5}, "ids=5"),
        ({"ids": [0.5]}, r"ids=\[0.5\]: image ids are"),
        ({"ids": [True, False]}, "ids="),
        ({"ids": "01"}, "ids='01'"),
        ({"ids": {0, 1}}, "ids="),
        ({"ids": iter([0, 1])}, "ids="),
        ({"ids": [[0], [1, 2]]}, "ids="),
        ({"ids": [-1]}, "image ids are"),
        ({"ids": [2**70]}, "ids="),
        ({"x": [[1, 2]]}, "no array of floating-point numbers"),
        ({"x": "abc"}, "x='abc'"),
        ({"x": np.ones((1, 2), complex)}, "no array of floating-point numbers"),
        ({"x": np.full((1, 2), np.nan)}, "x holds numbers that are not finite"),
        ({"x": np.zeros((1, 2)), "noise": 5, "plan": "ddpm"}, "noise=5"),
        ({"noise": np.zeros((1, 1, 2))}, "without a start"),
        ({"plan": 5}, "plan=5 is not a Plan, a Recipe or a text"),
    ],
)
def test_sample_names_what_is_wrong(given, cause):
    given = {"plan": "ddim", "steps": 2, **given}
    with pytest.raises(UsageError, match=cause):
        dtool.sample(NET, **given)


@pytest.mark.parametrize("labels", [1.5, [0.7, 0.2], "1", [True, False], {0: 1}, None.__class__, [2**63, 0]])
def test_classes_are_not_rounded(labels):
    with pytest.raises(UsageError, match="labels"):
        dtool.sample(CONDITIONAL, "ddim", n=2, steps=2, labels=labels)


def test_numbers_of_numpy_are_numbers():
    plain = dtool.sample(NET, "ddim", n=3, steps=2, seed=5).x0
    numpy = dtool.sample(NET, "ddim", n=np.int64(3), steps=np.uint8(2), seed=np.uint64(5), clip=np.bool_(False)).x0
    np.testing.assert_array_equal(plain, numpy)
    for ids in (range(3), np.arange(3, dtype=np.uint8), (0, 1, 2)):
        np.testing.assert_array_equal(dtool.sample(NET, "ddim", ids=ids, steps=2, seed=5).x0, plain)
    listed = dtool.sample(CONDITIONAL, "ddim", n=2, steps=2, labels=np.int32(1))
    assert listed.labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (lambda: dtool.sample("m.pt", "ddim"), "network='m.pt' is not a Network"),
        (lambda: dtool.plan(5), "recipe=5"),
        (lambda: dtool.plan("ddim", steps="5"), "steps='5'"),
        (lambda: dtool.plan("ddim", points="abc"), "points='abc'"),
        (lambda: dtool.plan("ddim", points=[]), "not a list of times"),
        (lambda: dtool.plan("ddim", points=[999, None]), "not a list of times"),
        (lambda: dtool.plan("ddim", network=5), "network=5 is no network"),
        (lambda: dtool.plan("ddim", end="x"), "end='x'"),
        (lambda: dtool.compare(NET, "ddim"), "not a list of recipes"),
        (lambda: dtool.compare(NET, 5), "not a list of recipes"),
        (lambda: dtool.compare(NET, ["ddim"], steps=[2.5]), "steps="),
        (lambda: dtool.compare(NET, ["ddim"], n="3"), "n='3'"),
        (lambda: dtool.export("a.pt", 5), "out=5"),
        (lambda: dtool.export("a.pt", "x.onnx", half="yes"), "half='yes'"),
        (lambda: dtool.load("a.pt", device=5), "device=5"),
        (lambda: dtool.load(5), "source=5"),
        (lambda: dtool.network(5, shape=(2,)), "fn=5"),
        (lambda: dtool.network(lambda x, t: x, shape=5), "shape=5"),
        (lambda: dtool.network(lambda x, t: x, shape=(0,)), "shape"),
        (lambda: dtool.network(lambda x, t: x, shape=(2,), prediction="q"), "prediction='q'"),
        (lambda: dtool.network(lambda x, t: x, shape=(2,), clip="yes"), "clip='yes'"),
        (lambda: dtool.network(lambda x, t: x, shape=(2,), data_range=(1, -1)), "a lower and a higher number"),
        (lambda: dtool.measure_variance(NET, "x"), "images='x'"),
        (lambda: dtool.measure_variance(NET, [[1, 2]], levels=1.5), "levels=1.5"),
        (lambda: dtool.measure_variance(CONDITIONAL, [[1.0, 2.0]], labels=[3]), "classes are 0 … 2"),
        (lambda: dtool.get_scheduler(5), "5 is no name"),
        (lambda: dtool.get_sampler(None), "None is no name"),
        (lambda: dtool.Recipe.parse(5), "5 is no recipe"),
    ],
)
def test_so_do_the_others(call, cause):
    with pytest.raises(UsageError, match=cause) as caught:
        call()
    assert caught.value.hint


def test_likelihoods_do_so_too():
    from dtool.likelihood import bound, ode

    with pytest.raises(UsageError, match="images='x'"):
        bound(NET, "x")
    with pytest.raises(UsageError, match="repeats='2'"):
        bound(NET, np.zeros((1, 2)), repeats="2")
    with pytest.raises(UsageError, match="tolerance='x'"):
        ode(NET, np.zeros((1, 2)), tolerance="x")


def test_the_mechanism():
    @check_arguments
    def f(a: int, b: float | None = None, *, c: str = "x") -> tuple[object, ...]:
        return a, b, c

    assert f(np.int16(3), 2) == (3, 2.0, "x")
    assert f.__name__ == "f"
    with pytest.raises(UsageError, match="b=True is not a number"):
        f(1, True)
    with pytest.raises(UsageError) as caught:
        f(1, c=5)
    assert caught.value.hint == "give a text; this is of type int"
    with pytest.raises(TypeError):
        f(1, d=5)
    assert as_integers("k", []).shape == (0,)
    assert as_numbers("k", [[1, 2]], "", whole=True).shape == (1, 2)
    with pytest.raises(UsageError):
        as_numbers("k", [["a"]], "", whole=True)
