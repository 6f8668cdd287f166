"""Do the gradient checks bite? Each fault is put into one of our functions, and the experiment must see it."""

from itertools import product

import pytest
import torch

from mlfound.experiments.backprop.cases import errors, situations
from mlfound.foundations import functions as F  # noqa: N812
from mlfound.foundations.stages import STAGES
from mlfound.training.gradients import BOUND

linear, linear_grad, relu_grad = F.linear, F.linear_grad, F.relu_grad
mse, mse_grad, cross_entropy_grad = F.mse, F.mse_grad, F.cross_entropy_grad


def squeezed_grad(dout, out, target):
    """A bare squeeze: of a batch of one it takes the batch away, too."""
    return (out.squeeze() - target.squeeze())[..., None] * (2 * dout / len(target))


def unstable(logits):
    return logits - logits.exp().sum(1, keepdim=True).log()


def changed_linear_grad(**changes):
    """linear_grad with another formula for some of dx, dw and db: a function of dout, x and w."""

    def broken(dout, x, w, *options):
        true = dict(zip(("dx", "dw", "db"), linear_grad(dout, x, w, *options), strict=True))
        return tuple({**true, **{name: change(dout, x, w) for name, change in changes.items()}}.values())

    return broken


def dx_by_w_where_it_fits(dout, x, w):
    return dout @ (w if w.shape[0] == w.shape[1] else w.T)


def dw_the_other_way_where_it_fits(dout, x, w):
    return dout.T @ x if w.shape[0] == w.shape[1] else x.T @ dout


def accumulated(dout, x, w, *options):
    """Added to what hangs on the weights from the pass before, as torch does it with .grad."""
    dx, dw, db = linear_grad(dout, x, w, *options)
    w.dw = dw + getattr(w, "dw", 0.0)
    return dx, w.dw, db


def shifted_relu_grad(dout, x):
    """The gradient of max(x, shift), the other function that the lesson calls a shifted ReLU."""
    return dout * (x > 0.5)


FAULTS = {
    "relu: > became >=": ("relu_grad", lambda dout, x: dout * (x >= 0)),
    "relu: no mask": ("relu_grad", lambda dout, x: dout),
    "relu: the mask turned round": ("relu_grad", lambda dout, x: dout * (x <= 0)),
    "relu: the input instead of dout": ("relu_grad", lambda dout, x: x * (x > 0)),
    "relu: the shift in the gradient": ("relu_grad", shifted_relu_grad),
    "relu: the shift added": ("relu", lambda x, shift=0.0: x.clamp_min(0) + shift),
    "relu: the floor at -shift": ("relu", lambda x, shift=0.0: x.clamp_min(-shift)),
    "linear: no bias": ("linear", lambda x, w, b: x @ w),
    "linear: dx with w, not transposed": ("linear_grad", changed_linear_grad(dx=dx_by_w_where_it_fits)),
    "linear: dw transposed": ("linear_grad", changed_linear_grad(dw=dw_the_other_way_where_it_fits)),
    "linear: the sign of dw": ("linear_grad", changed_linear_grad(dw=lambda dout, x, w: -x.T @ dout)),
    "linear: dw divided by the rows": (
        "linear_grad",
        changed_linear_grad(dw=lambda dout, x, w: x.T @ dout / len(x)),
    ),
    "linear: db is a mean": ("linear_grad", changed_linear_grad(db=lambda dout, x, w: dout.mean(0))),
    "linear: db is one number for all": (
        "linear_grad",
        changed_linear_grad(db=lambda dout, x, w: dout.sum().expand(w.shape[1])),
    ),
    "linear: db over the wrong axis": ("linear_grad", changed_linear_grad(db=lambda dout, x, w: dout.sum(1))),
    "linear: db keeps an axis": ("linear_grad", changed_linear_grad(db=lambda dout, x, w: dout.sum(0, True))),
    "linear: added, not replaced": ("linear_grad", accumulated),
    "mse: the sign": ("mse_grad", lambda dout, out, target: -mse_grad(dout, out, target)),
    "mse: no 2": ("mse_grad", lambda dout, out, target: mse_grad(dout / 2, out, target)),
    "mse: no 1/N": ("mse_grad", lambda dout, out, target: mse_grad(dout * len(target), out, target)),
    "mse: a sum": ("mse", lambda out, target: (out[:, 0] - target).square().sum()),
    "mse: (N, 1) - (N,) is (N, N)": ("mse", lambda out, target: (out - target).square().mean()),
    "mse: a bare squeeze": ("mse_grad", squeezed_grad),
    "cross-entropy: exp overflows": ("log_softmax", unstable),
    "cross-entropy: softmax over the rows": ("log_softmax", lambda logits: logits.log_softmax(0)),
    "cross-entropy: no 1/N": (
        "cross_entropy_grad",
        lambda dout, logits, target: cross_entropy_grad(dout * len(target), logits, target),
    ),
    "cross-entropy: the label not taken off": (
        "cross_entropy_grad",
        lambda dout, logits, target: logits.softmax(1) * dout / len(target),
    ),
    "cross-entropy: one too much by 1e-9": (
        "cross_entropy_grad",
        lambda dout, logits, target: cross_entropy_grad(dout * (1 + 1e-9), logits, target),
    ),
}
WEIGHT_FAULTS = {
    "classes-outer": lambda dout, x: (x[:, :, None] * dout[:, None, :]).mean(0),
    "modules-einsum": lambda dout, x: torch.einsum("bi,bj->i", x, dout)[:, None].expand(-1, dout.shape[1]),
}


def worst(stage):
    """The largest error in any case; what the stage cannot even compute is wrong without end."""
    found = []
    for shift, loss in product((0.0, 0.5), ("mse", "cross-entropy")):
        for _, case in situations(shift, loss):
            try:
                found += errors(stage, case).values()
            except (IndexError, RuntimeError):  # shapes that do not fit
                found.append(float("inf"))
    return max(found)


def put_in(monkeypatch, name, fault):
    """Into the module, and into the pairs of formula and gradient that the first stage goes by."""
    true = getattr(F, name)
    monkeypatch.setattr(F, name, fault)
    for loss, pair in F.LOSSES.items():
        monkeypatch.setitem(F.LOSSES, loss, tuple(fault if each is true else each for each in pair))


@pytest.mark.slow  # a test of the tests
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught_in_every_stage(fault, stage, monkeypatch):
    put_in(monkeypatch, *FAULTS[fault])
    assert worst(STAGES[stage]) > BOUND


@pytest.mark.parametrize("stage", WEIGHT_FAULTS)
def test_a_fault_in_a_stages_own_product_is_caught(stage):
    base = STAGES[stage].func
    assert worst(STAGES[stage]) <= BOUND
    assert worst(lambda *case: base(*case, weight_grad=WEIGHT_FAULTS[stage])) > BOUND


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_caught_where_nothing_is_wrong(stage):
    assert worst(STAGES[stage]) <= BOUND
