"""Optimisers: against torch.optim or the paper's formula, for networks side by side, on a device, accumulating."""

from functools import partial

import pytest
import torch

from mlfound.foundations.checks import relative_error
from mlfound.foundations.optimizers import OPTIMIZERS
from tests.support.optimization import BOUND, cases, errors, ours, problem


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_are_those_of_torch_or_of_the_paper(name):
    assert max(errors(name)) <= BOUND


def test_the_decay_by_default():
    assert {name: kind().decay for name, kind in OPTIMIZERS.items()} == {
        "sgd": "decoupled",
        "rmsprop": "decoupled",
        "adam": "l2",
        "adamw": "decoupled",
        "lamb": "decoupled",
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_networks_side_by_side_and_coefficients_on_a_device_change_nothing(name):
    scalar = partial(torch.tensor, dtype=torch.float64)
    for seed, (optimizer, momentum) in enumerate(cases(name)):
        three = problem(seed, momentum, networks=3)
        stacked = ours(optimizer, three)
        alone = torch.stack([ours(optimizer, three.alone(network)) for network in range(3)], 1)
        assert relative_error(stacked, alone) <= BOUND
        assert relative_error(ours(optimizer, three, number=scalar), stacked) <= BOUND


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_step_reads_a_value_from_the_device(name):
    """As in a CUDA graph: tensors of the meta device have no values, and to ask for one is an error."""
    for optimizer, _ in cases(name):
        p, g, *state = torch.empty(2 + len(optimizer.state_names), 3, 7, device="meta")
        c = optimizer.coefficients(0.1, 0.9, 0)
        on_device = type(c)(*torch.empty(len(c), device="meta"))
        optimizer.update(p, g, state, on_device, [slice(0, 3), slice(3, 7)])


def accumulating(optimizer, p, g, state, c, parts):
    """As an engine does that adds its weight gradients straight into the velocity."""
    [v] = state
    optimizer.before(p, v, c)
    v.mul_(c.momentum).add_(g)
    optimizer.after(p, v, c)


def test_sgd_says_when_gradients_may_go_straight_into_the_velocity():
    accumulates = []
    for seed, (optimizer, momentum) in enumerate(cases("sgd")):
        either = problem(seed, momentum)
        error = relative_error(ours(optimizer, either, accumulating), ours(optimizer, either))
        # dampening has no effect without momentum, which `accumulates` does not know
        assert optimizer.accumulates == (error <= BOUND) or (optimizer.dampening and not momentum)
        accumulates.append(optimizer.accumulates)
    assert sum(accumulates) == 3 * 2, (
        "three rules without dampening, two decays that leave the gradient alone"
    )
