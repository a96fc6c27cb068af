"""A fitted plan runs on what it was fitted for: its network, guidance and clipping. Anything else is refused."""

from __future__ import annotations

from dtool.errors import UsageError
from dtool.models.fingerprint import are_same_outputs, measure_outputs
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.run.clipping import Clipping
from dtool.run.sampler_file import FusedNetwork

FORCE = "fit one for it (dtool fit), or run it all the same: FILE.json:force=true"


def require_fitted_for(
    network: Network, plan: Plan, scale: float, limit: Clipping | None, *, autoguided: bool = False
) -> None:
    """Raise UsageError if a fitted plan is run on another network, or otherwise, than it was fitted for.

    scale, limit: the guidance scale and the clipping of the run. A plan that was not fitted passes; so does one in its
    own file, which was compared with the network when it was exported.
    """
    if plan.fit is None:
        return
    own = isinstance(network, FusedNetwork)
    if not own and not are_same_outputs(plan.fit.outputs, measure_outputs(network)):
        raise UsageError(f"{plan.recipe} was fitted for another network, {plan.fit.network}", FORCE)
    require_fitted_settings(plan, scale, limit, autoguided=autoguided)


def require_fitted_settings(plan: Plan, scale: float, limit: Clipping | None, *, autoguided: bool = False) -> None:
    """Raise UsageError for another guidance, or another clipping, than a fitted plan was fitted with."""
    record = plan.fit
    if record is None:
        return
    if (record.guidance or scale != 1) and (plan.guidance != record.guidance or scale != record.scale):
        raise UsageError(
            f"{plan.recipe} was fitted with guidance {record.scale:g}, not {scale:g}",
            f"leave out guidance, or {FORCE}",
        )
    if autoguided != record.autoguided:
        raise UsageError(
            f"{plan.recipe} was fitted {'with' if record.autoguided else 'without'} a weaker network to compare with",
            FORCE,
        )
    if describe_clipping(limit) != record.clip:
        flag = "--clip (clip=True)" if record.clip else "--no-clip (clip=False)"
        was = f"with predicted images kept to {record.clip}" if record.clip else "without clipping"
        raise UsageError(f"{plan.recipe} was fitted {was}", f"run it so: {flag}")


def describe_clipping(limit: Clipping | None) -> str:
    """Clipping as a fitted plan says it: "-1:1", with the threshold behind it if there is one; "" for none."""
    if limit is None:
        return ""
    return f"{limit.low:g}:{limit.high:g}" + (f" at {limit.threshold}" if limit.threshold is not None else "")
