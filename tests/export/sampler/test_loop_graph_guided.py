"""How often the network inside a file is evaluated, from ONNX Runtime's own profile of a run."""

from __future__ import annotations

import json

import numpy as np
import pytest

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
from tests.support.guided_runs import count_rows  # noqa: E402
from tests.support.sampler_files import both  # noqa: E402


def profile_rows(path, folder, count, **inputs):
    """How many images each evaluation of the network had: the rows of its first matrix product."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {"micro_batch": np.array(count, np.int64), **inputs}
    session.run(["images"], {"ids": np.arange(count, dtype=np.uint64), "label": np.arange(count) % 3, **inputs})
    events = json.loads((folder / session.end_profiling().rpartition("/")[2]).read_text())
    shapes = [e["args"]["input_type_shape"] for e in events if e.get("args", {}).get("op_name") == "MatMul"]
    return [one[0]["float"][0] for one in shapes if one[0]["float"][1] == 6]


@pytest.mark.parametrize(
    ("recipe", "scale"),
    [
        ("ddim~3@-1.3:0.3", 3.0),
        ("ddim~3", 1.0),
        ("ddim~cfgpp:scale=0.6", 0.6),
        ("dpmpp-2m-cfgpp", 1.0),
        ("ddim~3", 0.0),
    ],
)
def test_a_row_of_scale_one_evaluates_the_network_once(recipe, scale, tmp_path):
    _, fused = both(tmp_path, recipe, steps=8, shape=(2, 3), classes=3, guidance=2.0)
    found = profile_rows(tmp_path / "app.onnx", tmp_path, 2, guidance=np.array(scale, np.float32))
    assert found == [2 * count for count in count_rows(fused.plan, scale)]
