"""A notebook of the user's that stands on mlfound's own pieces: the ladder, the checks, the timing."""

from pathlib import Path

import pytest

from tests.support.pages import write

RUNG = '''#export
from mlfound.foundations.matmul import MATMULS

def outer_products(a, b):
    """A column of a times a row of b is one of k layers; the product is their sum."""
    return sum(a[:, k, None] * b[k] for k in range(a.shape[1]))'''

CHECK = """import torch
from mlfound.foundations.checks import relative_error, test_eq, test_near, test_near_zero

a, b = torch.rand(5, 784), torch.rand(784, 10)
test_near(outer_products(a, b), a @ b)
assert relative_error(outer_products(a, b), a @ b) < 1e-5
test_near_zero(outer_products(a, b) - a @ b, tolerance=1e-2)
test_eq(outer_products(torch.eye(3), torch.eye(3)), torch.eye(3))"""

TIME = """from mlfound.stats.timing import measure

rungs = {**MATMULS, "outer-products": outer_products}
timings = measure({name: lambda rung=rung: rung(a, b) for name, rung in rungs.items()}, budget=0.02)
for name, timing in timings.items():
    low, high = timing.quartiles
    print(f"{name:15} {timing.median * 1e6:12,.1f} us  ({low * 1e6:,.1f} to {high * 1e6:,.1f}, n = {timing.n})")
assert set(timings) == {*MATMULS, "outer-products"}"""

WRONG = "test_near(outer_products(a, b), a @ b + 1)"


@pytest.mark.slow
def test_a_rung_of_ones_own_is_checked_timed_and_exported(mlfound):
    write(Path("04_rung.ipynb"), RUNG, CHECK, TIME)
    tested = mlfound("notebook", "test", "04_rung.ipynb")
    assert tested.code == 0, tested
    assert mlfound("notebook", "export", "04_rung.ipynb").code == 0
    exec(Path("exp/nb_04.py").read_text(encoding="utf-8"), names := {})
    assert set(names) > {"MATMULS", "outer_products"}


def test_a_rung_that_is_wrong_fails_and_shows_by_how_much(mlfound):
    write(Path("04_rung.ipynb"), RUNG, CHECK, WRONG)
    tested = mlfound("notebook", "test", "04_rung.ipynb")
    assert tested.code == 1
    assert (
        "04_rung.ipynb: cell 3: AssertionError: not within 1e-05 + 0.001 |want|: 50 of 50 differ"
        in tested.out
    )
