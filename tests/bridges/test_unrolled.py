"""What is refused, with the call and the reason: what is not linear, adaptive, or not finite."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dtool  # noqa: E402
from dtool.bridges.unrolled import ForeignSampler, Level, unroll_sampler  # noqa: E402


def sampler(run):
    def watched(x, ask, probe):
        with probe:
            return run(x, ask, probe)

    return ForeignSampler(token="theirs", source="test 1", prediction="x0", run=watched, init=1.0)


def levels(n):
    return [Level(1.0, float(v)) for v in np.linspace(n, 1, n)]


def test_the_table_holds_the_start_the_answers_and_the_noise():
    def run(x, ask, _):
        x = 0.5 * x + 2 * ask(x, 3 * x, Level(1.0, 2.0)) + 0.25 * torch.randn_like(x)
        return x - ask(x, x, Level(1.0, 1.0))

    table = unroll_sampler(sampler(run))
    assert table.states.tolist() == [[1, 0, 0, 0], [0.5, 2, 0, 0.25], [0.5, 2, -1, 0.25]]
    assert table.inputs[0].tolist() == [3, 0, 0, 0]
    assert (table.calls, table.first_noise, table.bounds) == (2, 3, None)
    assert table.error < 1e-14


def test_what_is_clipped_is_a_symbol_of_its_own():
    def run(x, ask, _):
        return 0.5 * x + ask(x, x, Level(1.0, 2.0)).clamp(-1, 1)

    table = unroll_sampler(sampler(run))
    assert table.bounds == (-1.0, 1.0)
    assert table.clipped.tolist() == [[0, 1, 0]]
    assert table.states[1].tolist() == [0.5, 0, 1]


def test_a_cast_to_float32_does_not_round():
    def run(x, ask, _):
        return (x.to(torch.float32) / 3 + ask(x, x, Level(1.0, 2.0)).float() / 7).half()

    assert unroll_sampler(sampler(run)).states[1].tolist() == [1 / 3, 1 / 7]


def norm(x, ask, at):
    return x / x.norm() + ask(x, x, at)


def square(x, ask, at):
    return x + ask(x, x, at) ** 2


def shifted(x, ask, at):
    return x + ask(x, x, at) + 1


@pytest.mark.parametrize(("step", "why"), [(norm, r" \(norm of it\)"), (square, r" \(pow of it\)"), (shifted, "")])
def test_what_is_not_linear_is_refused_with_its_call(step, why):
    def run(x, ask, _):
        x = 0.9 * x + 0.1 * ask(x, x, Level(1.0, 3.0))
        return step(x, ask, Level(1.0, 2.0))

    with pytest.raises(
        dtool.UsageError, match=rf"theirs is not linear: x after network call 2 is no sum .*noise{why}\n"
    ):
        unroll_sampler(sampler(run))


def test_a_number_of_calls_that_depends_on_x_is_adaptive():
    def run(x, ask, _):
        for at in levels(3 + int(abs(float(x.flatten()[0])) > 1)):
            x = x + 0.1 * ask(x, x, at)
        return x

    with pytest.raises(dtool.UsageError, match="theirs is adaptive"):
        unroll_sampler(sampler(run))


@pytest.mark.parametrize(("value", "when"), [(float("nan"), 0), (float("inf"), 2)])
def test_nan_is_refused_with_its_call(value, when):
    def run(x, ask, _):
        for i, at in enumerate(levels(3)):
            x = x * (value if i == when else 1.0)
            x = x + ask(x, x, at)
        return x

    where = "at its start" if when == 0 else f"after network call {when}"
    with pytest.raises(dtool.UsageError, match=f"theirs gives NaN or infinity {where}"):
        unroll_sampler(sampler(run))


def test_what_the_library_raises_is_told_with_its_call():
    def run(x, ask, _):
        ask(x, x, Level(1.0, 2.0))
        raise ZeroDivisionError("of theirs")

    with pytest.raises(dtool.UsageError, match="theirs fails after network call 1: ZeroDivisionError: of theirs"):
        unroll_sampler(sampler(run))


def test_a_sampler_that_asks_nothing_is_refused():
    with pytest.raises(dtool.UsageError, match="theirs makes no network call"):
        unroll_sampler(sampler(lambda x, *_: x))


def test_increments_of_a_brownian_path_are_independent_over_its_pieces():
    from dtool.bridges.probe import BrownianPath

    def run(x, ask, probe):
        path = BrownianPath(probe)
        whole, part = path(4.0, 1.0), path(torch.tensor(4.0), torch.tensor(2.0))
        return x + ask(x, x, Level(1.0, 2.0)) + whole + part

    table = unroll_sampler(sampler(run))
    assert table.weights == pytest.approx(np.array([[(1 / 3) ** 0.5, (2 / 3) ** 0.5], [0, 1]]))
    covariance = table.weights @ table.weights.T
    assert covariance[0, 1] == pytest.approx((2 / 3) ** 0.5)


def test_clipping_only_some_images_is_refused():
    def run(x, ask, _):
        for i, at in enumerate(levels(3)):
            image = ask(x, x, at)
            x = x + (image.clamp(-1, 1) if i == 1 else image)
        return x

    with pytest.raises(dtool.UsageError, match=r"theirs does not clip once, .* call 1"):
        unroll_sampler(sampler(run))
