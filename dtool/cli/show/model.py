"""What `dtool model` shows of a network: what it is, what it takes and gives, and what its makers sample it with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtool.cli.show.output import Column, print_grouped_table

if TYPE_CHECKING:
    from dtool.models.network import Network
    from dtool.models.spec import NetworkSpec

NAMES = 12  # of classes that are listed
PREDICTIONS = {
    "eps": "eps: the noise",
    "x0": "x0: the image",
    "v": "v: α·ε - σ·x0",
    "flow": "flow: the noise less the image",
}
TIMES = {
    "index": "the index of the step, 0 … {last}",
    "index+1": "the number of the step, 1 … {count}",
    "u": "the share of the schedule, 0 … 1",
    "sigma": "the noise level σ",
    "log-sigma/4": "ln(σ)/4",
}


def describe_network(net: Network, model: str | None, remembered: Path | None) -> dict[str, Any]:
    """A network as JSON can hold it; remembered: the file where what was said of it is remembered, if there is one."""
    spec, origin = net.spec, net.origin
    return {
        "model": model or "the network inside the package",
        "what": _name_kind(net, model) if origin is None else origin.what,
        "reader": None if origin is None else origin.reader,
        "backend": net.backend,
        "device": net.device,
        "shape": list(spec.shape),
        "schedule": spec.schedule,
        "steps_of_training": net.schedule.T,
        "coordinates": net.schedule.coordinates,
        "prediction": spec.prediction,
        "learned_variance": spec.learned_variance,
        "time": spec.time,
        "classes": spec.classes,
        "class_names": list(spec.class_names),
        "null_class": spec.null_class if spec.classes else None,
        "conditions": [one.model_dump(mode="json") for one in spec.conditions],
        "prompts": [] if net.text is None else list(net.text.names),
        "picture_shape": list(net.picture_shape),
        "picture_range": list(net.picture_range),
        "has_codec": net.codec is not None,
        "codec": None if net.codec is None else net.codec.describe(),
        "makers_recipe": _read_recipe(net),
        "makers_steps": net.plan.steps if net.plan is not None else None if origin is None else origin.steps,
        "guidance": spec.guidance,
        "guidance_interval": None if spec.guidance_interval is None else list(spec.guidance_interval),
        "clip": spec.clip,
        "differences": [] if origin is None else list(origin.differences),
        "assumptions": [] if origin is None else list(origin.assumptions),
        "remembered": None if remembered is None else str(remembered),
    }


def show_network(net: Network, about: dict[str, Any]) -> None:
    """The same as a table in four groups: of what there is nothing to say nothing is said."""
    groups = {
        "what it is": _list_identity(about),
        "what it takes": _list_inputs(net, about),
        "what it gives": _list_outputs(net),
        "how it is sampled": _list_recipe(net, about),
        "what dtool assumes": [("", text) for text in about["assumptions"]],
    }
    rows = [(name, [list(row) for row in group]) for name, group in groups.items() if group]
    print_grouped_table([Column("what"), Column("value", fold=True)], rows, "about")


def _name_kind(net: Network, model: str | None) -> str:
    """What a network is that no reader has opened."""
    from dtool.targets import is_target

    if model is not None and is_target(model):
        return "a law in closed form, with the network that is optimal for it"
    if net.plan is not None:
        return "a network and its sampler in one file of dtool export"
    return {
        "onnxruntime": "a network in an ONNX file",
        "torch": "a network on PyTorch",
        "numpy": "a function on numpy arrays",
    }.get(net.backend, "a network")


def _read_recipe(net: Network) -> str | None:
    if net.plan is not None:
        return net.plan.recipe
    return None if net.origin is None else net.origin.recipe


def _list_identity(about: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("file", about["model"]), ("what", about["what"]), ("runs on", f"{about['backend']}, {about['device']}")]
    if about["reader"]:
        rows.insert(2, ("opened by", f"the reader {about['reader']}"))
    if about["remembered"]:
        rows.append(("remembered in", about["remembered"]))
    return rows


def _list_inputs(net: Network, about: dict[str, Any]) -> list[tuple[str, str]]:
    spec, last = net.spec, net.schedule.T - 1
    rows = [
        ("one sample", _format_shape(spec.shape)),
        ("schedule", f"{spec.schedule}, {last + 1} steps, {about['coordinates']}"),
        ("prediction", _format_prediction(spec)),
        ("time", f"{spec.time}: {TIMES[spec.time].format(last=last, count=last + 1)}"),
    ]
    if spec.classes:
        rows.append(("classes", _format_classes(spec)))
    made = () if net.text is None else net.text.names
    pictures = {} if net.pictures is None else net.pictures.shapes
    for one in spec.conditions:
        text = _format_condition(one, one.name in made)
        picture = f"; or a picture, {_format_shape(pictures[one.name])}" if one.name in pictures else ""
        rows.append((f"condition {one.name}", text + picture))
    if net.text is not None:
        reads = f"; {net.text.about}" if net.text.about else ""
        rows.append(("prompts", f"--prompt TEXT, which makes {', '.join(net.text.names)}{reads}"))
    return rows


def _list_outputs(net: Network) -> list[tuple[str, str]]:
    low, high = net.picture_range
    kind = "as they are sampled" if net.codec is None else f"decoded from what is sampled, by {net.codec.describe()}"
    rows = [("samples", f"{_format_shape(net.picture_shape)} in {low:g} … {high:g}, {kind}")]
    if net.spec.learned_variance:
        rows.append(("variance", "its own, beside the prediction: --sampler ddpm --sigma learned"))
    return rows


def _list_recipe(net: Network, about: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    if about["makers_recipe"]:
        steps = f", {about['makers_steps']} steps" if about["makers_steps"] else ""
        rows.append(("its makers'", f"{about['makers_recipe']}{steps}"))
    if net.spec.is_conditional:
        within = "" if net.spec.guidance_interval is None else "@{:g}:{:g}".format(*net.spec.guidance_interval)
        rows.append(("guidance", f"{net.spec.guidance:g}{within}" + (" (none)" if net.spec.guidance == 1 else "")))
    rows.append(("clipping", "of predicted images" if net.spec.clip else "none"))
    return rows + [("differs", text) for text in about["differences"]]


def _format_prediction(spec: NetworkSpec) -> str:
    text = PREDICTIONS.get(spec.prediction, f"{spec.prediction}: EDM's preconditioned network")
    return f"{text}; and a variance" if spec.learned_variance else text


def _format_classes(spec: NetworkSpec) -> str:
    names = ", ".join(spec.names[:NAMES]) + (" …" if spec.classes > NAMES else "")
    null = {True: "and one for none", False: "and none that means none", None: "whether one means none is tried out"}
    return f"{spec.classes}: {names}; {null[spec.null_class]}"


def _format_condition(condition: Any, is_made: bool) -> str:
    shape = _format_shape(condition.shape) if condition.shape else "a number"
    null = "needed for every image"
    if condition.built_in:
        null = "built in where it is not given"
    elif condition.null is not None:
        filling = "a row of its own" if isinstance(condition.null, tuple) else f"{condition.null:g}"
        null = f"filled with {filling} where it is not given"
    noise = f"; given noise of the level {condition.noised_by}" if condition.noised_by else ""
    return f"{condition.dtype}, {shape}; {'made of the prompt' if is_made else null}{noise}"


def _format_shape(shape: Any) -> str:
    return "×".join("…" if each is None else str(each) for each in shape) + (" numbers" if len(shape) == 1 else "")
