"""A folder of ONNX files made by hand: text, noise and pictures of a few numbers, each a line of arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from tests.support import foreign as make
from tests.support.foreign import FLOAT, INT64

LENGTH, WIDTH, WORDS = 6, 3, 10
TABLE = np.random.default_rng(1).standard_normal((WORDS, WIDTH)).astype(np.float32)
DECODER = np.random.default_rng(2).standard_normal((3, 2, 1, 1)).astype(np.float32) / 4
ENCODER = np.random.default_rng(3).standard_normal((4, 3, 2, 2)).astype(np.float32) / 8
VOCABULARY = ["!", "a", "c", "t", "a</w>", "c</w>", "t</w>", "!</w>", "<|startoftext|>", "<|endoftext|>"]


def write_small_folder(folder: Path) -> Path:
    """unet, text_encoder, vae_decoder and vae_encoder, scheduler and tokenizer."""
    node = helper.make_node
    unet = [
        node("ReduceMean", ["encoder_hidden_states", "axes"], ["mean"], keepdims=1),
        node("Unsqueeze", ["mean", "last"], ["mean4"]),
        node("Mul", ["timestep", "per_step"], ["later"]),
        node("Mul", ["sample", "half"], ["a"]),
        node("Add", ["a", "mean4"], ["b"]),
        node("Add", ["b", "later"], ["out_sample"]),
    ]
    write(folder / "unet", unet, [("sample", FLOAT, ["b", 2, 4, 4]), ("timestep", FLOAT, []),
          ("encoder_hidden_states", FLOAT, ["b", LENGTH, WIDTH])], [("out_sample", FLOAT, ["b", 2, 4, 4])],
          axes=np.array([1, 2]), last=np.array([3]), half=np.float32(0.5), per_step=np.float32(1e-3))  # fmt: skip
    text = [node("Gather", ["table", "input_ids"], ["last_hidden_state"]),
            node("ReduceMean", ["last_hidden_state", "axis"], ["pooler_output"], keepdims=0)]  # fmt: skip
    write(folder / "text_encoder", text, [("input_ids", INT64, ["b", LENGTH])],
          [("last_hidden_state", FLOAT, ["b", LENGTH, WIDTH]), ("pooler_output", FLOAT, ["b", WIDTH])],
          table=TABLE, axis=np.array([1]))  # fmt: skip
    decoder = [node("Conv", ["latent_sample", "w"], ["small"]), node("Resize", ["small", "", "scales"], ["sample"])]
    write(folder / "vae_decoder", decoder, [("latent_sample", FLOAT, ["b", 2, 4, 4])],
          [("sample", FLOAT, ["b", 3, 8, 8])], w=DECODER, scales=np.array([1, 1, 2, 2], np.float32))  # fmt: skip
    write(folder / "vae_encoder", [node("Conv", ["sample", "w"], ["latent_parameters"], strides=[2, 2])],
          [("sample", FLOAT, ["b", 3, 8, 8])], [("latent_parameters", FLOAT, ["b", 4, 4, 4])], w=ENCODER)  # fmt: skip
    write_json(folder / "vae_decoder" / "config.json", {"scaling_factor": 0.5, "shift_factor": 0.25})
    scheduler = {"_class_name": "DDIMScheduler", "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    index = {"_class_name": "OnnxStableDiffusionPipeline", "vae_decoder": ["diffusers", "OnnxRuntimeModel"]}
    write_json(folder / "model_index.json", index)
    write_json(folder / "tokenizer" / "vocab.json", {word: number for number, word in enumerate(VOCABULARY)})
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    write_json(
        folder / "tokenizer" / "tokenizer_config.json", {"model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer"}
    )
    return folder


def write(folder: Path, nodes: Any, inputs: Any, outputs: Any, **weights: Any) -> None:
    """model.onnx in this folder."""
    values = [[helper.make_tensor_value_info(*value) for value in side] for side in (inputs, outputs)]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    folder.mkdir(parents=True, exist_ok=True)
    make.saved(make.model(nodes, *values, tensors), folder, "model.onnx")


def write_json(path: Path, content: Any) -> None:
    """A JSON file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
