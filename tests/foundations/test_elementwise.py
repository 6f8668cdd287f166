"""Elementwise by hand against torch, and the lesson's own numbers."""

import pytest
import torch

from mlfound.foundations.checks import relative_error, test_eq, test_near
from mlfound.foundations.elementwise import OPERATIONS, elementwise, frobenius_norm, mean

A, B = torch.tensor([10.0, 6.0, -4.0]), torch.tensor([2.0, 8.0, 7.0])
M = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])


def test_the_lessons_sum_comparison_and_norm():
    test_eq(elementwise(OPERATIONS["+"], A, B), torch.tensor([12.0, 14.0, 3.0]))
    test_eq(elementwise(OPERATIONS["<"], A, B), torch.tensor([False, True, True]))
    assert f"{mean(A < B):.4f}" == "0.6667"
    assert f"{frobenius_norm(M):.4f}" == "16.8819"


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    "shapes", [((), ()), ((3,), ()), ((2, 1, 3), (5, 1)), ((1, 3), (3, 1)), ((0, 3), (1,))]
)
def test_every_operation_is_torchs(name, shapes):
    draws = torch.Generator().manual_seed(0)
    a, b = (torch.randint(-2, 3, shape, generator=draws).double() for shape in shapes)  # with ties and x / 0
    got, want = elementwise(OPERATIONS[name], a, b), OPERATIONS[name](a, b)
    assert got.dtype == want.dtype or not got.numel()
    torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True, check_dtype=False)


def test_every_operation_is_the_one_it_is_called():
    for name, operation in OPERATIONS.items():
        for x, y in [(7.0, 2.0), (2.0, 7.0), (2.0, 2.0)]:
            assert operation(x, y) == eval(f"x {name} y"), (name, x, y)


@pytest.mark.parametrize("shape", [(1,), (5, 7), (3, 1, 4), ()])
def test_mean_and_norm_are_torchs(shape):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert relative_error(mean(x), x.mean()) <= 1e-15
    assert relative_error(frobenius_norm(x), torch.linalg.vector_norm(x)) <= 1e-15


def test_a_norm_hides_one_wrong_element_among_many():
    """Why relative_error asks for the largest difference and is not a ratio of Frobenius norms."""
    want = torch.ones(100, 100)
    got = want.clone()
    got[3, 5] = 2.0
    assert relative_error(got, want) == 1.0
    test_near(frobenius_norm(got - want) / frobenius_norm(want), 0.01)
