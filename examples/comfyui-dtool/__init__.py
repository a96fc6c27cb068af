"""A node of ComfyUI that gives any sampler of dtool to "SamplerCustom" and "SamplerCustomAdvanced"."""

from __future__ import annotations

from typing import Any

from dtool.bridges.k_diffusion import make_sampler


class DtoolSampler:
    """The node: a sampler's name and options in, a SAMPLER out. The steps are those of the SIGMAS that come with it."""

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "make"
    CATEGORY = "sampling/custom_sampling/samplers"
    DESCRIPTION = "A sampler of dtool: SAMPLER or SAMPLER:option=value, as `dtool samplers` lists them."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """What the node asks for."""
        return {
            "required": {"sampler": ("STRING", {"default": "dpmpp-2m"})},
            "optional": {"dtool_noise": ("BOOLEAN", {"default": False})},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, sampler: str) -> bool | str:  # noqa: N802 - ComfyUI's name
        """True, or why the name cannot be used: ComfyUI shows it at the node."""
        try:
            make_sampler(sampler)
        except ValueError as error:
            return f"{error}; {getattr(error, 'hint', '')}"
        return True

    def make(self, sampler: str, dtool_noise: bool = False) -> tuple[Any]:
        """The node's output. dtool_noise: what stochastic samplers add is dtool's own noise of the run's seed."""
        from comfy.samplers import KSAMPLER

        def sample(model: Any, x: Any, sigmas: Any, **given: Any) -> Any:
            seed = (given.get("extra_args") or {}).get("seed") if dtool_noise else None
            run = make_sampler(sampler, flow=is_flow(model), seed=seed)
            return run(model, x, sigmas, **given)

        return (KSAMPLER(sample),)


def is_flow(model: Any) -> bool:
    """Whether the model's noised images are (1 - σ)·x0 + σ·ε, as of Flux or Stable Diffusion 3."""
    import comfy.model_sampling

    sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
    return isinstance(sampling, comfy.model_sampling.CONST)


NODE_CLASS_MAPPINGS = {"DtoolSampler": DtoolSampler}
NODE_DISPLAY_NAME_MAPPINGS = {"DtoolSampler": "Sampler of dtool"}
