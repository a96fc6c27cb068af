"""Recipes under names from elsewhere: of user interfaces, k-diffusion's and ComfyUI's functions, diffusers' classes."""

from __future__ import annotations

# As user interfaces list them. " Karras" and the like say where the steps fall, so these are whole recipes.
INTERFACES = {
    "Euler a": "euler-ancestral",
    "Euler Karras": "euler/karras",
    "Heun Karras": "heun/karras",
    "LMS Karras": "lms/karras",
    "DPM2": "dpm2",
    "DPM2 Karras": "dpm2/karras",
    "DPM2 a": "dpm2-ancestral",
    "DPM2 a Karras": "dpm2-ancestral/karras",
    "DPM fast": "dpm-fast",
    "DPM++ 2S a": "dpmpp-2s-ancestral",
    "DPM++ 2S a Karras": "dpmpp-2s-ancestral/karras",
    "DPM++ 2M": "dpmpp-2m",
    "DPM++ 2M Karras": "dpmpp-2m/karras",
    "DPM++ 2M Exponential": "dpmpp-2m/exponential",
    "DPM++ 2M SGM Uniform": "dpmpp-2m/sgm-uniform",
    "DPM++ 2M AYS": "dpmpp-2m/ays",
    "DPM++ 2M SDE": "dpmpp-2m-sde",
    "DPM++ 2M SDE Karras": "dpmpp-2m-sde/karras",
    "DPM++ 2M SDE Exponential": "dpmpp-2m-sde/exponential",
    "DPM++ 2M SDE Heun": "dpmpp-2m-sde:variant=heun",
    "DPM++ 2M SDE Heun Karras": "dpmpp-2m-sde:variant=heun/karras",
    "DPM++ 2M SDE Heun Exponential": "dpmpp-2m-sde:variant=heun/exponential",
    "DPM++ 3M SDE": "dpmpp-3m-sde",
    "DPM++ 3M SDE Karras": "dpmpp-3m-sde/karras",
    "DPM++ 3M SDE Exponential": "dpmpp-3m-sde/exponential",
    "DPM++ SDE": "dpmpp-sde",
    "DPM++ SDE Karras": "dpmpp-sde/karras",
    "DDIM CFG++": "ddim~cfgpp",
    "Restart": "heun/restart",
}

# Further names of methods in Forge and reForge (the first seven) and in SD.Next, whose classes have options beside.
FORKS = {
    "Euler CFG++": "euler~cfgpp",
    "Euler Ancestral CFG++": "euler-ancestral~cfgpp",
    "DPM++ 2S Ancestral CFG++": "dpmpp-2s-ancestral-cfgpp",
    "DPM++ 2M CFG++": "dpmpp-2m-cfgpp",
    "RES Multistep CFG++": "res-multistep-cfgpp",
    "RES Multistep Ancestral CFG++": "res-multistep-cfgpp:eta=1",
    "Gradient Estimation CFG++": "gradient-estimation:last=euler~cfgpp",
    "SEEDS 2 DP": "seeds-2",
    "SEEDS 3 DP": "seeds-3",
    "Euler SGM": "euler/trailing",
    "Euler EDM": "euler@edm/karras",
    "Euler FlowMatch": "euler@flow/flow-sigmas",
    "Heun FlowMatch": "flow-heun@flow/flow-sigmas",
    "UniPC FlowMatch": "unipc@flow/flow-sigmas",
    "LCM FlowMatch": "lcm:scaling=0.0@flow",
    "DPM++ 3M": "dpmpp-3m:variant=published",
    "DPM++ 2M EDM": "dpmpp-2m@edm/karras",
    "DPM SDE": "dpmpp-sde",
    "DPM++ Inverse": "ddim-inversion",
    "DPM++ 2M Inverse": "dpm-solver-inversion",
    "DPM++ 3M Inverse": "dpm-solver-inversion:order=3",
    "LMSD": "lms",
    "KDPM2 a": "dpm2-ancestral",
    "CMSI": "consistency",
}

# k-diffusion's functions and those that others have added to it, with their defaults.
K_DIFFUSION = {
    "sample_euler": "euler",
    "sample_euler_ancestral": "euler-ancestral",
    "sample_heun": "heun",
    "sample_dpm_2": "dpm2",
    "sample_dpm_2_ancestral": "dpm2-ancestral",
    "sample_lms": "lms",
    "sample_dpm_fast": "dpm-fast",
    "sample_dpmpp_2s_ancestral": "dpmpp-2s-ancestral",
    "sample_dpmpp_sde": "dpmpp-sde",
    "sample_dpmpp_2m": "dpmpp-2m",
    "sample_dpmpp_2m_sde": "dpmpp-2m-sde",
    "sample_dpmpp_3m_sde": "dpmpp-3m-sde",
    "sample_heunpp2": "heunpp2",
    "sample_er_sde": "er-sde",
    "sample_seeds_2": "seeds-2",
    "sample_seeds_3": "seeds-3",
    "sample_sa_solver": "sa-solver",
    "sample_res_multistep": "res-multistep",
    "sample_gradient_estimation": "gradient-estimation",
    "sample_ipndm": "ipndm",
    "sample_deis": "deis",
    "sample_lcm": "lcm",
    "sample_exp_heun_2_x0": "exp-heun-2",
    "sample_ddpm": "ddpm",
}

# ComfyUI's own names of methods that are here; those that end with _gpu differ in where the noise is drawn.
COMFYUI_NAMES = {
    "uni_pc": "unipc:variant=bh1",
    "dpmpp_sde_gpu": "dpmpp-sde",
    "dpmpp_2m_sde_gpu": "dpmpp-2m-sde",
    "dpmpp_2m_sde_heun": "dpmpp-2m-sde:variant=heun",
    "dpmpp_2m_sde_heun_gpu": "dpmpp-2m-sde:variant=heun",
    "dpmpp_3m_sde_gpu": "dpmpp-3m-sde",
    "exp_heun_2_x0_sde": "exp-heun-2:eta=1",
    "res_multistep_ancestral": "res-multistep:eta=1",
    "ipndm_v": "ipndm:variable=true",
    "sa_solver_pece": "sa-solver:pece=true",
    "euler_ancestral_RF": "flow-ancestral",
}

# Methods that are settings of another one here: of textbooks, and of RES4LYF.
METHODS = {
    "etdrk2": "exp-heun-2",
    "res_2s": "dpmpp-2s:weights=exact",
    "res_2m": "res-multistep",
}

# ComfyUI's samplers of CFG++: the general form, or a rule of its own where theirs is another. A scale is at most 1.
COMFYUI = {
    "euler_cfg_pp": "euler~cfgpp",
    "euler_ancestral_cfg_pp": "euler-ancestral~cfgpp",
    "dpmpp_2s_ancestral_cfg_pp": "dpmpp-2s-ancestral-cfgpp",
    "dpmpp_2m_cfg_pp": "dpmpp-2m-cfgpp",
    "res_multistep_cfg_pp": "res-multistep-cfgpp",
    "res_multistep_ancestral_cfg_pp": "res-multistep-cfgpp:eta=1",
    "gradient_estimation_cfg_pp": "gradient-estimation:last=euler~cfgpp",
}

# diffusers' classes with their defaults (0.42.1): what `dtool.bridges.scheduler_configs.recipe` says of an empty
# config, and the schedule where its betas are not DDPM's. What the recipe itself says of its schedule and spacing
# goes before.
_LATENT = "@linear:beta_start=0.00085,beta_end=0.012"
_MULTISTEP = "/linspace:compat=diffusers-multistep"
DIFFUSERS = {
    "DDPMScheduler": "ddpm/leading:compat=diffusers",
    "DDPMParallelScheduler": "ddpm/leading:compat=diffusers",
    "DDIMScheduler": "ddim:use_clipped=false/leading:compat=diffusers",
    "DDIMParallelScheduler": "ddim:use_clipped=false/leading:compat=diffusers",
    "PNDMScheduler": "pndm/leading:compat=diffusers,end=stay",
    "LMSDiscreteScheduler": "lms/normal",
    "EulerDiscreteScheduler": "euler/normal",
    "EulerAncestralDiscreteScheduler": "euler-ancestral/normal",
    "HeunDiscreteScheduler": f"heun{_LATENT}/normal",
    "KDPM2DiscreteScheduler": f"dpm2{_LATENT}/normal",
    "KDPM2AncestralDiscreteScheduler": f"dpm2-ancestral{_LATENT}/normal",
    "DPMSolverSDEScheduler": f"dpmpp-sde{_LATENT}/normal",
    "DPMSolverMultistepScheduler": f"dpmpp-2m{_MULTISTEP}",
    "DPMSolverSinglestepScheduler": f"dpmpp-singlestep{_MULTISTEP}",
    "DEISMultistepScheduler": f"deis:variable=logrho,order=2,lower_order_final=under-15{_MULTISTEP},end=alpha_bar_0",
    "UniPCMultistepScheduler": f"unipc{_MULTISTEP}",
    "SASolverScheduler": "sa-solver:corrector=2,simple_order_2=true,noise_above=0.2,noise_below=0.8,"
    f"lower_order_final=always{_MULTISTEP},end=alpha_bar_0",
    "LCMScheduler": "lcm:scaling=10.0@scaled-linear/lcm",
    "TCDScheduler": "tcd@scaled-linear/lcm:end=alpha_bar_0",
    "CMStochasticIterativeScheduler": "consistency@edm:T=40/simple",
    "FlowMatchEulerDiscreteScheduler": "euler@flow/flow-sigmas",
    "FlowMatchHeunDiscreteScheduler": "flow-heun@flow/flow-sigmas",
    "EDMEulerScheduler": "euler@edm/karras",
    "EDMDPMSolverMultistepScheduler": "dpmpp-2m@edm/karras",
}

# Classes of which the method alone is here: the levels of their steps are their own. Adopted, they are exact.
METHODS_OF_DIFFUSERS = {
    "DDIMInverseScheduler": "ddim-inversion",
    "DPMSolverMultistepInverseScheduler": "dpm-solver-inversion",
    "IPNDMScheduler": "ipndm",
    "UnCLIPScheduler": "ddpm@cosine",
    "DDPMWuerstchenScheduler": "ddpm@cosine",
    "CogVideoXDDIMScheduler": "ddim@scaled-linear",
    "CogVideoXDPMScheduler": "dpmpp-2m-sde@scaled-linear",
    "CosineDPMSolverMultistepScheduler": "dpmpp-2m-sde@edm",
    "FlowMatchLCMScheduler": "lcm:scaling=0.0@flow",
    "FlowMapEulerDiscreteScheduler": "euler@flow",
    "MiniMaxH3Scheduler": "euler@flow",
    "LTXEulerAncestralRFScheduler": "flow-ancestral@flow",
    "SCMScheduler": "lcm:scaling=0.0@trigflow",
}

# In what a function of ComfyUI differs from the recipe of its name.
_BY_EULER = "ComfyUI's function takes its last step, to σ = 0, by Euler's method; before, it is the same"
_BRACKET = (
    "the weights of ComfyUI's function that go with the third value of ε have a bracket in another place: on unequal "
    "steps it is of order 2, where the recipe is of order 4, and in 16 Karras steps a coefficient of x differs by 0.48"
)
DIFFERENCES = {
    "sample_ipndm": (_BY_EULER,),
    "ipndm_v": (_BRACKET, "it takes its last step, to σ = 0, by Euler's method"),
    "sample_ipndm_v": (_BRACKET, "it takes its last step, to σ = 0, by Euler's method"),
}

CLASSES = {name.lower(): name for name in (*DIFFUSERS, *METHODS_OF_DIFFUSERS)}
FUNCTIONS = {f"sample_{name}": token for name, token in (COMFYUI_NAMES | COMFYUI).items()}
RECIPES = (
    INTERFACES | FORKS | K_DIFFUSION | COMFYUI_NAMES | METHODS | COMFYUI | FUNCTIONS | DIFFUSERS | METHODS_OF_DIFFUSERS
)
