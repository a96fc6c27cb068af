"""A network in a JSON file: F(x, t) = weight·x + bias, pixel by pixel."""

import json
from pathlib import Path

import dtool
from dtool.errors import UsageError

FORMAT = "linear-network-1"
MAX_BYTES = 1 << 20  # of a file: what it says is a few lines


def recognises(source):
    """A `.json` file that says so; of others a few bytes are read at most."""
    if not isinstance(source, Path) or source.suffix != ".json" or source.stat().st_size > MAX_BYTES:
        return False
    return FORMAT in source.read_text(encoding="utf-8", errors="replace")


@dtool.reader("linear-network", recognises=recognises, summary="a linear network described in JSON")
def linear_network(source, description, runtime):  # noqa: ARG001 - numpy runs on the CPU alone
    """`{"format": "linear-network-1", "shape": [2], "weight": 0.3, "bias": 0.1, "prediction": "eps"}`.

    What the user says of the file, as its prediction or its schedule, comes before what the file says.
    """
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        weight, bias, shape = float(content["weight"]), float(content["bias"]), tuple(content["shape"])
    except (ValueError, KeyError, TypeError) as error:
        raise dtool.DtoolError(
            f"{source} is no linear network ({error!r})", "it needs shape, weight and bias"
        ) from error
    prediction = description.prediction or content.get("prediction")
    if prediction is None:
        raise UsageError(f"{source} does not say what it predicts", "add --prediction eps (spec=)")
    schedule = description.schedule or content.get("schedule", "linear")
    return dtool.network(lambda x, _: weight * x + bias, shape=shape, schedule=schedule, prediction=prediction)
