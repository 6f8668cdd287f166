"""Every formula and its gradient beside torch's own, on the same float64 input; and central differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from mlfound.foundations import functions
from mlfound.foundations.checks import central_difference, relative_error

BOUND = 1e-10
SHAPES = [(1, 3, 2), (5, 7, 3), (2, 1, 4), (33, 11, 1)]  # batch, in, out: odd, and never square


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def autograd(function, *inputs: Tensor, dout: Tensor | None = None) -> tuple[Tensor, ...]:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = function(*leaves)
    return torch.autograd.grad(out, leaves, grad_outputs=dout)


@pytest.mark.parametrize(("batch", "fan_in", "fan_out"), SHAPES)
def test_linear(batch, fan_in, fan_out):
    x, w, b, dout = (
        normal(batch, fan_in),
        normal(fan_in, fan_out),
        normal(fan_out),
        normal(batch, fan_out, seed=1),
    )
    torch.testing.assert_close(functions.linear(x, w, b), functional.linear(x, w.T, b), rtol=0, atol=1e-13)
    wanted = autograd(lambda x, w, b: functional.linear(x, w.T, b), x, w, b, dout=dout)
    for name, got, want in zip(("dx", "dw", "db"), functions.linear_grad(dout, x, w), wanted, strict=True):
        assert relative_error(got, want) <= BOUND, name


def test_linear_without_its_input_gradient_gives_the_same_rest():
    x, w, dout = normal(5, 7), normal(7, 3), normal(5, 3, seed=1)
    dx, dw, db = functions.linear_grad(dout, x, w, input_gradient=False)
    _, dw_full, db_full = functions.linear_grad(dout, x, w)
    assert dx is None
    assert torch.equal(dw, dw_full)
    assert torch.equal(db, db_full)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_relu_with_its_corner(shift):
    x = normal(5, 7)
    x[2] = 0.0  # torch's gradient is 0 at 0, and so must ours be
    dout = normal(5, 7, seed=1)
    assert torch.equal(functions.relu(x, shift), functional.relu(x) - shift)
    (wanted,) = autograd(lambda x: functional.relu(x) - shift, x, dout=dout)
    assert torch.equal(functions.relu_grad(dout, x), wanted)
    assert not functions.relu_grad(dout, x)[2].any()


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_mse(batch):
    out, target = normal(batch, 1), torch.arange(batch) % 10
    assert functions.mse(out, target).item() == pytest.approx(
        functional.mse_loss(out.squeeze(1), target.double()).item(), rel=1e-13
    )
    (wanted,) = autograd(lambda out: functional.mse_loss(out.squeeze(1), target.double()), out)
    assert relative_error(functions.mse_grad(1.0, out, target), wanted) <= BOUND


@pytest.mark.parametrize("scale", [1.0, 1e4, 0.0])
@pytest.mark.parametrize("batch", [1, 7])
def test_cross_entropy_even_of_huge_logits(batch, scale):
    logits, target = normal(batch, 10) * scale, torch.arange(batch) % 10
    assert functions.cross_entropy(logits, target).item() == pytest.approx(
        functional.cross_entropy(logits, target).item(), rel=1e-12
    )
    (wanted,) = autograd(lambda logits: functional.cross_entropy(logits, target), logits)
    assert relative_error(functions.cross_entropy_grad(1.0, logits, target), wanted) <= BOUND


def test_cross_entropy_in_float32_does_not_overflow():
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    assert functions.cross_entropy(logits, torch.tensor([0])).item() == 0.0
    assert functions.cross_entropy(logits, torch.tensor([1])).item() == 2e4
    assert torch.isfinite(functions.cross_entropy_grad(1.0, logits, torch.tensor([1]))).all()


@pytest.mark.parametrize(
    ("loss", "gradient", "columns"),
    [
        (functions.mse, functions.mse_grad, 1),
        (functions.cross_entropy, functions.cross_entropy_grad, 10),
    ],
)
def test_losses_pass_their_dout_on(loss, gradient, columns):
    out, target = normal(3, columns), torch.tensor([3, 0, 9])
    (wanted,) = autograd(lambda out: 2.5 * loss(out, target), out)
    assert relative_error(gradient(2.5, out, target), wanted) <= BOUND


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31))
def test_central_differences_agree(batch, fan_in, fan_out, seed):
    x, w, b = normal(batch, fan_in, seed=seed), normal(fan_in, fan_out, seed=seed + 1), normal(fan_out)
    target = torch.arange(batch) % fan_out

    def loss(x, w, b):
        return functions.cross_entropy(functions.linear(x, w, b), target)

    dout = functions.cross_entropy_grad(1.0, functions.linear(x, w, b), target)
    dx, dw, db = functions.linear_grad(dout, x, w)
    numeric = {
        "dx": (dx, central_difference(lambda x: loss(x, w, b), x)),
        "dw": (dw, central_difference(lambda w: loss(x, w, b), w)),
        "db": (db, central_difference(lambda b: loss(x, w, b), b)),
    }
    for name, (got, want) in numeric.items():
        # with one class all gradients are 0, and what differences leave is rounding: eps / step
        assert (got - want).abs().max() <= 1e-6 * max(1.0, want.abs().max()), name


@pytest.mark.parametrize(
    "fault",
    [
        lambda dx, dw, db: (-dx, dw, db),
        lambda dx, dw, db: (dx, dw / 5, db),
        lambda dx, dw, db: (dx, dw, db[:1]),
        lambda dx, dw, db: (dx, dw.fill_(0.0), db),
        lambda dx, dw, db: (dx * (1 + 1e-9), dw, db),
        lambda dx, dw, db: (dx, dw, db.fill_(float("nan"))),
    ],
)
def test_the_check_says_no_to_a_broken_gradient(fault):
    x, w, b, dout = normal(5, 7), normal(7, 3), normal(3), normal(5, 3, seed=1)
    wanted = autograd(lambda x, w, b: functional.linear(x, w.T, b), x, w, b, dout=dout)
    broken = fault(*functions.linear_grad(dout, x, w))
    assert max(map(relative_error, broken, wanted)) > BOUND
