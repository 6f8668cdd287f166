"""The MLP of any depth against autograd, and the contract: replaced, never added."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlfound.foundations.modules import LOSSES, MLP

from mlfound.foundations import functions
from mlfound.foundations.checks import relative_error
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator
from mlfound.reference.autograd import loss_and_gradients
from mlfound.training.gradients import Case, dropout_errors


def network(sizes, shift=0.0, seed=0, **options):
    parameters = mlp_parameters(sizes, INITIALIZATIONS["kaiming"], generator(seed, "test"))
    doubles = {name: p.double() for name, p in parameters.items()}
    for name, p in doubles.items():
        if name.startswith("b"):
            p += 0.1 * torch.randn(p.shape, dtype=torch.float64, generator=generator(seed, name))
    return MLP(doubles, shift, **options)


def batch(rows, features, classes, seed=0):
    x = torch.randn(rows, features, dtype=torch.float64, generator=generator(seed, "x"))
    return x, torch.randint(classes, (rows,), generator=generator(seed, "y"))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 9),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sampled_from(["mse", "cross-entropy"]),
    st.sampled_from([0.0, 0.5]),
    st.integers(0, 2**31),
)
def test_all_gradients_of_any_depth(rows, sizes, loss_name, shift, seed):
    outputs = 1 if loss_name == "mse" else 5
    model, loss = network([*sizes, outputs], shift, seed), LOSSES[loss_name]()
    x, y = batch(rows, sizes[0], outputs, seed)
    x[0] = 0.0
    value = loss(model(x), y)
    dx = model.backward(loss.backward())

    wanted_value, wanted = loss_and_gradients(model.parameters, x, y, shift, loss_name)
    assert relative_error(value, wanted_value) <= 1e-12
    got = {**model.gradients, "x": dx}
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert relative_error(got[name], wanted[name]) <= 1e-10, name


def test_a_row_of_zeros_with_zero_bias_has_the_corner_gradient_of_relu():
    model, loss = network([6, 5, 3]), LOSSES["cross-entropy"]()
    model.parameters["b1"].zero_()
    x, y = batch(4, 6, 3)
    x[:] = 0.0
    loss(model(x), y)
    model.backward(loss.backward())
    _, wanted = loss_and_gradients(model.parameters, x, y, 0.0, "cross-entropy")
    for name, got in model.gradients.items():
        assert relative_error(got, wanted[name]) <= 1e-10, name


def test_gradients_are_replaced_not_added():
    model, loss = network([6, 5, 3]), LOSSES["cross-entropy"]()
    x, y = batch(4, 6, 3)
    for _ in range(2):
        loss(model(x), y)
        model.backward(loss.backward())
        again = {name: gradient.clone() for name, gradient in model.gradients.items()}
    loss(model(x), y)
    loss(model(x), y)
    model.backward(loss.backward())
    model.backward(loss.backward())
    for name, gradient in model.gradients.items():
        assert torch.equal(gradient, again[name]), name


def test_without_input_gradient_the_weights_get_the_same():
    full, lean = network([6, 5, 3]), network([6, 5, 3], input_gradient=False)
    x, y = batch(4, 6, 3)
    for model in (full, lean):
        loss = LOSSES["cross-entropy"]()
        loss(model(x), y)
        model.dx = model.backward(loss.backward())
    assert full.dx is not None
    assert lean.dx is None
    for name, gradient in full.gradients.items():
        assert torch.equal(gradient, lean.gradients[name]), name


def test_a_step_in_the_parameters_is_a_step_of_the_model():
    model = network([6, 3])
    x, _ = batch(4, 6, 3)
    before = model(x)
    model.parameters["b1"].add_(1.0)
    torch.testing.assert_close(model(x), before + 1.0)


@pytest.mark.parametrize("loss_name", ["mse", "cross-entropy"])
def test_the_reference_shares_no_line_with_us(loss_name, monkeypatch):
    """A wrong forward of ours is wrong on our side only: the reference must not move with it."""
    from mlfound.foundations import functions

    model = network([6, 5, 1 if loss_name == "mse" else 3])
    x, y = batch(4, 6, 3)
    before, _ = loss_and_gradients(model.parameters, x, y, 0.0, loss_name)
    for name in ("linear", "relu", "mse", "cross_entropy"):
        monkeypatch.setattr(functions, name, lambda *_: pytest.fail("the reference called ours"))
    after, _ = loss_and_gradients(model.parameters, x, y, 0.0, loss_name)
    assert torch.equal(before, after)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sampled_from(["mse", "cross-entropy"]),
    st.sampled_from([(0.5, 0.0), (0.0, 0.3), (0.4, 0.2)]),
    st.integers(0, 2**31),
)
def test_all_gradients_with_dropout(sizes, loss_name, rates, seed):
    outputs = 1 if loss_name == "mse" else 5
    case = network([*sizes, outputs], 0.5, seed)
    x, y = batch(6, sizes[0], outputs, seed)
    rate, input_rate = rates if len(sizes) > 1 else (0.0, 0.3)
    found = dropout_errors(Case(case.parameters, x, y, 0.5, loss_name), rate, input_rate, seed)
    assert max(found.values()) <= 1e-10
    assert found.keys() == {"loss", "x", *case.parameters}


def test_the_check_of_dropout_says_no_to_a_gradient_without_the_mask(monkeypatch):
    monkeypatch.setattr("mlfound.foundations.functions.dropout_grad", lambda dout, mask: dout)
    case = network([6, 8, 3], 0.0)
    x, y = batch(6, 6, 3)
    found = dropout_errors(Case(case.parameters, x, y, 0.0, "cross-entropy"), 0.5, 0.0)
    assert found["loss"] <= 1e-10
    assert found["w1"] > 0.1


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    """100,000 draws at 0.3: the share has a standard error of 0.0014, the mean one of 0.0021."""
    x = torch.ones(1000, 100)
    dropped = functions.dropout(x, functions.dropout_mask(x, 0.3, generator(0, "dropout")))
    assert abs((dropped == 0).float().mean() - 0.3) < 5 * 0.0015
    assert abs(dropped.mean() - 1) < 5 * 0.0021
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]


def test_every_training_call_leaves_out_others_and_the_model_to_ask_none():
    p = network([20, 30, 3]).parameters
    x, _ = batch(5, 20, 3)
    model = MLP(p, dropout=0.5, input_dropout=0.2, generator=generator(0, "dropout"))
    assert not torch.equal(model(x), model(x))
    assert torch.equal(MLP(p)(x), MLP(p, dropout=0.5)(x))
