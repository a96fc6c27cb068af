"""The other side: diffusers' scheduler in a loop around the same network, as a user of diffusers writes it.

The network is called through the same session or module. Nothing here imports PyTorch: diffusers makes the tensors.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.network import Network
from dtool.plan.recipe import DEFAULT_SPACING, Recipe
from dtool.run.own_function import network as wrapped

_PREDICTIONS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}
_VARIANCES = {"tilde": "fixed_small", "beta": "fixed_large"}
_MULTISTEP = {"dpmpp-2m": "dpmsolver++", "dpmpp-2m-sde": "sde-dpmsolver++"}


class NoEquivalentError(DtoolError):
    """diffusers has no equivalent of what was asked for; the message says of what."""


@dataclass(frozen=True)
class DiffusersRecipe:
    """A recipe in diffusers' words: the scheduler's class, its configuration, and what each of its steps is told.

    `clips`: whether it keeps predicted images within -1 … 1, as it is configured.
    """

    kind: str
    config: dict[str, Any]
    step: dict[str, Any] = field(default_factory=dict)
    clips: bool = False


def translate_recipe(recipe: Recipe, network: Network, steps: int, *, clip: bool) -> DiffusersRecipe:
    """What diffusers calls `recipe` for this network; raises NoEquivalentError if it has no such thing."""
    levels, rule = network.schedule, recipe.rule
    if network.prediction not in _PREDICTIONS or levels.coordinates != "vp" or network.spec.learned_variance:
        raise NoEquivalentError(
            "its schedulers are set up here for networks of eps, x0 or v, their variance not learned"
        )
    if network.spec.conditions or network.spec.time != "index":
        raise NoEquivalentError("the loop around it here tells a network x, an index and a class, and nothing else")
    if recipe.scheduler is not None and recipe.scheduler.hash != levels.hash:
        raise NoEquivalentError("its schedulers sample on the schedule that the network was trained on")
    if clip and network.spec.data_range != (-1.0, 1.0):
        raise NoEquivalentError("its schedulers clip to -1 … 1")
    options = dict(rule.options)
    config = {
        "num_train_timesteps": levels.T,
        "trained_betas": levels.betas.astype(np.float32),
        "prediction_type": _PREDICTIONS[network.prediction],
        **_translate_spacing(recipe, levels.T, steps),
    }
    if rule.name in ("ddim", "ddpm") and not config.get("use_karras_sigmas"):
        config |= {"clip_sample": clip, "clip_sample_range": 1.0}
        if rule.name == "ddim":
            return DiffusersRecipe(
                "DDIMScheduler",
                config,
                {"eta": options["eta"], "use_clipped_model_output": options["use_clipped"]},
                clip,
            )
        if options["sigma"] in _VARIANCES:
            return DiffusersRecipe("DDPMScheduler", config | {"variance_type": _VARIANCES[options["sigma"]]}, {}, clip)
    if rule.name in _MULTISTEP and options.get("eta", 1.0) == 1.0:
        config |= {"algorithm_type": _MULTISTEP[rule.name], "solver_order": 2, "solver_type": options["variant"]}
        return DiffusersRecipe("DPMSolverMultistepScheduler", config)
    raise NoEquivalentError(f"it has no {recipe}, or not one that is set up here")


def _translate_spacing(recipe: Recipe, total: int, steps: int) -> dict[str, Any]:
    """The same grid of times in diffusers' words."""
    place = recipe.spacing.token if recipe.spacing else DEFAULT_SPACING
    if place == "trailing":
        return {"timestep_spacing": "trailing"}
    if place == "leading" and total % steps == 0 and recipe.rule.name not in _MULTISTEP:
        return {"timestep_spacing": "leading"}
    if place == "karras" and recipe.rule.name in _MULTISTEP:
        return {"timestep_spacing": "linspace", "use_karras_sigmas": True}
    raise NoEquivalentError(f"its {recipe.rule.name} has no spacing {place}, or not one that is set up here")


def is_installed() -> bool:
    """Whether diffusers is there, and PyTorch, without which it does nothing."""
    return all(importlib.util.find_spec(name) is not None for name in ("diffusers", "torch"))


class DiffusersLoop:
    """`n` images by the equivalent of a plan, all in one batch, with these labels `(n,)` and this guidance.

    Each run: `prepare()`, which makes a fresh scheduler with its times set, then the object itself is called.
    """

    def __init__(
        self,
        network: Network,
        equal: DiffusersRecipe,
        steps: int,
        labels: NDArray[np.int64] | None,
        guidance: float,
        n: int,
    ) -> None:
        module = importlib.import_module("diffusers")
        module.utils.logging.set_verbosity_error()
        self._class = getattr(module, equal.kind)
        self._random = importlib.import_module("diffusers.utils.torch_utils").randn_tensor
        self._network, self._equal, self._steps, self._scale = network, equal, steps, guidance
        on_tensors = network.backend == "torch"
        # who turns arrays into tensors and back
        self._tensors = network if on_tensors else wrapped(network.predict, shape=network.shape, backend="torch")
        self._device = str(self._tensors.array(np.empty(0)).device)
        self._shape = (n, *network.shape)
        self._twice = labels is not None and guidance not in (0, 1)
        if labels is not None:
            none = np.full_like(labels, network.spec.null_label)
            labels = np.concatenate([none, labels]) if self._twice else labels if guidance else none
        self._label = () if labels is None else (network.array(labels),)
        self._scheduler: Any = None

    def prepare(self) -> None:
        """A scheduler as new: those of several steps keep a state."""
        self._scheduler = self._class(**self._equal.config)
        self._scheduler.set_timesteps(self._steps, device=self._device)

    def __call__(self, start: NDArray[np.float32] | None = None) -> NDArray[Any]:
        """The images `(n, *shape)`; start: the noise to begin from, instead of its own."""
        scheduler = self._scheduler
        x = self._random(self._shape, device=self._device) if start is None else self._tensors.array(start)
        x = x * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            x = scheduler.step(self._output(x, t), t, x, **self._equal.step).prev_sample
        return self._tensors.numpy(x)

    def _output(self, x: Any, t: Any) -> Any:
        """What the network says, guided: a tensor."""
        if not self._twice:
            return self._call_network(x, t)
        without, with_class = self._call_network(self._tensors.concatenate([x, x]), t).chunk(2)
        return without + self._scale * (with_class - without)

    def _call_network(self, x: Any, t: Any) -> Any:
        if self._network is self._tensors:
            return self._network.predict(x, t.expand(len(x)).to(x.dtype), *self._label)
        time = np.full(len(x), float(t), dtype=np.float32)
        return self._tensors.array(self._network.predict(x.numpy(), time, *self._label))
