"""What the comparisons accept, and that a failure of an assertion shows both values."""

import math

import pytest
import torch

from mlfound.foundations.checks import equal, near, test_eq, test_near, test_near_zero

X = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_what_is_the_same_passes():
    assert equal(X, X.clone())
    assert near(X, X.clone())
    assert near(1.4, torch.tensor(1.0), rtol=0.5, atol=0)
    for same in (test_eq, test_near):
        same(X, X.clone())
        same(torch.zeros(0, 3), torch.zeros(0, 3))
        same(torch.tensor(math.inf), torch.tensor(math.inf))
        same(torch.tensor([True, False]), torch.tensor([True, False]))
    test_near(2, torch.tensor(2, dtype=torch.uint8))
    test_near(torch.tensor(2, dtype=torch.uint8), torch.tensor(3, dtype=torch.uint8), atol=2)


def test_near_has_the_lessons_tolerances():
    test_near(X * 1.0009, X)
    test_near(9e-6, 0.0)
    for got, want in [(X * 1.0011, X), (1.1e-5, 0.0), (torch.zeros(3), torch.full((3,), 2e-5))]:
        with pytest.raises(AssertionError, match="not within 1e-05"):
            test_near(got, want)
    test_near(1.4, 1.0, rtol=0.5, atol=0)


def test_near_zero_has_a_tolerance():
    test_near_zero(torch.tensor([-9e-4, 9e-4, 0.0]))
    test_near_zero(0.4, tolerance=0.5)
    for value in (torch.tensor([0.0, -1e-3]), 1.0, math.nan):
        with pytest.raises(AssertionError, match=r"not within 0\.001 of zero"):
            test_near_zero(value)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (X, X.T),
        (X, X[:1]),  # what broadcasting would let pass
        (torch.ones(3), 1.0),
        (torch.tensor([1.0, math.nan]), torch.tensor([1.0, math.nan])),
        (math.inf, 1e30),
        (1e30, math.inf),
        (math.inf, -math.inf),
    ],
)
def test_shapes_nan_and_infinities_are_told_apart(got, want):
    assert not near(got, want)
    assert not equal(*map(torch.as_tensor, (got, want)))
    for same in (test_eq, test_near):
        with pytest.raises(AssertionError):
            same(got, want)


def test_equal_is_exact():
    for got, want in [(X + 1e-6, X), (torch.tensor(2**53 + 1), torch.tensor(2**53))]:
        with pytest.raises(AssertionError, match="not equal"):
            test_eq(got, want)


def test_a_failure_shows_both_values_and_the_worst_place():
    got = X.clone()
    got[0, 2], got[1, 0] = 3.25, 4.5
    with pytest.raises(AssertionError) as caught:
        test_eq(got, X)
    assert str(caught.value).splitlines() == [
        "not equal: 2 of 6 differ, most by 0.5 at (1, 0)",
        " got (2, 3): 1 2 3.25 4.5 5 6",
        "want (2, 3): 1 2 3 4 5 6",
    ]


def test_a_failure_points_at_what_fails_and_not_at_a_larger_difference_within_tolerance():
    with pytest.raises(AssertionError, match=r"1 of 2 differ, most by 0\.5 at \(1,\)"):
        test_near(torch.tensor([1001.0, 1.5]), torch.tensor([1000.0, 1.0]), rtol=2e-3)


def test_a_failure_of_large_tensors_is_short_and_points_beyond_what_it_shows():
    want = torch.zeros(500, 784)
    got = want.clone()
    got[499, 783] = math.nan
    with pytest.raises(AssertionError) as caught:
        test_near(got, want)
    assert "1 of 392000 differ, most by nan at (499, 783)" in str(caught.value)
    assert "want (500, 784): 0 0 0 0 0 0 0 0 ..." in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_failure_of_shapes_and_of_numbers():
    with pytest.raises(
        AssertionError, match=r"not equal: shapes differ\n got \(2, 3\): 1 2.*\nwant \(3, 2\): 1 4"
    ):
        test_eq(X, X.T)
    with pytest.raises(AssertionError, match=r"most by 1 at \(\)\n got \(\): 3\nwant \(\): 2"):
        test_near(3.0, 2.0)
