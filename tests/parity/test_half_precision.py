"""Networks in half precision: dtool's loop, whose state is float32, against the origin's own in fp16 and in float32.

Both within 1 % of the largest value: what half precision itself makes of a run is about a tenth of that here.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np
import pytest

import dtool

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler  # noqa: E402

from tests.support import tiny_pipelines as tiny  # noqa: E402
from tests.support.parity_record import record_parity  # noqa: E402

TOLERANCE = 1e-2  # of the largest value
LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
PROMPTS = ["a cat!", "the dog"]
MAKERS = {
    "sd": lambda: tiny.stable_diffusion(
        DDIMScheduler(**LATENT, set_alpha_to_one=False, steps_offset=1, clip_sample=False)
    ),
    "sd3": lambda: tiny.stable_diffusion_3(FlowMatchEulerDiscreteScheduler(shift=3.0)),
}
Cases = pytest.mark.parametrize(("steps", "scale"), [(10, 1.0), (10, 5.0), (50, 1.0), (50, 5.0)])


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """A pipeline by its name and type; both of a name have the weights of the one in fp16, from a folder."""
    made: dict[Any, Any] = {}

    def get(name, dtype):
        if (name, "folder") not in made:
            tiny.seed(1)
            made[name, "folder"] = tmp_path_factory.mktemp(name)
            MAKERS[name]().to(torch.float16).save_pretrained(made[name, "folder"])
        if dtype == "folder":
            return made[name, dtype]
        if (name, dtype) not in made:
            import diffusers

            made[name, dtype] = diffusers.DiffusionPipeline.from_pretrained(
                made[name, "folder"], torch_dtype=dtype, local_files_only=True
            )
            made[name, dtype].set_progress_bar_config(disable=True)
        return made[name, dtype]

    return get


@pytest.fixture(scope="module")
def exported(pipelines, tmp_path_factory):
    """The network as `dtool export --half` writes it; and the same with inputs and output in fp16."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("onnx")
    network = dtool.load(pipelines("sd", "folder"), device="cpu")
    dtool.export(network, folder / "half.onnx", half=True, check=False)
    model = onnx.load(folder / "half.onnx")
    casts = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    [output] = model.graph.output
    [to] = (each for each in casts[output.name].attribute if each.name == "to")
    for value in (output, *model.graph.input):
        if value.name != "t":
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    to.i = onnx.TensorProto.FLOAT16
    model.metadata_props.clear()
    onnx.save(model, folder / "all_half.onnx")
    return folder, network


def draw():
    return torch.randn((2, 4, tiny.SIZE, tiny.SIZE), generator=torch.Generator().manual_seed(4))


def run_theirs(pipe, steps, scale):
    """What the pipeline's last step gave, in float32."""
    step, results = pipe.scheduler.step, []

    @wraps(step)
    def record(*given, **options):
        output = step(*given, **options)
        results.append(output[0] if isinstance(output, tuple) else output.prev_sample)
        return output

    pipe.scheduler.step = record
    try:
        start = draw().to(pipe.dtype)
        pipe(prompt=PROMPTS, num_inference_steps=steps, guidance_scale=scale, latents=start, output_type="latent")
    finally:
        del pipe.scheduler.step
    return results[-1].float().numpy()


@pytest.fixture(scope="module")
def theirs(pipelines):
    """What the origin's loop gives, by its type."""
    made: dict[Any, Any] = {}

    def get(name, steps, scale):
        for dtype in (torch.float16, torch.float32):
            key = name, steps, scale, dtype
            if key not in made:
                made[key] = run_theirs(pipelines(name, dtype), steps, scale)
        return {dtype: made[name, steps, scale, dtype] for dtype in (torch.float16, torch.float32)}

    return get


def require_near(ours, theirs):
    for dtype, values in theirs.items():
        error, largest = np.abs(ours - values).max(), np.abs(values).max()
        record_parity(error, largest)
        assert error <= TOLERANCE * largest, f"{error / largest:.1e} of the largest from the origin's in {dtype}"


@Cases
@pytest.mark.parametrize("name", [*MAKERS])
def test_a_pipeline_in_half(name, steps, scale, pipelines, theirs):
    """A pipeline that is in fp16 in memory: its network computes in that."""
    network = dtool.load(pipelines(name, torch.float16), device="cpu")
    assert network.dtype is torch.float16
    ours = dtool.sample(network, network.origin.recipe, steps=steps, x=draw(), prompt=PROMPTS, guidance=scale).x0
    require_near(ours.numpy(), theirs(name, steps, scale))


@Cases
def test_a_folder_in_half(steps, scale, pipelines, theirs):
    """A folder whose weights are in fp16 computes in float32."""
    network = dtool.load(pipelines("sd", "folder"), device="cpu")
    assert network.dtype is torch.float32
    ours = dtool.sample(network, network.origin.recipe, steps=steps, x=draw(), prompt=PROMPTS, guidance=scale).x0
    require_near(ours.numpy(), theirs("sd", steps, scale))


@Cases
@pytest.mark.parametrize("file", ["half.onnx", "all_half.onnx"])
def test_an_onnx_file_in_half(file, steps, scale, theirs, exported):
    folder, origin = exported
    spec = origin.spec if file == "all_half.onnx" else None
    network = dtool.load(folder / file, spec=spec, device="cpu")
    given, without = (origin.text.encode(texts) for texts in (PROMPTS, ["", ""]))
    more = {"without": {name: value[0] for name, value in without.items()}} if scale > 1 else {}
    ours = dtool.sample(
        network, origin.origin.recipe, steps=steps, x=draw().numpy(), conditions=given, guidance=scale, **more
    ).x0
    require_near(ours, theirs("sd", steps, scale))
