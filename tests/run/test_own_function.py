"""A function as a network: which backend runs it, what is taken as said of it, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError


def half(x: Any, t: Any, *label: Any, **conditions: Any) -> Any:
    return 0.5 * x


@pytest.mark.parametrize(
    ("options", "cause", "hint"),
    [
        ({"shape": (0,)}, r"shape=\(0,\) is refused", "greater than or equal to 1"),
        ({"guidance": -1}, r"guidance=-1\.0 is refused", "greater than or equal to 0"),
        ({"classes": -1}, "classes=-1 is refused", "greater than or equal to 0"),
        ({"prediction": "score"}, "score", "eps"),
        ({"schedule": "kosine"}, "there is no scheduler 'kosine'", "cosine"),
        ({"data_range": (1.0, 0.0)}, "do not fit together: data_range is a lower and a higher number", "NetworkSpec"),
        ({"conditions": [{"name": "label", "shape": (2,)}]}, "one is called x, t or label", "NetworkSpec"),
        ({"device": "cuda"}, "runs on numpy or torch; got numpy on cuda", "backend='torch'"),
        ({"backend": "onnxruntime"}, "runs on numpy or torch; got onnxruntime on cpu", "backend='torch'"),
        ({"fn": 3}, "fn=3 is not a function", "give a function"),
    ],
)
def test_what_is_refused(options: dict[str, Any], cause: str, hint: str) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        dtool.network(**{"fn": half, "shape": (2,)} | options)
    assert hint in f"{caught.value} {caught.value.hint}"


def test_a_function_runs_on_arrays_and_is_believed_about_no_class() -> None:
    network = dtool.network(half, shape=(2,), schedule=dtool.get_scheduler("cosine"), classes=3, clip=True)
    assert (network.backend, network.device, network.prediction) == ("numpy", "cpu", "eps")
    assert (network.spec.schedule, network.spec.classes, network.spec.clip) == ("cosine", 3, True)
    assert network.spec.null_class is True
    assert dtool.network(half, shape=(2,), classes=3, null_class=False).spec.null_class is False
    x = np.arange(4.0).reshape(2, 2)
    assert (network.predict(x, np.zeros(2), np.zeros(2, dtype=np.int64)) == 0.5 * x).all()


def test_conditions_reach_the_function_by_name() -> None:
    told = []
    network = dtool.network(
        lambda x, t, *, text: told.append(text) or 0 * x, shape=(2,), conditions=[{"name": "text", "shape": (3,)}]
    )
    dtool.sample(network, "ddim", steps=1, n=2, conditions={"text": np.arange(3, dtype=np.float32)})
    assert (told[-1] == [0, 1, 2]).all()  # of every image, those that a call is padded with among them


def test_a_module_and_a_function_on_tensors_run_on_torch() -> None:
    torch = pytest.importorskip("torch")

    class Half(torch.nn.Module):
        def forward(self, x: Any, t: Any) -> Any:
            return half(x, t)

    module, function = dtool.network(Half(), shape=(2,)), dtool.network(half, shape=(2,), backend="torch")
    assert module.backend == function.backend == "torch"
    assert module.spec.null_class is None  # tried out, should it be asked for
    assert function.spec.null_class is True
