"""A folder of ONNX files as optimum writes it, made of a tiny pipeline of diffusers by PyTorch's own exporter."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch


class _Unet(torch.nn.Module):
    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.unet(sample, timestep, encoder_hidden_states, return_dict=False)[0]


class _UnetXl(_Unet):
    def forward(self, sample, timestep, encoder_hidden_states, text_embeds, time_ids):
        added = {"text_embeds": text_embeds, "time_ids": time_ids}
        return self.unet(sample, timestep, encoder_hidden_states, added_cond_kwargs=added, return_dict=False)[0]


class _Decoder(torch.nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent_sample):
        return self.vae.decode(latent_sample, return_dict=False)[0]


class _Encoder(torch.nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, sample):
        return self.vae.encode(sample).latent_dist.parameters


class _Text(torch.nn.Module):
    def __init__(self, text: Any) -> None:
        super().__init__()
        self.text = text

    def forward(self, input_ids):
        return self.text(input_ids, return_dict=False)[:2]


class _TextXl(_Text):
    def forward(self, input_ids):
        out = self.text(input_ids, output_hidden_states=True)
        first = (out.text_embeds, out.last_hidden_state) if "text_embeds" in out else (out[0], out.pooler_output)
        return *first, *out.hidden_states


def write_onnx_folder_xl(pipeline: Any, folder: Path) -> Path:
    """The folder of a Stable Diffusion XL pipeline, with the names that optimum gives inputs and outputs."""
    channels, size = pipeline.unet.config.in_channels, pipeline.unet.config.sample_size
    length, width = pipeline.tokenizer.model_max_length, pipeline.unet.config.cross_attention_dim
    latents, ids = torch.zeros(2, channels, size, size), torch.ones(2, length, dtype=torch.int32)
    pooled = torch.zeros(2, pipeline.text_encoder_2.config.projection_dim)
    export(
        _UnetXl(pipeline.unet), folder / "unet", "sample timestep encoder_hidden_states text_embeds time_ids",
        "out_sample", (latents, torch.tensor(1.0), torch.zeros(2, length, width), pooled, torch.zeros(2, 6)),
    )  # fmt: skip
    for name, first in (("", "last_hidden_state pooler_output"), ("_2", "text_embeds last_hidden_state")):
        encoder = getattr(pipeline, f"text_encoder{name}")
        states = " ".join(f"hidden_states.{k}" for k in range(encoder.config.num_hidden_layers + 1))
        export(_TextXl(encoder), folder / f"text_encoder{name}", "input_ids", f"{first} {states}", (ids,))
        getattr(pipeline, f"tokenizer{name}").save_pretrained(folder / f"tokenizer{name}")
    export(_Decoder(pipeline.vae), folder / "vae_decoder", "latent_sample", "sample", (latents,))
    _write_configs(pipeline, folder, "ORTStableDiffusionXLPipeline")
    return folder


def write_onnx_folder(pipeline: Any, folder: Path) -> Path:
    """The folder of a Stable Diffusion pipeline, with the names that optimum gives inputs and outputs."""
    width, length = pipeline.text_encoder.config.hidden_size, pipeline.tokenizer.model_max_length
    channels, size = pipeline.unet.config.in_channels, pipeline.unet.config.sample_size
    latents = torch.zeros(2, channels, size, size)
    ids = torch.ones(2, length, dtype=torch.int32)
    pictures = torch.zeros(2, 3, size * 2, size * 2)
    states = torch.zeros(2, length, width)
    export(_Unet(pipeline.unet), folder / "unet", "sample timestep encoder_hidden_states", "out_sample",
           (latents, torch.tensor(1.0), states))  # fmt: skip
    export(
        _Text(pipeline.text_encoder), folder / "text_encoder", "input_ids", "last_hidden_state pooler_output", (ids,)
    )
    export(_Decoder(pipeline.vae), folder / "vae_decoder", "latent_sample", "sample", (latents,))
    export(_Encoder(pipeline.vae), folder / "vae_encoder", "sample", "latent_parameters", (pictures,))
    pipeline.tokenizer.save_pretrained(folder / "tokenizer")
    _write_configs(pipeline, folder, "ORTStableDiffusionPipeline")
    return folder


def _write_configs(pipeline: Any, folder: Path, kind: str) -> None:
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    for name, config in (("unet", pipeline.unet.config), ("vae_decoder", pipeline.vae.config)):
        (folder / name / "config.json").write_text(json.dumps(dict(config)))
    index = {"_class_name": kind, "scheduler": ["diffusers", type(pipeline.scheduler).__name__]}
    (folder / "model_index.json").write_text(json.dumps(index))


def export(module: Any, folder: Path, inputs: str, outputs: str, arguments: tuple[Any, ...]) -> None:
    """model.onnx, with a free batch for each input that has a rank; by the exporter that optimum uses."""
    folder.mkdir(parents=True)
    names = inputs.split()
    axes = {name: {0: "batch"} for name, value in zip(names, arguments, strict=True) if value.ndim}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), arguments, folder / "model.onnx", input_names=names, output_names=outputs.split(),
            dynamic_axes=axes | {name: {0: "batch"} for name in outputs.split()}, dynamo=False, opset_version=17,
        )  # fmt: skip
