"""The table of a bound: every bit of it, in about ten lines."""

import re

import numpy as np
import pytest

from dtool.cli.show import likelihood
from dtool.likelihood import bound
from tests.support.gaussian_data import gaussian_network


def make_bound(steps, n=6):
    x = 0.5 * np.random.default_rng(0).standard_normal((n, 4))
    return bound(gaussian_network(), x, steps, variance="beta", levels=None, seed=1)


def read_table(capsys, result):
    likelihood.show(result)
    title, _, *lines = capsys.readouterr().out.splitlines()
    return title, [re.split(r" {2,}", line.strip()) for line in lines]


@pytest.mark.parametrize("steps", [1, 2, 11, 37, 100])
def test_the_lines_of_the_table_sum_to_the_bound(capsys, steps):
    result = make_bound(steps)
    title, [*rows, total] = read_table(capsys, result)
    assert title == f"σ² beta, {steps} steps, n = 6, seed 1, a density"
    names = [name for row in rows for name in row[0].split(" … ")]
    assert (names[0], names[-1]) == ("L_T", "L_0")
    inner = [int(name.removeprefix("L_")) for name in names[1:-1]]
    assert inner == sorted(inner, reverse=True), "from noise to image"
    assert len(rows) <= 2 + likelihood.ROWS
    bits = [float(row[2]) for row in rows]
    assert sum(bits) == pytest.approx(result.total, abs=6e-5 * len(rows))
    assert total[:3] == ["sum", f"{result.total:.4f}", f"{result.se:.4f}"]
    assert sum(float(row[4].rstrip("%")) for row in rows) == pytest.approx(100, abs=0.06 * len(rows))
    assert rows[0][5] == "-", "L_T depends on no prediction"
    errors = {term.name: term.rmse for term in result.terms}
    assert [float(row[5]) for row in rows[1:]] == pytest.approx(
        [errors[row[0].rpartition(" ")[2]] for row in rows[1:]], rel=0.01
    )


def test_one_image_has_no_error(capsys):
    result = make_bound(3, n=1)
    _, rows = read_table(capsys, result)
    assert {row[-3 if row[0] != "sum" else 2] for row in rows} == {"-"}
    assert likelihood.format_figure(result) == f"{result.total:.4f} bits/dim ({result.nats:.4f} nats/dim)"


def test_a_figure_has_its_error_and_the_same_in_nats():
    result = make_bound(5)
    text = likelihood.format_figure(result)
    assert text == f"{result.total:.4f} ± {result.se:.4f} bits/dim ({result.total * np.log(2):.4f} nats/dim)"
