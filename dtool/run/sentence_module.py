"""A sentence encoder of transformers as a module: from token numbers to what a network is told."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from dtool.errors import DtoolError
from dtool.models import weight_file
from dtool.models.quiet_transformers import silence_transformers
from dtool.models.text_reference import TextReference
from dtool.run.sentence_folder import CONFIG, WHOLE, SentenceFolder


class SentenceModule(nn.Module):
    """Token numbers `(B, length)` → (the condition `(B, *reference.shape)`,). pad: the number that fills up a row."""

    def __init__(self, inner: nn.Module, reference: TextReference, pad: int) -> None:
        super().__init__()
        self.inner, self.reference, self.pad = inner, reference, pad
        self.has_types = "token_type_ids" in inspect.signature(inner.forward).parameters

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        """See the class."""
        mask = (ids != self.pad).long()
        types = {"token_type_ids": torch.zeros_like(ids)} if self.has_types else {}
        states = self.inner(input_ids=ids, attention_mask=mask, **types).last_hidden_state
        shown = mask.to(states.dtype)[:, :, None]
        if not self.reference.pooled:
            return (states * shown,)
        first = states[:, 0]
        pooled = first if self.reference.pooling == "cls" else (states * shown).sum(1) / shown.sum(1).clamp(min=1)
        return (pooled / pooled.norm(dim=1, keepdim=True).clamp(min=1e-12),)


def load_encoder(folder: SentenceFolder) -> nn.Module:
    """The encoder by transformers' own classes; no code of the folder is run, and nothing is downloaded.

    Raises DtoolError where transformers is not installed, knows no such encoder, or the weights do not fit.
    """
    if importlib.util.find_spec("transformers") is None:
        raise DtoolError(
            f"transformers is needed for {folder.weights}",
            "pip install 'dtool-diffusion[diffusers]', or give a folder with model.onnx",
        )
    import transformers

    content = dict(folder.config)
    kind, state = content.pop("model_type", None), weight_file.read_content(folder.weights)
    try:
        config = transformers.AutoConfig.for_model(kind, **content)
        model: Any = transformers.AutoModel
        with torch.device("meta"):
            made: Any = type(model.from_config(config))
        with silence_transformers(transformers):
            module, report = made.from_pretrained(
                None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True,
                ignore_mismatched_sizes=True,
            )  # fmt: skip
    except Exception as error:
        why = " ".join(str(error).split())[:160]
        raise DtoolError(f"{folder.path}: transformers makes no encoder of it ({why})", WHOLE) from error
    wrong = [name for name in report["missing_keys"] if "pooler" not in str(name)] + list(report["mismatched_keys"])
    if wrong:
        first = min(str(name[0] if isinstance(name, tuple) else name) for name in wrong)
        raise DtoolError(f"{folder.weights} lacks {first}, which {CONFIG} promises", WHOLE)
    weight_file.require_numbers(module.state_dict(), folder.path)
    encoder: nn.Module = module.eval().requires_grad_(False)
    return encoder
