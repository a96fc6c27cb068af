"""A sentence encoder of a few weights in a folder: model.onnx, made in place, and a tokenizer of a few words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "blue", "green", "dark", "bright", "square", "picture", "of")
WIDTH = 8


def make_tokenizer() -> Tokenizer:
    """Whole words, between [CLS] and [SEP]."""
    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def make_graph(width: int = WIDTH, table: int = len(WORDS)) -> onnx.ModelProto:
    """input_ids, attention_mask, token_type_ids → last_hidden_state: each word with the mean of what is shown."""
    rng = np.random.default_rng(0)
    arrays = {
        "table": rng.standard_normal((table, width)).astype(np.float32),
        "mix": (rng.standard_normal((width, width)) / width**0.5).astype(np.float32),
        "one": np.array([1]), "last": np.array([-1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["shown"]),
        helper.make_node("Mul", ["words", "shown"], ["shown_words"]),
        helper.make_node("ReduceSum", ["shown_words", "one"], ["sum"]),
        helper.make_node("ReduceSum", ["shown", "one"], ["count"]),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["types", "last"], ["kinds"]),
        helper.make_node("Add", ["words", "mean"], ["together"]),
        helper.make_node("Add", ["together", "kinds"], ["whole"]),
        helper.make_node("MatMul", ["whole", "mix"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["last_hidden_state"]),
    ]
    names = ("input_ids", "attention_mask", "token_type_ids")
    graph = helper.make_graph(
        nodes,
        "sentences",
        [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, ["batch", "length"]) for name in names],
        [helper.make_tensor_value_info("last_hidden_state", onnx.TensorProto.FLOAT, ["batch", "length", width])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def write_folder(folder: Path, width: int = WIDTH, **pooling: bool) -> Path:
    """The folder; pooling: what 1_Pooling/config.json says, if anything."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(make_graph(width), folder / "model.onnx")
    make_tokenizer().save(str(folder / "tokenizer.json"))
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder
