"""The check of an exported sampler measures what it draws."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dtool.errors import DtoolError

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
from dtool.export.api import recheck  # noqa: E402
from tests.support.sampler_files import both  # noqa: E402


@pytest.mark.parametrize("name", ["times", "plan"])
def test_a_file_that_was_changed_is_found_out(name, tmp_path):
    """The check measures: with other defaults than the plan that it names, a file fails."""
    both(tmp_path, "ddpm", shape=(2, 3))
    model = onnx.load(tmp_path / "app.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == name:
            values = onnx.numpy_helper.to_array(tensor) + 30
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))
    if name == "plan":
        document = {p.key: p.value for p in model.metadata_props}
        held = json.loads(document["dtool"])
        held["plan"]["a"][1] *= 1.01
        onnx.helper.set_model_props(model, document | {"dtool": json.dumps(held)})
    (tmp_path / "app.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DtoolError, match="from the host's loop"):
        recheck(tmp_path / "app.onnx")


def test_a_step_that_magnifies_is_no_error(tmp_path):
    """heun on cosine multiplies F by a thousand in its second call, and a last bit with it."""
    both(tmp_path, "heun", check=True, shape=(2, 3), schedule="cosine")
