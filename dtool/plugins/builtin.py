"""What dtool brings itself, registered as any plugin registers its own."""

from __future__ import annotations

from dtool.plugins.hookspecs import hookimpl
from dtool.plugins.known_recipes import RECIPES
from dtool.plugins.registrar import Registrar


@hookimpl
def register_schedulers(register: Registrar) -> None:
    """The built-in noise schedules."""
    register("linear", "dtool.schedulers.linear:linear")
    register("scaled-linear", "dtool.schedulers.scaled_linear:scaled_linear", aliases=("scaled_linear", "quadratic"))
    register("cosine", "dtool.schedulers.cosine:cosine", aliases=("squaredcos_cap_v2",))
    register("sigmoid", "dtool.schedulers.sigmoid:sigmoid")
    register("sigmoid-beta", "dtool.schedulers.sigmoid_beta:sigmoid_beta")
    register("vp", "dtool.schedulers.vp:vp")
    register("sub-vp", "dtool.schedulers.sub_vp:sub_vp", aliases=("subvp",))
    register("ve", "dtool.schedulers.ve:ve", aliases=("geometric",))
    register("edm", "dtool.schedulers.edm:edm")
    register("flow", "dtool.schedulers.flow:flow", aliases=("rectified-flow",))
    register("trigflow", "dtool.schedulers.trigflow:trigflow")
    register("const", "dtool.schedulers.constant:const")
    register("exp", "dtool.schedulers.constant:exp")
    register("jsd", "dtool.schedulers.jsd:jsd")
    register("sqrt", "dtool.schedulers.sqrt:sqrt")
    register("laplace", "dtool.schedulers.laplace:laplace")
    register("vdm-linear", "dtool.schedulers.vdm:vdm_linear")
    register("vdm-cosine", "dtool.schedulers.vdm:vdm_cosine")
    register(
        "simple-diffusion", "dtool.schedulers.simple_diffusion:simple_diffusion", aliases=("simple", "shifted-cosine")
    )
    register("betas", "dtool.schedulers.betas:betas")


@hookimpl
def register_spacings(register: Registrar) -> None:
    """The built-in spacings."""
    by_time, by_noise = "dtool.spacings.by_time", "dtool.spacings.by_noise"
    register("linspace", f"{by_time}:linspace")
    register("leading", f"{by_time}:leading")
    register("trailing", f"{by_time}:trailing", aliases=("turbo",))
    register("quadratic", f"{by_time}:quadratic", aliases=("quad",))
    register("logsnr", f"{by_noise}:logsnr", aliases=("exponential", "lu"))
    register("karras", f"{by_noise}:karras")
    register("polyexponential", f"{by_noise}:polyexponential")
    register("beta", "dtool.spacings.beta:beta")
    register("beta57", "dtool.spacings.beta:beta57")
    register("bong-tangent", "dtool.spacings.tangent:bong_tangent", aliases=("bong_tangent",))
    register("smoothstep", "dtool.spacings.by_time:smoothstep")
    register("logit-normal", "dtool.spacings.logit_normal:logit_normal")
    register("kl-optimal", f"{by_noise}:kl_optimal", aliases=("kl_optimal",))
    register("linear-quadratic", f"{by_noise}:linear_quadratic", aliases=("linear_quadratic",))
    register("normal", f"{by_time}:normal", aliases=("uniform",))
    register("simple", f"{by_time}:simple")
    register("sgm-uniform", f"{by_time}:sgm_uniform", aliases=("sgm_uniform",))
    register("flow-sigmas", "dtool.spacings.flow_sigmas:flow_sigmas", aliases=("flow_sigmas",))
    register("ddim-uniform", f"{by_time}:ddim_uniform", aliases=("ddim_uniform", "ddim"))
    register("sections", "dtool.spacings.sections:sections")
    register("ays", "dtool.spacings.align_your_steps:ays", aliases=("align-your-steps",))
    register("lcm", f"{by_time}:lcm", aliases=("tcd",))
    register("restart", "dtool.spacings.restart:restart")
    register("repaint", "dtool.spacings.repaint:repaint")
    register("list", f"{by_time}:explicit")
    register("file", f"{by_time}:file")


@hookimpl
def register_samplers(register: Registrar) -> None:
    """The built-in reverse-step rules, and recipes under the names that people know."""
    for name, token in RECIPES.items():
        register.recipe(name, token)
    register("ddpm", "dtool.samplers.ddpm:ddpm")
    register("ddim", "dtool.samplers.ddim:ddim")
    register("euler", "dtool.samplers.euler:euler", aliases=("flow-euler", "flowmatcheulerdiscrete"))
    register("heun", "dtool.samplers.heun:heun")
    register(
        "euler-ancestral", "dtool.samplers.euler_ancestral:euler_ancestral", aliases=("euler_ancestral", "euler_a")
    )
    register("edm-euler", "dtool.samplers.churn:edm_euler")
    register("edm-heun", "dtool.samplers.churn:edm_heun")
    register("dpm2", "dtool.samplers.dpm2:dpm2", aliases=("dpm_2", "kdpm2"))
    register("dpm2-ancestral", "dtool.samplers.dpm2:dpm2_ancestral", aliases=("dpm_2_ancestral", "dpm2_a"))
    register("dpm-solver-2s", "dtool.samplers.dpm_solver_2s_3s:dpm_solver_2s", aliases=("dpm-solver-2",))
    register("dpm-solver-3s", "dtool.samplers.dpm_solver_2s_3s:dpm_solver_3s", aliases=("dpm-solver-3",))
    register("dpm-fast", "dtool.samplers.dpm_fast:dpm_fast", aliases=("dpm_fast", "dpm-solver-fast"))
    register("dpmpp-2s", "dtool.samplers.dpmpp_2s:dpmpp_2s", aliases=("dpmpp_2s", "dpm++2s"))
    register("dpmpp-3s", "dtool.samplers.dpmpp_2s:dpmpp_3s", aliases=("dpmpp_3s", "dpm++3s"))
    register(
        "dpmpp-2s-ancestral", "dtool.samplers.dpmpp_2s:dpmpp_2s_ancestral", aliases=("dpmpp_2s_ancestral", "dpmpp_2s_a")
    )
    register("dpmpp-2m-cfgpp", "dtool.samplers.cfgpp:dpmpp_2m_cfgpp")
    register("dpmpp-2s-ancestral-cfgpp", "dtool.samplers.cfgpp:dpmpp_2s_ancestral_cfgpp")
    register("res-multistep-cfgpp", "dtool.samplers.cfgpp:res_multistep_cfgpp")
    register("dpmpp-singlestep", "dtool.samplers.dpm_fast:dpmpp_singlestep", aliases=("dpmsolversinglestep",))
    register("dpmpp-sde", "dtool.samplers.dpmpp_sde:dpmpp_sde", aliases=("dpmpp_sde", "dpm++sde"))
    register("seeds-2", "dtool.samplers.seeds:seeds_2", aliases=("seeds_2",))
    register("seeds-3", "dtool.samplers.seeds:seeds_3", aliases=("seeds_3",))
    register("exp-heun-2", "dtool.samplers.seeds:exp_heun_2", aliases=("exp_heun_2_x0",))
    register("heunpp2", "dtool.samplers.heunpp2:heunpp2", aliases=("heun++2",))
    register("dpmpp-2m", "dtool.samplers.dpmpp_2m:dpmpp_2m", aliases=("dpmpp_2m", "dpm++2m"))
    register("dpmpp-2m-sde", "dtool.samplers.dpmpp_2m:dpmpp_2m_sde", aliases=("dpmpp_2m_sde", "dpm++2msde"))
    register("dpmpp-3m", "dtool.samplers.dpmpp_3m:dpmpp_3m", aliases=("dpmpp_3m", "dpm++3m"))
    register("dpmpp-3m-sde", "dtool.samplers.dpmpp_3m:dpmpp_3m_sde", aliases=("dpmpp_3m_sde", "dpm++3msde"))
    register("unipc", "dtool.samplers.unipc:unipc", aliases=("uni_pc_bh2", "unipcmultistep"))
    register("sa-solver", "dtool.samplers.sa_solver:sa_solver", aliases=("sa_solver", "sasolver"))
    register("res-multistep", "dtool.samplers.res:res_multistep", aliases=("res_multistep",))
    register("dpm-solver", "dtool.samplers.dpm_solver:dpm_solver", aliases=("dpmsolver", "dpm_solver"))
    register("deis", "dtool.samplers.deis:deis", aliases=("deismultistep",))
    register("lms", "dtool.samplers.lms:lms", aliases=("lmsdiscrete",))
    register("plms", "dtool.samplers.plms:plms")
    register("pndm", "dtool.samplers.plms:pndm")
    register("ipndm", "dtool.samplers.ipndm:ipndm")
    register(
        "gradient-estimation",
        "dtool.samplers.gradient_estimation:gradient_estimation",
        aliases=("gradient_estimation",),
    )
    register("analytic-ddpm", "dtool.samplers.analytic:analytic_ddpm", aliases=("analytic-dpm",))
    register("analytic-ddim", "dtool.samplers.analytic:analytic_ddim")
    register("ddim-inversion", "dtool.samplers.ddim_inversion:ddim_inversion", aliases=("ddiminverse",))
    register("dpm-solver-inversion", "dtool.samplers.ddim_inversion:dpm_solver_inversion")
    register("lcm", "dtool.samplers.lcm:lcm")
    register("tcd", "dtool.samplers.tcd:tcd")
    register("consistency", "dtool.samplers.consistency:consistency", aliases=("cm", "cmstochasticiterative"))
    register("flow-heun", "dtool.samplers.flow_heun:flow_heun", aliases=("flowmatchheundiscrete",))
    register("flow-ancestral", "dtool.samplers.flow_ancestral:flow_ancestral", aliases=("euler_ancestral_rf",))
    register("er-sde", "dtool.samplers.er_sde:er_sde", aliases=("er_sde",))
    methods = {
        "explicit": {
            "ralston": (), "heun3": (), "kutta3": (), "bogacki-shampine": ("bosh3",), "ssprk3": (), "rk4": (),
            "rk4-38": ("rk38", "rk4_38"), "dormand-prince": ("dopri5",), "tsitouras": ("tsit5",),
        },
        "implicit": {"gauss-legendre": (), "radau-iia": ("radau_iia_2s",), "lobatto-iiia": ("lobatto_iiia_3s",)},
        "exponential": {
            "res-3s": ("res_3s",), "res-5s": ("res_5s",), "res-6s": ("res_6s",), "etdrk3": (), "etdrk4": (),
            "krogstad": ("etdrk4b",),
        },
    }  # fmt: skip
    for kind, names in methods.items():
        for name, aliases in names.items():
            target = f"dtool.samplers.{kind}_runge_kutta:{name.replace('-', '_')}"
            register(name, target, aliases=aliases)


@hookimpl
def register_guidances(register: Registrar) -> None:
    """Classifier-free guidance and its kin."""
    register("cfg", "dtool.guidances.cfg:cfg")
    register("cfgpp", "dtool.guidances.cfgpp:cfgpp", aliases=("cfg++", "cfg_pp"))
    register("cfg-linear", "dtool.guidances.weight_schedulers:cfg_linear")
    register("cfg-cosine", "dtool.guidances.weight_schedulers:cfg_cosine")


@hookimpl
def register_metrics(register: Registrar) -> None:
    """The built-in metrics, and those of torch-fidelity, which is imported when they are used."""
    register("mmd", "dtool.metrics.two_sample:mmd")
    register("fd", "dtool.metrics.frechet:fd", aliases=("frechet",))
    register("fd-features", "dtool.metrics.frechet:fd_features", aliases=("frechet-features",))
    register("density", "dtool.metrics.neighbours:density")
    register("precision", "dtool.metrics.neighbours:precision")
    register("recall", "dtool.metrics.neighbours:recall")
    register("coverage", "dtool.metrics.neighbours:coverage")
    register("sliced-w2", "dtool.metrics.sliced:sliced_w2", aliases=("sw2", "sliced_w2"))
    register("energy", "dtool.metrics.two_sample:energy")
    register("agreement", "dtool.metrics.agreement:agreement")
    register("fid", "dtool.metrics.fidelity:fid")
    register("kid", "dtool.metrics.fidelity:kid")
    register("fd-dinov2", "dtool.metrics.fidelity:fd_dinov2", aliases=("fd_dinov2",))
    register("cmmd", "dtool.metrics.fidelity:cmmd", aliases=("clip-mmd",))


@hookimpl
def register_readers(register: Registrar) -> None:
    """The built-in readers of other libraries' networks."""
    readers = "dtool.models.readers"
    register("dtool-folder", f"{readers}.exported_folder:exported_folder", summary="a pipeline that dtool export wrote")
    # Before diffusers, whose index such a folder has, too.
    register(
        "onnx-folder", f"{readers}.onnx_folder:onnx_folder", summary="a folder of ONNX files, as optimum writes it"
    )
    register("diffusers", f"{readers}.diffusers_folder:diffusers_folder", summary="a folder or pipeline of diffusers")
    register(
        "denoising-diffusion-pytorch",
        f"{readers}.denoising_diffusion_pytorch:denoising_diffusion_pytorch",
        summary="a checkpoint of denoising-diffusion-pytorch (.pt), of images or sequences",
    )
    register(
        "k-diffusion", f"{readers}.k_diffusion:k_diffusion", summary="a network of k-diffusion, with its configuration"
    )
    register("adm", f"{readers}.adm:adm", summary="weights of OpenAI's guided-diffusion, with its scripts' flags")
    register(
        "edm",
        f"{readers}.edm:edm",
        summary="a network of NVlabs' EDM: its weights with their configuration, or an object; its pickles are refused",
    )
    register("azula", f"{readers}.azula:azula", summary="a denoiser of azula, as an object")


@hookimpl
def register_conditioners(register: Registrar) -> None:
    """The built-in ways from words to conditions."""
    register("number", "dtool.data.conditioners:number")
    register("npy", "dtool.data.conditioners:npy")
    register("image", "dtool.data.conditioners:image")
    register("resize", "dtool.data.conditioners:resize")
