"""dtool's samplers as schedulers of diffusers: any recipe in its pipelines; and recipes as its configs, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dtool.bridges.lent_run import LentRun
from dtool.bridges.own_noise import draw_own, require_own_noise
from dtool.bridges.scheduler_configs import config, recipe
from dtool.bridges.trained_network import TrainedNetwork, describe_trained_network, read_config, read_trained_network
from dtool.errors import DtoolError, UsageError
from dtool.plan.recipe import Recipe
from dtool.util.arguments import check_arguments

try:
    import torch
    from diffusers.configuration_utils import ConfigMixin
    from diffusers.schedulers.scheduling_utils import SchedulerMixin, SchedulerOutput
    from diffusers.utils.torch_utils import randn_tensor
except ImportError as error:
    raise DtoolError(f"diffusers is not there ({error})", "pip install 'dtool-diffusion[diffusers]'") from error


class Scheduler(SchedulerMixin, ConfigMixin):
    """A recipe of dtool as a scheduler of diffusers: `pipe.scheduler = Scheduler("dpmpp-2m/karras", pipe.scheduler)`.

    It goes wherever a pipeline takes a scheduler: from noise, from an image, with a mask. What pipelines ask of a
    scheduler it answers from the recipe's plan; what cannot be served, it refuses.

    `timesteps` `(calls,)`: what the network is told, one entry a network call. `order`: calls per step, by which
    pipelines find the step at which an image comes in. `init_noise_sigma`: the size of the start.
    """

    config_name = "scheduler_config.json"  # type: ignore[assignment]

    def __init__(
        self, recipe: str = "ddpm", trained: Any = None, *, schedule: str = "linear", prediction: str = "eps",
        clip: bool | None = None, threshold: float | str | None = None, seed: int | None = None,
        noise: str | None = None,
    ) -> None:  # fmt: skip
        """recipe: SAMPLER[:k=v][@SCHEDULER][/SPACING], as everywhere in dtool.

        trained: what says how the network was trained, a scheduler of diffusers or its config; without one, `schedule`
        and `prediction` do, by dtool's names. clip, threshold: as `dtool.sample` has them; None: as `trained` says, or
        not at all. seed: noise of dtool's own, so that image i is that of `dtool.sample` with this seed, where the
        start comes from `draw_start` (from `add_noise`, if the pipeline begins at an image); None: of the pipeline's
        generator. noise: "path", with a seed, for increments of one Brownian path an image, as `dtool.sample` has them.
        Raises UsageError for a recipe that no pipeline can run.
        """
        super().__init__()
        Recipe.parse(recipe)
        self._path_noise = require_own_noise(noise, seed)
        said = read_config(trained)
        self._network: TrainedNetwork = (
            read_trained_network(said, clip=clip, threshold=threshold) if said
            else describe_trained_network(schedule, prediction, clip=clip, threshold=threshold)
        )  # fmt: skip
        self.register_to_config(  # type: ignore[no-untyped-call]
            recipe=recipe, trained=said, schedule=schedule, prediction=prediction, clip=clip, threshold=threshold,
            seed=seed, noise=noise,
        )  # fmt: skip
        self._recipe, self._seed = recipe, seed
        self._run: LentRun | None = None
        self._asked_start = self._was_scaled = False
        self.num_inference_steps: int | None = None
        self.timesteps = torch.from_numpy(np.arange(self._network.schedule.T)[::-1].copy())
        LentRun(recipe, 2, self._network)  # refuses what cannot be lent, now

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **others: Any) -> Any:
        """A scheduler of a saved config; of another class's, `recipe=` says what to run instead of that class."""
        if isinstance(config, Mapping) and "recipe" not in config:
            made = cls(others.pop("recipe", "ddpm"), config, **others)
            return (made, {}) if return_unused_kwargs else made
        return super().from_config(config, return_unused_kwargs, **others)

    @property
    def order(self) -> int:
        """How many network calls a step has."""
        return 1 if self._run is None else self._run.rows_per_step

    @property
    def init_noise_sigma(self) -> float:
        """What standard Gaussian noise is multiplied by to be the start."""
        self._asked_start = True
        return self._need_run().plan.init

    @property
    def sigmas(self) -> torch.Tensor:
        """σ/α before each call and at the end, `(calls + 1,)`."""
        plan = self._need_run().plan
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.append(plan.sigma / plan.alpha, 0.0).astype(np.float32))

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """ᾱ of the schedule that the network was trained on, `(T,)`."""
        schedule = self._network.schedule
        return torch.from_numpy((schedule.alpha**2 / (schedule.alpha**2 + schedule.sigma**2)).astype(np.float32))

    @property
    def begin_index(self) -> int | None:
        """The call at which the run begins."""
        return None if self._run is None else self._run.first

    @property
    def step_index(self) -> int | None:
        """The call that comes next."""
        return None if self._run is None else self._run.row

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Compile the recipe for so many steps; a run begins. Raises UsageError for a number that it cannot have."""
        self.num_inference_steps = int(num_inference_steps)
        self._run = LentRun(self._recipe, self.num_inference_steps, self._network)
        times = self._run.times
        whole = (times == np.rint(times)).all()
        self.timesteps = torch.from_numpy(times.astype(np.int64 if whole else np.float32)).to(device)

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Begin at this call, the first of a step: for pipelines that begin at an image. A run begins anew."""
        run = LentRun(self._recipe, self.num_inference_steps or 0, self._network) if self.num_inference_steps else None
        if run is None:
            raise _not_begun()
        run.begin(begin_index)
        self._run = run

    def scale_model_input(self, sample: torch.Tensor, timestep: Any = None) -> torch.Tensor:
        """What the network is given for `sample` `(B, *)` in the call that comes next."""
        run = self._need_run()
        self._was_scaled = True
        if timestep is not None:
            self._find_place(float(timestep))
        scaled: torch.Tensor = run.scale(sample.float()).to(sample.dtype) if run.needs_scaling else sample
        return scaled

    def step(
        self, model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, generator: Any = None,
        return_dict: bool = True,
    ) -> Any:  # fmt: skip
        """`sample` `(B, *)` after the next call, of its `model_output`. Raises UsageError for a call out of turn."""
        run = self._need_run()
        self._find_place(float(timestep))
        run.require_next(float(timestep))
        self._require_asked(run)
        x = sample if sample.dtype == torch.float64 else sample.float()
        z = self._draw(run, x, generator) if run.is_noisy else None
        after = run.advance(x, model_output.to(x.dtype), z).to(sample.dtype)
        self._was_scaled = False
        return SchedulerOutput(prev_sample=after) if return_dict else (after,)

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
        """α·y + σ·z of images `(B, *)` at the levels of these times `(B,)`: of the run, or else of the training."""
        if self._seed is not None:
            noise = self.draw_start(original_samples.shape).to(original_samples)
        times = torch.as_tensor(timesteps).reshape(-1).tolist()
        levels = np.array([self._find_level(time) for time in times], np.float32).T
        alpha, sigma = (
            torch.from_numpy(one).to(original_samples).reshape(-1, *[1] * (original_samples.ndim - 1)) for one in levels
        )
        return alpha * original_samples + sigma * noise

    def scale_noise(self, sample: torch.Tensor, timestep: Any, noise: torch.Tensor) -> torch.Tensor:
        """The same, as pipelines of flow networks ask for it."""
        return self.add_noise(sample, noise, timestep)

    @check_arguments
    def draw_start(self, shape: tuple[int, ...], ids: list[int] | None = None) -> torch.Tensor:
        """The standard Gaussian noise of dtool's own for images `(B, *)` of the seed, for a pipeline's `latents=`."""
        if self._seed is None:
            raise UsageError("this scheduler has no seed", "make it with seed=0")
        return torch.from_numpy(draw_own(self._seed, shape, 0, ids))

    def __len__(self) -> int:
        return self._network.schedule.T

    def _need_run(self) -> LentRun:
        if self._run is None:
            raise _not_begun()
        return self._run

    def _find_place(self, time: float) -> None:
        """A pipeline that begins at an image without saying where: its first call tells."""
        run = self._need_run()
        if run.row == run.first == 0 and run.plan.rows and np.float32(run.times[0]) != np.float32(time):
            run.begin(run.find_row(time))

    def _require_asked(self, run: LentRun) -> None:
        """Raise UsageError for a pipeline that does not do to its images what this plan needs."""
        if run.needs_scaling and not self._was_scaled:
            raise UsageError(
                f"{self._recipe} scales what the network is given, and this pipeline does not ask for it",
                "use a recipe that scales nothing: dpmpp-2m or heun, without @SCHEDULER",
            )
        if run.row == 0 and run.plan.init != 1 and not self._asked_start:
            raise UsageError(
                f"{self._recipe} begins at noise of size {run.plan.init:g}, and this pipeline at that of size 1",
                "use a recipe on the network's own schedule: leave out @SCHEDULER",
            )

    def _find_level(self, time: float) -> tuple[float, float]:
        """(α, σ) where the network is told this time."""
        if self._run is not None:
            found = np.flatnonzero(self._run.times.astype(np.float32) == np.float32(time))
            if found.size:
                return float(self._run.plan.alpha[found[0]]), float(self._run.plan.sigma[found[0]])
        told = self._network.tell(np.arange(self._network.schedule.T))
        place = int(np.argmin(np.abs(told - time)))
        return float(self._network.schedule.alpha[place]), float(self._network.schedule.sigma[place])

    def _draw(self, run: LentRun, like: torch.Tensor, generator: Any) -> torch.Tensor:
        """The z of the next row."""
        seed = self._seed
        if seed is None:
            drawn: torch.Tensor = randn_tensor(like.shape, generator=generator, device=like.device, dtype=like.dtype)
            return drawn
        shape = tuple(like.shape)
        own = run.draw_path(lambda k: draw_own(seed, shape, k)) if self._path_noise else draw_own(seed, shape, run.draw)
        return torch.from_numpy(own).to(like)


def _not_begun() -> UsageError:
    return UsageError("the run has no steps yet", "call scheduler.set_timesteps(20) first")


__all__ = ["Scheduler", "config", "recipe"]
