"""Faults in the comparison."""

from tests.mutants.fault import Fault

FAULTS = (
    Fault(
        "paired-judged-too-easily",
        "dtool/compare/paired_errors.py",
        "rmse >= MARGIN * own",
        "rmse >= own",
        "a reference with half the error of what it judges is one",
    ),
    Fault(
        "paired-errors-too-small",
        "dtool/measure/bootstrap.py",
        "np.sqrt(np.maximum(second, 0) / (n - 1))",
        "np.sqrt(np.maximum(second, 0) / n)",
        "standard errors of resamples are divided by n",
    ),
    Fault(
        "solver-late-start-from-its-own-level",
        "dtool/compare/ode_path.py",
        "return own if own.lam < noisiest.lam - ROUNDING else noisiest",
        "return own",
        "a recipe that begins late is held against a solution from its own first level",
    ),
    Fault(
        "solver-one-solution-for-all-guidance",
        "dtool/compare/solver.py",
        "return (start.lam, identify_guidance(judged), scale)",
        "return (start.lam, scale)",
        "recipes of different guidance are held against one solution",
    ),
    Fault(
        "halving-the-same-images-again",
        "dtool/compare/successive_halving.py",
        "self.draw(self.plans[i], range(first, count))",
        "self.draw(self.plans[i], range(count - first))",
        "a second round draws the first round's images again",
    ),
    Fault(
        "gate-per-cent-of-less-than-nothing",
        "dtool/compare/gate.py",
        "abs(before) * self.limit / 100",
        "before * self.limit / 100",
        "a figure below zero may fall by per cent, and not rise",
    ),
    Fault(
        "parts-content-unseen",
        "dtool/compare/kept_images.py",
        "about == self._about(plan, first, images)",
        'about["count"] == len(images)',
        "images of another plan, or that were changed, are taken up",
    ),
    Fault(
        "parts-of-any-weights",
        "dtool/models/fingerprint.py",
        "digest.update(np.ascontiguousarray(each.run_trial(2, 1, time, False)).tobytes())",
        "digest.update(str(time).encode())",
        "images of another network of the same description are taken up",
    ),
    Fault(
        "drawing-loses-the-seed",
        "dtool/compare/drawing.py",
        "ids=ids, seed=self.seed,",
        "ids=ids, seed=0,",
        "every comparison draws the images of seed 0",
    ),
    Fault(
        "verdict-of-many-tests",
        "dtool/compare/verdict.py",
        "return SIGNIFICANCE / (count * (count - 1) / 2 or 1)",
        "return SIGNIFICANCE",
        "the more recipes, the surer one of them is called the best",
    ),
    Fault(
        "timing-in-one-order",
        "dtool/measure/timing.py",
        "order = range(len(runs)) if turn % 2 == 0 else reversed(range(len(runs)))",
        "order = range(len(runs))",
        "the same recipe always follows the same one",
    ),
    Fault(
        "field-one-method-twice",
        "dtool/compare/candidates.py",
        "plans.setdefault(fingerprint(plan), plan)",
        "plans.setdefault(plan.hash, plan)",
        "two names of one method are two candidates",
    ),
)
