"""The yardsticks themselves."""

import pytest
import torch

from mlfound.foundations.checks import central_difference, relative_error


@pytest.mark.parametrize(
    ("got", "want", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([0.0, 0.0], [1e-5, 0.0], 1.0),  # what atol=1e-5 would let pass
        ([1e-9], [0.0], float("inf")),
        ([float("nan")], [1.0], float("inf")),
        ([float("inf")], [float("inf")], float("inf")),
        ([1.0], [float("nan")], float("inf")),
        ([1.0], [1.0, 1.0], float("inf")),
    ],
)
def test_relative_error(got, want, error):
    assert relative_error(torch.tensor(got), torch.tensor(want)) == error


def test_central_difference_of_a_cubic():
    x = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64)
    assert relative_error(central_difference(lambda x: (x**3).sum(), x), 3 * x**2) < 1e-8
