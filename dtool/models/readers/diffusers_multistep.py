"""The recipes of diffusers' classes of order 2 and 3: DPM-Solver, UniPC, DEIS, SA-Solver."""

from __future__ import annotations

from dtool.models.readers.diffusers_spacing import place_multistep
from dtool.models.readers.diffusers_task import Task, format_sampler, format_spacing

_FEW = {"lower_order_final": "under-15"}


def choose_dpm_solver(task: Task) -> str:
    """The recipe of DPMSolverMultistep, EDM's too."""
    values = task.values
    order = values.whole("solver_order", 1, 3)
    kinds = ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver", "deis")
    kind = values.word("algorithm_type", kinds)
    kind = "dpmsolver++" if kind == "deis" else kind  # as diffusers reads it
    types = ("midpoint", "heun", "logrho", "bh1", "bh2")
    variant = "heun" if values.word("solver_type", types) == "heun" else None
    zero = values.word("final_sigmas_type", ("zero", "sigma_min")) == "zero"
    if zero and not kind.endswith("++"):
        raise values.contradiction(f"algorithm_type {kind} cannot step to final_sigmas_type zero")
    final = _FEW if values.flag("lower_order_final") and order > (1 if not zero else 2) else {}
    if values.flag("euler_at_final") and order > 1 and not zero:
        if final and order == 3:
            task.differ("with 15 steps or more diffusers takes its last step at order 1")
        else:
            final = {"lower_order_final": "last"}
    if order == 3 and variant is None:
        task.differ("diffusers takes its second step as solver_type midpoint")
    if kind == "sde-dpmsolver":
        task.differ(
            "diffusers holds ε where the recipe holds x0: it is the SDE form of DPM-Solver, not of DPM-Solver++"
        )
    if kind.startswith("sde") and order == 3:
        task.differ("diffusers' third term has the wrong sign, the recipe's has not")
    if kind == "dpmsolver":
        own = "heun" if order != 2 else variant or "midpoint"
        sampler = "ddim" if order == 1 else format_sampler("dpm-solver", order=order, variant=own, **final)
    else:
        sampler = _name_dpmpp(order, variant, final, stochastic=kind.startswith("sde"))
    return f"{sampler}/{_place_dpm(task)}"


def _name_dpmpp(order: int, variant: str | None, final: dict[str, str], *, stochastic: bool) -> str:
    if order == 1:
        return "ddpm" if stochastic else "euler"
    if order == 2:
        return format_sampler("dpmpp-2m-sde" if stochastic else "dpmpp-2m", variant=variant, **final)
    if stochastic:
        return format_sampler("dpmpp-3m-sde", **final)
    return format_sampler("dpmpp-3m", variant="published", **final)


def _place_dpm(task: Task) -> str:
    """The spacing of a multistep class; EDM's has the levels of its schedule."""
    values = task.values
    if values["sigma_data"] is not None:
        return place_edm(task)
    end = "alpha_bar_0" if values["final_sigmas_type"] == "sigma_min" else None
    return place_multistep(task, end)


def choose_singlestep(task: Task) -> str:
    """The recipe of DPMSolverSinglestep."""
    values = task.values
    order = values.whole("solver_order", 1, 3)
    kind = values.word("algorithm_type", ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "deis"))
    if kind == "dpmsolver" and values["final_sigmas_type"] == "zero":
        raise values.contradiction("algorithm_type dpmsolver cannot step to final_sigmas_type zero")
    if values.word("solver_type", ("midpoint", "heun", "logrho", "bh1", "bh2")) == "heun" and order > 1:
        task.differ("diffusers' solver_type heun integrates a line through its two x0; the recipe takes the middle")
    if kind == "sde-dpmsolver++":
        task.differ("diffusers adds noise in its single steps; the recipe adds it in dpmpp-2m-sde's")
        return f"{'ddpm' if order == 1 else 'dpmpp-2m-sde'}/{_place_dpm(task)}"
    lowered = values.flag("lower_order_final") and values["final_sigmas_type"] != "zero"
    final = "last" if lowered else None
    sampler = format_sampler("dpmpp-singlestep", order=max(order, 2), lower_order_final=final)
    if kind == "dpmsolver":
        sampler = format_sampler("dpm-fast", order=max(order, 2), weights="half", lower_order_final=final)
    return f"{'euler' if order == 1 else sampler}/{_place_dpm(task)}"


def choose_unipc(task: Task) -> str:
    """The recipe of UniPCMultistep."""
    values = task.values
    order = values.whole("solver_order", 1, 3)
    variant = values.word("solver_type", ("bh1", "bh2", "midpoint", "heun", "logrho"))
    zero = values.word("final_sigmas_type", ("zero", "sigma_min")) == "zero"
    disabled = values["disable_corrector"]
    if not values.flag("predict_x0"):
        task.differ("diffusers holds ε (predict_x0 is false); the recipe holds x0")
    if disabled:
        task.differ("diffusers leaves out the corrector at some steps (disable_corrector)")
    if values["solver_p"] is not None:
        task.differ("diffusers predicts by another solver (solver_p)")
    final = "always" if values.flag("lower_order_final") and order > (2 if zero else 1) else None
    if variant == "bh1" and zero:
        task.differ("diffusers' images are no numbers with bh1 and final_sigmas_type zero; the recipe's are")
    sampler = format_sampler("unipc", order=order, variant="bh1" if variant == "bh1" else None, lower_order_final=final)
    return f"{sampler}/{_place_dpm(task)}"


def choose_deis(task: Task) -> str:
    """The recipe of DEISMultistep."""
    values = task.values
    values.word("algorithm_type", ("deis", "dpmsolver", "dpmsolver++"))
    values.word("solver_type", ("logrho", "midpoint", "heun", "bh1", "bh2"))
    order = values.whole("solver_order", 1, 3)
    final = _FEW if values.flag("lower_order_final") and order > 1 else {}
    sampler = format_sampler("deis", variable="logrho", order=order, **final)
    return f"{sampler}/{place_multistep(task, 'alpha_bar_0')}"


def choose_sa_solver(task: Task) -> str:
    """The recipe of SASolver."""
    values = task.values
    values.word("algorithm_type", ("data_prediction", "noise_prediction"))
    predictor, corrector = values.whole("predictor_order", 1, 4), values.whole("corrector_order", 0, 4)
    noisy = {"noise_above": 200 / values["num_train_timesteps"], "noise_below": 800 / values["num_train_timesteps"]}
    if values["algorithm_type"] == "noise_prediction":
        task.differ("diffusers holds ε; the recipe holds x0")
    final = "always" if values.flag("lower_order_final") and max(predictor, corrector - 1) > 1 else None
    noisy = {name: min(value, 1.0) for name, value in noisy.items()}
    sampler = format_sampler("sa-solver", predictor=predictor, corrector=corrector, simple_order_2=True, **noisy,
                             lower_order_final=final)  # fmt: skip
    return f"{sampler}/{place_multistep(task, 'alpha_bar_0')}"


def place_edm(task: Task) -> str:
    """The spacing of EDM's classes."""
    values = task.values
    rho, end = values.positive("rho"), None
    if values.word("final_sigmas_type", ("zero", "sigma_min")) == "sigma_min":
        end = "stay"
    if values.word("sigma_schedule", ("karras", "exponential")) == "exponential":
        return format_spacing("logsnr", end=end)
    return format_spacing("karras", rho=rho, end=end)
