"""Schedules: each curve against torch's scheduler, and what is composed of them against its formula."""

import math

import pytest
import torch
from torch.optim import lr_scheduler

from mlfound.foundations.schedules import (
    PIECES,
    SCHEDULES,
    Piece,
    constant,
    cosine,
    exponential,
    is_constant,
    linear,
    polynomial,
    rates,
)

STEPS = 50


def torchs(make, lr):
    """The learning rate before each step by one of torch's schedulers, and that after the last."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    scheduler = make(optimizer)
    for _ in range(STEPS + 1):
        yield optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
        optimizer.step()
        scheduler.step()


# torch counts on from value to value, which gathers some 50 roundings of 1e-16
@pytest.mark.parametrize(
    ("curve", "start", "end", "make"),
    [
        (constant, 0.25, 0.25, lambda o: lr_scheduler.ConstantLR(o, 0.25, STEPS + 2)),
        (linear, 0.1, 0.7, lambda o: lr_scheduler.LinearLR(o, 0.1, 0.7, STEPS)),
        (cosine, 1.0, 0.2, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, 0.2 * 0.3)),
        (exponential, 1.0, 0.01, lambda o: lr_scheduler.ExponentialLR(o, 0.01 ** (1 / STEPS))),
        (polynomial, 1.0, 0.0, lambda o: lr_scheduler.PolynomialLR(o, STEPS, 2.0)),
    ],
)
def test_a_curve_is_torchs(curve, start, end, make):
    for step, (lr, _) in enumerate(torchs(make, 0.3)):
        ours, momentum = rates([Piece(curve, start, end)], step / STEPS, 0.3, 0.9)
        assert ours == pytest.approx(lr, rel=1e-13, abs=1e-16), step
        assert momentum == pytest.approx(0.9, rel=1e-15)


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize(("start", "end"), [(0.04, 1.0), (3.0, 0.5), (0.7, 0.7)])
def test_a_curve_leads_from_start_to_end_without_a_turn(name, start, end):
    values = [PIECES[name](start, end, step / STEPS) for step in range(STEPS + 1)]
    assert values[0] == pytest.approx(start, rel=1e-15)
    assert values[-1] == pytest.approx(start if name == "constant" else end, rel=1e-15)
    assert values == sorted(values, reverse=start > end)


def test_a_momentum_of_zero_stays_zero():
    assert {curve(0.0, 0.0, p / 4) for curve in PIECES.values() for p in range(5)} == {0.0}


def test_polynomials_have_powers():
    assert [polynomial(1.0, 0.0, 0.5, power) for power in (1, 2, 3)] == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_zero_and_the_configured_values(name):
    for tick in range(101):
        lr, momentum = rates(SCHEDULES[name], tick / 100, 0.1, 0.9)
        assert 0 <= lr <= 0.1 + 1e-15
        assert 0.9 * 0.9 - 1e-15 <= momentum <= 0.9 + 1e-15


def test_constant_and_cosine():
    assert {rates(SCHEDULES["constant"], p, 0.1, 0.9) for p in (0.0, 0.3, 1.0)} == {(0.1, 0.9)}
    lrs = [rates(SCHEDULES["cosine"], p, 0.1, 0.9)[0] for p in (0.0, 0.5, 1.0)]
    assert lrs == pytest.approx([0.1, 0.05, 0.0], abs=1e-15)


def test_one_cycle_is_torchs_and_momentum_moves_against_it():
    def make(optimizer):
        # torch's peak stands at pct_start * total_steps - 1; ours at 0.3 of the way
        return lr_scheduler.OneCycleLR(
            optimizer, 0.1, total_steps=STEPS + 1, pct_start=(0.3 * STEPS + 1) / (STEPS + 1), div_factor=25,
            final_div_factor=1e12, base_momentum=0.81, max_momentum=0.9,
        )  # fmt: skip

    for step, wanted in enumerate(torchs(make, 0.1)):
        # torch ends at a 25e12th of the peak instead of 0
        assert rates(SCHEDULES["one-cycle"], step / STEPS, 0.1, 0.9) == pytest.approx(
            wanted, rel=1e-12, abs=1e-14
        )


@pytest.mark.parametrize(("lr", "momentum"), [(0.1, 0.9), (0.013, 0.87), (0.005, 0.0)])
@pytest.mark.parametrize("steps", [7, 782])
def test_one_cycle_is_its_formula_to_the_last_bit(lr, momentum, steps):
    """A run begun before schedules were composed ends with the same weights."""

    def ease(start, end, progress):
        return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2

    for step in range(steps + 1):
        progress = step / steps
        if progress < 0.3:
            rise = progress / 0.3
            wanted = ease(0.04 * lr, lr, rise), ease(momentum, 0.9 * momentum, rise)
        else:
            fall = (progress - 0.3) / (1 - 0.3)
            wanted = ease(lr, 0.0, fall), ease(0.9 * momentum, momentum, fall)
        assert rates(SCHEDULES["one-cycle"], progress, lr, momentum) == wanted, step


def test_pieces_follow_one_another_by_their_shares():
    pieces = [
        Piece(linear, 0.0, 1.0, 0.25),
        Piece(constant, 1.0, 1.0, 0.25, 0.5, 0.5),
        Piece(exponential, 1.0, 0.25, 0.5),
    ]
    seen = [rates(pieces, progress, 8.0, 0.5) for progress in (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0)]
    assert seen == [(0, 0.5), (4, 0.5), (8, 0.25), (8, 0.25), (8, 0.5), (4, 0.5), (2, 0.5)]


def test_shares_that_miss_one_by_a_rounding_error_end_at_the_end():
    pieces = [Piece(linear, 1.0, 0.5, 1 / 3)] * 2 + [Piece(linear, 0.5, 0.0, 1 / 3 - 1e-10)]
    assert rates(pieces, 1.0, 0.1, 0.9) == (0.0, 0.9)


def test_only_equal_constant_pieces_are_constant():
    half = Piece(constant, 0.5, 0.5, 0.5)
    assert is_constant(SCHEDULES["constant"])
    assert is_constant([half, half])
    assert not is_constant([half, Piece(constant, 1.0, 1.0, 0.5)])
    assert not is_constant([half, Piece(constant, 0.5, 0.5, 0.5, 0.9, 0.9)])
    assert not is_constant([Piece(linear, 1.0, 0.5)])
    assert not is_constant(SCHEDULES["cosine"])
