"""A plan as one array of float32: every column in its place, room for older predictions, and what does not fit."""

import numpy as np
import pytest

from dtool.errors import UsageError
from dtool.plan import plan
from dtool.plan.packed import COLUMNS, Room, pack
from dtool.plan.steps import make_table


@pytest.mark.parametrize(
    "recipe", ["ddpm", "dpmpp-3m", "dpmpp-sde", "heun", "lms~cfgpp:scale=0.6", "ddim~cfg:rescale=0.5"]
)
@pytest.mark.parametrize("limited", [False, True])
def test_every_column_is_the_tables_rounded_once(recipe, limited):
    made = plan(recipe, steps=6)
    table, packed = make_table(made, limited), pack(made, limited, Room(4, gaps=2, rescales=True))
    assert packed.table.shape == (made.rows, len(COLUMNS) + 4 + 2)
    assert packed.table.dtype == packed.times.dtype == np.float32
    for k, name in enumerate(COLUMNS):
        values = np.full(made.rows, made.rescale) if name == "rescale" else getattr(table, name)
        assert packed.table[:, k].tolist() == np.asarray(values, np.float32).tolist(), name
    older = packed.table[:, len(COLUMNS) :]
    assert older[:, : table.history].tolist() == table.b.astype(np.float32).tolist()
    assert not older[:, table.history :].any(), "room that the plan leaves empty"
    assert packed.times.tolist() == made.time.astype(np.float32).tolist()
    assert packed.init == np.float32(made.init)


def test_a_row_of_the_packed_table_does_what_a_step_of_the_plan_does():
    """x' = a·x + b·x0 + c·z of a plan that has no history, with F = x0."""
    made = plan("ddpm", steps=5, prediction="x0")
    row = dict(zip(COLUMNS, pack(made, False).table.T.astype(float), strict=True))
    x, image = 0.7, -0.4
    found = row["a"] * x + row["f"] * image + row["d"] * (row["c_out"] * image + row["c_skip"] * x)
    assert found == pytest.approx(made.a * x + made.b[:, 0] * image, abs=1e-6)
    assert row["c"] == pytest.approx(made.c, rel=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="remembers 2 older predictions, and there is room for 1") as error:
        pack(plan("dpmpp-3m", steps=6), False, Room(1))
    assert "history=2" in error.value.hint
    with pytest.raises(UsageError, match="starts from an image of yours"):
        pack(plan("ddim-inversion", steps=6), False)
    for recipe in ("ddim~cfgpp:scale=0.6", "ddim~cfg:rescale=0.5"):
        with pytest.raises(UsageError, match="the file has no room for it") as error:
            pack(plan(recipe, steps=6), False, Room(0))
        assert f"--recipe {recipe}" in error.value.hint
