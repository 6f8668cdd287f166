"""Any list of layers against autograd, in training and at inference; and the contract: replaced, never added."""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlfound.foundations import functions, layers, norms
from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.checks import central_difference, relative_error
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    Loss,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
    bound,
    leaf_inputs,
    leaves,
)
from mlfound.foundations.norms import BatchNorm, InstanceNorm, LayerNorm, RunningBatchNorm
from mlfound.foundations.randomness import generator
from mlfound.reference.autograd import TORCH, loss_and_gradients
from mlfound.training.gradients import BOUND, gradient_errors
from tests.support.stacks import OUTPUTS, all_in, batch, keeps_its_digits, stacks, tensors_of

pytestmark = pytest.mark.usefixtures("one_thread")


def every_layer(outputs=5):
    """One of each, of sizes that differ."""
    return Sequential(
        Flatten(),
        Dropout(0.2),
        Unflatten(1, 3, 4),
        InstanceNorm(1),
        Conv2d(1, 4, 2, stride=1, padding=2, bias=False),
        BatchNorm(4),
        MaxPool(3, 1),
        Conv2d(4, 3, 3, stride=2, padding=2, bias=False),
        RunningBatchNorm(3),
        AveragePool(2, 1),
        Conv2d(3, 5, 2),
        GlobalAveragePool(),
        Linear(5, 9),
        ReLU(0.1, 0.4, 0.8),
        Residual(Linear(9, 7), Tanh(), Linear(7, 9)),
        LayerNorm(9),
        Residual(Tanh(), Linear(9, 9), shortcut=Sequential(Linear(9, 9), Tanh())),
        Floor(0.3),
        Sequential(Linear(9, 8), GELU()),
        Dropout(0.3),
        Identity(),
        Linear(8, outputs),
    )


def errors(model, loss="cross-entropy", seed=0):
    x, y = batch(6, (3, 4), OUTPUTS[loss], seed)
    x[0] = 0.0
    return gradient_errors(model, tensors_of(model, seed), x, y, loss)


def check_any_stack(data):
    loss, inputs = data.draw(st.sampled_from(list(OUTPUTS))), data.draw(st.integers(1, 9))
    model = Sequential(*data.draw(stacks(inputs, OUTPUTS[loss])))
    rows, seed = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 2**31))
    x, y = batch(rows, (inputs,), OUTPUTS[loss], seed)
    x[0] = 0.0
    tensors = tensors_of(model, seed)
    assume(keeps_its_digits(model, tensors, x))
    found = gradient_errors(model, tensors, x, y, loss)
    assert found.keys() == {"loss", "x", *model.parameters}
    assert max(found.values()) <= BOUND


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_all_gradients_of_any_stack(data):
    check_any_stack(data)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_all_gradients_of_two_thousand_stacks(data):
    check_any_stack(data)


def test_every_layer_has_a_reference():
    assert {type(layer) for layer in all_in(every_layer())} == set(TORCH)


@pytest.mark.parametrize("loss", [pytest.param("mse", marks=pytest.mark.slow), "cross-entropy"])
def test_every_layer_and_central_differences(loss):
    """At points where nothing has a corner: their distance to it is more than the step."""
    model = every_layer(OUTPUTS[loss])
    assert max(errors(model, loss).values()) <= BOUND
    tensors, (x, y) = tensors_of(model), batch(6, (3, 4), OUTPUTS[loss])
    ours, criterion = bound(model, tensors), Loss(loss)
    criterion(ours(x), y)
    dx = ours.backward(criterion.backward())
    for name, gradient in {**ours.gradients, "x": dx}.items():

        def loss_at(changed, name=name):
            given = {**tensors, "x": x, name: changed}
            x_given = given.pop("x")
            return criterion(bound(model, given)(x_given), y)

        wanted = central_difference(loss_at, {**tensors, "x": x}[name])
        assert relative_error(gradient, wanted) <= 1e-6, name


def changed(name, change):
    """A function of `functions` with its result changed."""
    true = getattr(functions, name)
    return functions, name, lambda *args: change(true(*args), *args)


def capped(y, ceiling):
    return y if ceiling is None else y.clamp(max=ceiling)


def of_layer(kind, name, change):
    return kind, name, change


def both(residual, x):
    """What the branch and the shortcut give."""
    return [layer(x, residual.training) for layer in residual.layers]


def both_ways(residual, dout):
    """The gradients of the branch and of the shortcut."""
    return [layer.backward(dout) for layer in residual.layers]


FAULTS = {
    "leak not in the gradient": changed("general_relu_grad", lambda dx, dout, x, *more: dout * (x > 0)),
    "leak above 0": changed("general_relu_grad", lambda dx, dout, x, leak, *more: leak * dout),
    "ceiling not in the gradient": changed(
        "general_relu_grad", lambda dx, dout, x, leak, *more: torch.where(x > 0, dout, leak * dout)
    ),
    "ceiling before the shift": changed(
        "general_relu",
        lambda y, x, leak, shift, ceiling: capped(torch.where(x > 0, x, leak * x), ceiling) - shift,
    ),
    "shift added": changed("general_relu", lambda y, x, leak, shift, ceiling: capped(y + 2 * shift, ceiling)),
    "tanh: no square": changed("tanh_grad", lambda dx, dout, x: dout * (1 - x.tanh())),
    "tanh: of the output": changed("tanh_grad", lambda dx, dout, x: dout * (1 - x.tanh().tanh().square())),
    "gelu: no second term": changed("gelu_grad", lambda dx, dout, x: dout * functions.normal_below(x)),
    "gelu: the sigmoid's approximation": changed("gelu", lambda y, x: x * torch.sigmoid(1.702 * x)),
    "gelu: density without its factor": changed(
        "gelu_grad",
        lambda dx, dout, x: dout * (functions.normal_below(x) + x * torch.exp(-x.square() / 2)),
    ),
    "dropout: no mask in the gradient": changed("dropout_grad", lambda dx, dout, mask: dout),
    "dropout: not scaled": changed("dropout_grad", lambda dx, dout, mask: dout * (mask > 0)),
    "linear: db is a mean": changed("linear_grad", lambda true, dout, *more: (*true[:2], dout.mean(0))),
    "linear: dx halved": changed("linear_grad", lambda true, *more: (0.5 * true[0], *true[1:])),
    "flatten: another order": of_layer(Flatten, "gradient", lambda self, dout, x: dout.flip(1).view_as(x)),
    "floor: the corner of a ReLU": of_layer(Floor, "gradient", lambda self, dout, x: dout * (x > 0)),
    "floor: the sign of the floor": of_layer(Floor, "forward", lambda self, x: x.clamp_min(self.shift)),
    "residual: the shortcut's gradient forgotten": of_layer(
        Residual, "gradient", lambda self, dout, x: both_ways(self, dout)[0]
    ),
    "residual: the branch's gradient forgotten": of_layer(
        Residual, "gradient", lambda self, dout, x: both_ways(self, dout)[1]
    ),
    "residual: the shortcut's gradient twice": of_layer(
        Residual, "gradient", lambda self, dout, x: sum(both_ways(self, dout), start=dout)
    ),
    "residual: no shortcut": of_layer(Residual, "forward", lambda self, x: both(self, x)[0]),
    "residual: x beside the shortcut": of_layer(
        Residual, "forward", lambda self, x: sum(both(self, x), start=x)
    ),
    "identity: halved": of_layer(Identity, "gradient", lambda self, dout, x: dout / 2),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_says_no_to_every_fault(fault, monkeypatch):
    place, name, broken = FAULTS[fault]
    monkeypatch.setattr(place, name, broken)
    found = errors(every_layer())
    assert max(found.values()) > 1e-3


def test_gradients_are_replaced_not_added(monkeypatch):
    """Sums would pass a check that looks once."""
    backward = layers.Linear.gradient

    def adding(self, dout, x):
        before = getattr(self, "dw", 0.0)
        dx = backward(self, dout, x)
        self.dw = self.dw + before
        return dx

    monkeypatch.setattr(layers.Linear, "gradient", adding)
    assert max(errors(every_layer()).values()) > 0.1


def test_names_have_the_position_before_them():
    assert list(every_layer().parameters) == [
        "4.scale", "4.shift", "5.w", "6.scale", "6.shift", "8.w", "9.scale", "9.shift", "11.w", "11.b",
        "13.w", "13.b", "15.1.1.w", "15.1.1.b", "15.1.3.w", "15.1.3.b", "16.scale", "16.shift",
        "17.1.2.w", "17.1.2.b", "17.2.1.w", "17.2.1.b", "19.1.w", "19.1.b", "22.w", "22.b",
    ]  # fmt: skip
    assert list(every_layer().state) == [
        "6.mean", "6.variance", "9.sums", "9.squares", "9.numbers", "9.rows",
    ]  # fmt: skip


def test_without_input_gradient_the_weights_get_the_same():
    model = every_layer()
    x, y = batch(4, (3, 4), 5)
    full, lean = (bound(model, tensors_of(model), generator(0, "dropout")) for _ in range(2))
    for each in (full, lean):
        loss = Loss("cross-entropy")
        loss(each(x, training=True), y)
        each.dx = each.backward(loss.backward(), input_gradient=each is full)
    assert full.dx.shape == x.shape
    assert lean.dx is None
    for name, gradient in full.gradients.items():
        assert torch.equal(gradient, lean.gradients[name]), name


def test_a_step_in_the_tensors_is_a_step_of_the_model():
    model = Sequential(Linear(6, 3))
    tensors = tensors_of(model)
    ours, (x, _) = bound(model, tensors), batch(4, (6,), 3)
    before = ours(x)
    tensors["1.b"].add_(1.0)
    torch.testing.assert_close(ours(x), before + 1.0)


def test_a_row_of_zeros_with_zero_bias_has_the_corner_gradient_of_relu():
    model = Sequential(Linear(6, 5), ReLU(), Linear(5, 3))
    tensors, (x, y) = tensors_of(model), batch(4, (6,), 3)
    tensors["1.b"].zero_()
    x[:] = 0.0
    assert max(gradient_errors(model, tensors, x, y, "cross-entropy").values()) <= BOUND


@pytest.mark.parametrize("loss", OUTPUTS)
def test_the_reference_shares_no_formula_with_us(loss, monkeypatch):
    """A wrong forward of ours is wrong on our side only: the reference must not move with it."""
    model = every_layer(OUTPUTS[loss])
    tensors, (x, y) = tensors_of(model), batch(4, (3, 4), OUTPUTS[loss])
    before, _ = loss_and_gradients(model, tensors, x, y, loss)
    images = ("conv2d", "max_pool", "average_pool", "global_average_pool")
    for name in ("linear", "relu", "general_relu", "gelu", "dropout", "mse", "cross_entropy", *images):
        monkeypatch.setattr(functions, name, lambda *_: pytest.fail("the reference called ours"))
    for name in ("moments", "normalize", "affine", "moments_of_sums", "new_share"):
        monkeypatch.setattr(norms, name, lambda *_: pytest.fail("the reference called ours"))
    for kind in (Layer, *(type(layer) for layer in model.layers)):
        monkeypatch.setattr(kind, "forward", lambda *_: pytest.fail("the reference called ours"))
    after, _ = loss_and_gradients(model, tensors, x, y, loss)
    assert torch.equal(before, after)


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    """100,000 draws at 0.3: the share has a standard error of 0.0014, the mean one of 0.0021."""
    x = torch.ones(1000, 100)
    dropped = functions.dropout(x, functions.dropout_mask(x, 0.3, generator(0, "dropout")))
    assert abs((dropped == 0).float().mean() - 0.3) < 5 * 0.0015
    assert abs(dropped.mean() - 1) < 5 * 0.0021
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]


def test_every_training_call_leaves_out_others_and_inference_none():
    model = every_layer()
    ours, (x, _) = bound(model, tensors_of(model), generator(0, "dropout")), batch(5, (3, 4), 5)
    assert not torch.equal(ours(x, training=True), ours(x, training=True))
    assert torch.equal(ours(x), ours(x))
    with pytest.raises(AssertionError, match="bind one"):
        bound(model, tensors_of(model))(x, training=True)


def test_every_layer_knows_the_shape_of_its_output():
    model, (x, _) = every_layer(), batch(7, (3, 4), 5)
    ours = bound(model, tensors_of(model))
    inputs = [shape for _, shape in leaf_inputs(model, tuple(x.shape))]
    assert tuple(ours(x).shape) == model.output_shape((7, 3, 4)) == (7, 5)
    assert [tuple(leaf.x.shape) for leaf in leaves(ours)] == inputs


def test_a_branch_and_a_shortcut_of_two_sizes_are_refused():
    model = Sequential(Residual(Linear(4, 3)), Linear(3, 2))
    with pytest.raises(ValueError, match=r"layer 1, Residual: a branch of \(3,\) cannot .* of \(4,\)"):
        model.output_shape((1, 4))


@pytest.mark.parametrize("part", ["forward", "gradient"])
def test_a_layer_without_its_parts_says_so(part):
    with pytest.raises(TypeError, match=f"Layer has no {part}"):
        Layer()(torch.ones(1)) if part == "forward" else Layer().gradient(torch.ones(1), torch.ones(1))
