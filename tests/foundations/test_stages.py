"""Every stage in over a thousand generated cases against autograd, and the contract: replaced, never added."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfound.experiments.backprop.cases import EDGES, draw, errors
from mlfound.experiments.backprop.correctness import CHECKED
from mlfound.experiments.backprop.lesson import LADDER
from mlfound.foundations.classes import Model
from mlfound.foundations.stages import STAGES
from mlfound.reference.torch_functional import torch_functional
from mlfound.reference.torch_nn import torch_nn
from mlfound.training.gradients import BOUND

LOSSES = ["mse", "cross-entropy"]
CASE = ((7, 11, 5, 3), 0.5, "cross-entropy")


@st.composite
def cases(draw_):
    """Small networks of any shape, one row and one hidden unit among them, now and then at an edge."""
    sizes = tuple(draw_(st.tuples(*(st.integers(low, 9) for low in (1, 1, 1, 2)))))
    shift, loss = draw_(st.sampled_from([0.0, 0.5])), draw_(st.sampled_from(LOSSES))
    seed, edge = draw_(st.integers(0, 2**31)), draw_(st.sampled_from([None, *EDGES]))
    return draw(sizes, shift, loss, seed, edge)


@pytest.mark.parametrize("name", CHECKED)
@settings(max_examples=200, deadline=None)
@given(case=cases())
def test_the_loss_and_all_five_gradients(name, case):
    found = errors(CHECKED[name], case)
    assert set(found) == {"loss", "w1", "b1", "w2", "b2", "x"}
    for tensor, error in found.items():
        assert error <= BOUND, (name, tensor, error)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*(st.integers(low, 4) for low in (1, 1, 1, 2))),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from(LOSSES),
    st.integers(0, 2**31),
)
def test_a_second_opinion_by_central_differences(sizes, shift, loss, seed):
    case = draw(sizes, shift, loss, seed)
    _, gradients = STAGES["modules"](case.parameters, case.x, case.y, shift, loss)
    for name, got in gradients.items():
        want = case.difference(name)
        # where a gradient is 0, what differences leave is rounding: eps times the loss over the step
        assert (got - want).abs().max() <= 1e-6 * max(1.0, want.abs().max()), name


@pytest.mark.parametrize("name", LADDER)
def test_forward_twice_then_backward_is_the_same_as_once(name):
    case = draw(*CASE)
    given = (case.parameters, case.x, case.y, case.relu_shift, case.loss)
    _, once = LADDER[name](*given)
    first, second = LADDER[name](*given), LADDER[name](*given)
    assert torch.equal(next(first), next(second))
    for gradients in (next(first), next(second)):
        assert gradients.keys() == once.keys()
        for tensor, got in gradients.items():
            assert torch.equal(got, once[tensor]), tensor


def test_a_model_of_classes_replaces_what_it_remembers_and_its_gradients():
    case, other = draw(*CASE), draw(*CASE, seed=1)
    _, once = STAGES["classes"](case.parameters, case.x, case.y, case.relu_shift, case.loss)
    model = Model(case.parameters, case.relu_shift, case.loss)
    model(other.x, other.y)
    model.backward()
    for _ in range(2):
        model(case.x, case.y)
    model.backward()
    for tensor, got in model.backward().items():
        assert torch.equal(got, once[tensor]), tensor


@pytest.mark.parametrize("name", LADDER)
def test_without_the_inputs_gradient_the_others_are_the_same(name):
    case = draw(*CASE)
    given = (case.parameters, case.x, case.y, case.relu_shift, case.loss)
    _, full = LADDER[name](*given)
    _, lean = LADDER[name](*given, input_gradient=False)
    assert lean.pop("x") is None
    assert full.pop("x") is not None
    for tensor, got in lean.items():
        assert torch.equal(got, full[tensor]), tensor


@pytest.mark.parametrize("name", LADDER)
def test_a_pass_changes_nothing_that_it_was_given(name):
    case = draw(*CASE)
    before = {key: tensor.clone() for key, tensor in {**case.parameters, "x": case.x}.items()}
    _, _ = LADDER[name](case.parameters, case.x, case.y, case.relu_shift, case.loss)
    for key, tensor in {**case.parameters, "x": case.x}.items():
        assert torch.equal(tensor, before[key]), key
        assert not tensor.requires_grad, key


def test_modules_and_the_references_go_to_any_depth():
    case, extra = draw(*CASE), draw((2, 3, 3, 4), 0.0, "cross-entropy")
    deep = {**case.parameters, "w3": extra.parameters["w2"], "b3": extra.parameters["b2"]}
    deep["w3"] = deep["w3"][:3]
    results = [
        dict(zip(("loss", "gradients"), stage(deep, case.x, case.y, 0.5, "cross-entropy"), strict=True))
        for stage in (STAGES["modules"], torch_nn, torch_functional)
    ]
    for result in results:
        torch.testing.assert_close(result, results[0], rtol=1e-10, atol=1e-15)
