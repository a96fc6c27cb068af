"""dtool.network(...): a function of one's own, on arrays or on tensors, as a network."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from dtool.errors import UsageError, format_value
from dtool.models.conditions import Condition
from dtool.models.network import Network
from dtool.models.spec import NetworkSpec, describe_schedule, warn_of_scaling
from dtool.models.time_convention import TimeConvention
from dtool.run.backend_modules import import_torch_backend
from dtool.run.numpy_backend import FunctionNetwork
from dtool.samplers.rule import Prediction
from dtool.schedulers import get_scheduler as schedule_named
from dtool.schedulers.schedule import Schedule
from dtool.util.arguments import check_arguments
from dtool.util.options import describe_mistake


@check_arguments
def network(
    fn: Callable[..., Any],
    *,
    shape: tuple[int, ...],
    schedule: str | Schedule = "linear",
    prediction: Prediction = "eps",
    classes: int = 0,
    data_range: tuple[float, float] = (-1.0, 1.0),
    clip: bool = False,
    guidance: float = 1.0,
    learned_variance: bool = False,
    null_class: bool | None = None,
    time: TimeConvention = "index",
    conditions: Sequence[Condition | Mapping[str, Any]] = (),
    backend: str = "numpy",
    device: str = "cpu",
) -> Network:
    """Any callable `fn(x, t)` as a network; `fn(x, t, label)` if `classes` > 0, label `(B,)` in 0 … classes-1.

    conditions: further arrays that it takes, by keyword: `{"name": "text", "shape": (77, 768), "null": 0}`; see
    `dtool.models.conditions.Condition`. time: what t is, where it is no index: see `dtool.NetworkSpec`.

    null_class: whether the label `classes` means no class, which guidance needs [default: it does for a function; an
    nn.Module is tried out, with a warning].

    x `(B, *shape)`, t `(B,)`, an index (it may be fractional) into the training `schedule`; returns `(B, *shape)`, with
    learned_variance twice the channels, the second half for the noise's variance (arXiv:2102.09672, eq. 15).
    An nn.Module, or any function with backend="torch", is called with tensors; others with numpy arrays, unless the
    start given to `sample` is a tensor.

    >>> network = dtool.network(lambda x, t: 0.3 * x, shape=(2,), schedule="cosine")
    >>> dtool.sample(network, "ddim", steps=4, n=3).x0.shape
    (3, 2)
    """
    levels = schedule_named(schedule) if isinstance(schedule, str) else schedule
    if isinstance(schedule, str):
        warn_of_scaling(levels)
    module = "torch" in sys.modules and import_torch_backend().is_module(fn)
    spec = _build_spec(
        shape=shape, **describe_schedule(levels), prediction=prediction, classes=classes,
        data_range=data_range, clip=clip, guidance=guidance, learned_variance=learned_variance,
        null_class=True if null_class is None and not module else null_class,
        time=time, conditions=tuple(conditions),
    )  # fmt: skip
    if backend == "torch" or module:
        return import_torch_backend().TorchNetwork(fn, spec, device)  # type: ignore[no-any-return]
    if backend != "numpy" or device != "cpu":
        raise UsageError(f"a function runs on numpy or torch; got {backend} on {device}", "use backend='torch'")
    return FunctionNetwork(fn, spec)


def _build_spec(**fields: Any) -> NetworkSpec:
    """The spec of these fields; raises UsageError that names the one that is refused."""
    try:
        return NetworkSpec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            cause = f"the fields of the network do not fit together: {describe_mistake(first)}"
            raise UsageError(cause, "see help(dtool.NetworkSpec)") from error
        name = str(first["loc"][0])
        raise UsageError(f"{name}={format_value(fields.get(name))} is refused", describe_mistake(first)) from error
