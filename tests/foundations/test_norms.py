"""Norms beside torch's and by differences: output, gradients and state; and faults put in."""

import math

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlfound.foundations import norms as N  # noqa: N812
from mlfound.foundations.checks import central_difference, relative_error
from mlfound.foundations.layers import Residual, Sequential
from mlfound.foundations.norms import (
    NORMS,
    BatchNorm,
    InstanceNorm,
    LayerNorm,
    Norm,
    RunningBatchNorm,
    counts,
)
from mlfound.foundations.randomness import generator
from mlfound.reference import autograd
from mlfound.training.gradients import BOUND
from tests.support.slips import slip, worst
from tests.support.stacks import elsewhere

pytestmark = pytest.mark.usefixtures("one_thread")


def numbers(*shape, seed=0):
    """From N(0, 1), in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed, "test"))


def fresh(kind, channels, seed=0, batches=()):
    """A layer, its parameters, drawn, and its state after these batches: of torch's arithmetic, not of ours."""
    layer = NORMS[kind](channels)
    own = {"scale": 1 + 0.5 * numbers(channels, seed=seed), "shift": numbers(channels, seed=seed + 1)}
    own |= {name: torch.full(p.shape, p.start, dtype=torch.float64) for name, p in layer.state.items()}
    for batch in batches:
        _, state = wanted(layer, batch, own, training=True)
        own |= state
    return layer, own


def wanted(layer, x, own, training):
    """Output and state afterwards, by torch."""
    layer.training = training
    if isinstance(layer, BatchNorm):
        state = {"mean": own["mean"].clone(), "variance": own["variance"].clone()}
        factors = own["scale"], own["shift"]
        out = functional.batch_norm(x, *state.values(), *factors, training, layer.momentum, 1e-5)
        return out, state
    if isinstance(layer, RunningBatchNorm):
        return autograd.running_batch_norm(layer, x, own, training)
    return autograd.output(layer, x, own), {}


def norm_errors(layer, own, x, training, seed=0):
    """Of output, gradients and state, each over its largest number; of what goes through the root over its terms.

    dx is a difference: of two rows it is all but 0, and rounding is all there is of it. So its errors are over what
    goes in, dout times scale, through the smallest standard deviation.
    """
    dout = numbers(*x.shape, seed=seed + 7)
    leaves = {name: own[name].clone().requires_grad_() for name in ("scale", "shift")}
    leaves["x"] = x.clone().requires_grad_()
    out, state = wanted(layer, leaves["x"], {**own, **leaves}, training)
    gradients = dict(zip(leaves, torch.autograd.grad(out, list(leaves.values()), dout), strict=True))

    ours = {name: tensor.clone() for name, tensor in own.items()}
    layer.bind(ours)
    for _ in range(2):  # what is added instead of replaced is wrong
        for name in layer.state:
            ours[name].copy_(own[name])
        yield relative_error(layer(x, training), out.detach())
        dx = layer.backward(dout)
    for name in layer.parameters:
        # of constant channels the normalised is 0 but for rounding, and so is dscale
        terms = dout.abs().max() if name == "scale" else 0.0
        yield error(layer.gradients[name], gradients[name], terms)
    std = (layer.mean_and_variance[1] + 1e-5).sqrt()
    yield error(dx, gradients["x"], (dout * N.by_channel(own["scale"], x) / std).abs().amax())
    for name, after in state.items():
        yield relative_error(ours[name], after.detach())
        if not training:
            yield 0.0 if torch.equal(ours[name], own[name]) else math.inf


def error(got, want, terms):
    """The largest difference over the largest number wanted, or over these terms where they are larger."""
    if got.shape != want.shape or not got.isfinite().all():
        return math.inf
    return ((got - want).abs().max() / max(want.abs().max(), terms, 1e-300)).item()


def images(data, channels, rows):
    """A batch of any spread and place, some channels of it one number, perhaps in memory with gaps."""
    places = data.draw(st.just(()) | st.tuples(st.integers(1, 4), st.integers(1, 4)))
    seed = data.draw(st.integers(0, 2**31))
    x = numbers(rows, channels, *places, seed=seed)
    x = x * data.draw(st.floats(0.1, 10)) + data.draw(st.floats(-3, 3))
    for channel in data.draw(st.sets(st.integers(0, channels - 1))):
        x[:, channel] = x[0, channel].flatten()[0].clone()
    return elsewhere(x) if data.draw(st.booleans()) else x


def check_any_case(data):
    kind, channels, rows = (
        data.draw(st.sampled_from(list(NORMS))),
        data.draw(st.integers(1, 4)),
        data.draw(st.integers(1, 6)),
    )
    x, training = images(data, channels, rows), data.draw(st.booleans())
    assume(x.ndim == 4 or kind != "instance")
    before = [numbers(*x.shape, seed=seed) + 1 for seed in range(data.draw(st.integers(0, 8)))]
    alone = NORMS[kind](channels).count(tuple(x.shape)) == 1
    # torch refuses a single number; see the test of one
    assume(not alone or kind == "running-batch")
    if kind == "batch" and math.prod(x.shape) == channels:
        before = []
    layer, own = fresh(kind, channels, 5, before)
    assert max(norm_errors(layer, own, x, training)) <= BOUND


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_norm_by_autograd(data):
    check_any_case(data)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_thousand_norms_by_autograd(data):
    check_any_case(data)


def differences(function, x):
    """The gradient by central differences of three steps, extrapolated (Richardson): its error is of order step^6."""
    far, middle, near = (central_difference(function, x, step) for step in (0.02, 0.01, 0.005))
    first, second = (4 * middle - far) / 3, (4 * near - middle) / 3
    return (16 * second - first) / 15


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (kind, shape)
        for kind in NORMS
        for shape in [(5, 3), (3, 2, 3, 2), (1, 2, 2, 3)]
        if kind != "instance" or len(shape) == 4
    ],
)
def test_gradients_by_central_differences(kind, shape, training):
    """Of a batch of one image, too."""
    before = [1 + numbers(9, *shape[1:], seed=seed) for seed in range(3)]
    layer, own = fresh(kind, shape[1], 5, before)
    x, dout = 2 + numbers(*shape, seed=8), numbers(*shape, seed=9)
    layer.bind({name: tensor.clone() for name, tensor in own.items()})
    layer(x, training)
    dx = layer.backward(dout)

    for name, gradient in {**layer.gradients, "x": dx}.items():

        def loss(changed, name=name):
            given = {name: tensor.clone() for name, tensor in {**own, "x": x, name: changed}.items()}
            layer.bind(given)
            return (dout * layer(given["x"], training)).sum()

        terms = 1e-300 if name == "x" else dout.abs().max()
        assert error(gradient, differences(loss, {**own, "x": x}[name]), terms) <= BOUND, name


def test_a_single_number_becomes_the_shift():
    """Where torch refuses; `train` refuses it too, but `init-stats` and a look inside may come to it."""
    for kind, shape in {"batch": (1, 3), "layer": (4, 1), "instance": (4, 3, 1, 1)}.items():
        layer, own = fresh(kind, shape[1])
        layer.bind(own)
        x = numbers(*shape)
        assert relative_error(layer(x, training=True), N.by_channel(own["shift"], x).expand(shape)) == 0
        assert torch.equal(layer.backward(numbers(*shape)), torch.zeros(shape, dtype=torch.float64))
        assert all(tensor.isfinite().all() for tensor in own.values())
    with pytest.raises(ValueError, match="for images"):
        InstanceNorm(3)(numbers(4, 3))


def test_a_channel_of_one_number_has_no_spread_to_divide_by():
    x = numbers(4, 2, 3, 3)
    x[:, 1] = 0.7
    for kind in NORMS:
        layer, own = fresh(kind, 2)
        layer.bind(own)
        out, dx = layer(x, training=True), layer.backward(numbers(*x.shape))
        assert out.isfinite().all(), kind
        assert dx.abs().max() < 1e3, kind  # at most 1 / sqrt(eps) times what came
        if kind != "layer":
            assert relative_error(out[:, 1], own["shift"][1].expand(4, 3, 3)) < 1e-6, kind


def test_in_float32_the_squares_of_large_numbers_leave_a_variance_of_0_at_least():
    """mean(x^2) - mean^2 of equal numbers of 1,000 is rounding, of either sign, a thousand times eps."""
    layer, own = fresh("running-batch", 1)
    layer.bind({name: tensor.float() for name, tensor in own.items()})
    for n in range(40):
        out = layer(torch.full((7, 1), 1000.1 + n / 7), training=True)
    assert out.isfinite().all()


def the_courses(x, kept, momentum=0.1, eps=1e-5):
    """Running batch norm as in notebook 07, with each sum debiased by the number of steps; `kept` changes."""
    rows, over = len(x), (0, *range(2, x.ndim))
    share = 1 - (1 - momentum) / math.sqrt(rows - 1)
    now = x.sum(over), (x * x).sum(over), torch.tensor(float(x[:, 0].numel())).double()
    kept["averages"] = [old + share * (new - old) for old, new in zip(kept["averages"], now, strict=True)]
    kept["bias"] = kept["bias"] * (1 - share) + share
    kept["rows"] += rows
    sums, squares, count = (each / kept["bias"] for each in kept["averages"])
    mean = sums / count
    variance = squares / count - mean * mean
    variance = variance.clamp_min(0.01) if kept["rows"] < 20 else variance
    return (x - mean.view(-1, 1, 1)) / (variance + eps).sqrt().view(-1, 1, 1)


@pytest.mark.parametrize("spread", [1.0, 0.01])
def test_running_batch_norm_is_the_courses(spread):
    """In every batch, also those below its floor, and one that is larger."""
    layer, own = fresh("running-batch", 3)
    own["scale"], own["shift"] = own["scale"].fill_(1.0), own["shift"].fill_(0.0)
    layer.bind(own)
    kept = {
        "averages": [torch.zeros(3).double(), torch.zeros(3).double(), torch.tensor(0.0)],
        "bias": 0.0,
        "rows": 0,
    }
    for n, rows in enumerate((2, 2, 5, 9, 2, 64, 3)):
        x = 2 + spread * numbers(rows, 3, 4, 5, seed=n)
        assert relative_error(layer(x, training=True), the_courses(x, kept)) < 1e-9
    assert own["rows"].item() == 87


def test_before_any_training_the_norms_of_a_batch_let_x_pass():
    x = numbers(5, 3)
    for kind in ("batch", "running-batch"):
        layer, own = fresh(kind, 3)
        own["scale"].fill_(1.0), own["shift"].fill_(0.0)
        layer.bind(own)
        assert relative_error(layer(x), x) < 1e-5


def test_what_each_norm_makes_mean_0_and_variance_1():
    x = 3 + 5 * numbers(6, 4, 5, 7)
    for kind, over in {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}.items():
        layer, own = fresh(kind, 4)
        layer.bind(own)
        layer(x, training=True)
        mean, variance = layer.normalized.mean(over), layer.normalized.var(over, correction=0)
        assert mean.abs().max() < 1e-12
        assert (variance - 1).abs().max() < 1e-5


def test_norms_are_counted_in_containers():
    model = Sequential(Residual(Sequential(BatchNorm(3))), LayerNorm(3))
    assert [count for _, count in counts(model, (2, 3, 4, 5))] == [40, 60]


# Faults


def all_errors():
    """Every norm on features, images, a batch of one, little spread; from fresh, few rows and many rows of state."""
    cases = [
        ((6, 3), 0, 1.0),
        ((3, 2, 3, 2), 2, 1.0),
        ((1, 2, 2, 3), 6, 0.5),
        ((4, 3, 2, 2), 1, 0.03),
        ((3, 2, 2, 1), 6, 0.03),
    ]
    for kind in NORMS:
        for shape, batches, spread in cases:
            if kind == "instance" and len(shape) == 2:
                continue
            seen = [1 + spread * numbers(4, *shape[1:], seed=seed) for seed in range(batches)]
            layer, own = fresh(kind, shape[1], 5, seen)
            for training in (True, False):
                yield from norm_errors(layer, own, 1 + spread * numbers(*shape, seed=8), training)


def test_nothing_is_found_where_nothing_is_wrong():
    assert worst(all_errors) <= BOUND


FAULTS = {
    "variance corrected in training": (N.moments, "(x - mean).square().mean(axes,", "x.var(axes,"),
    "variance about 0": (N.moments, "(x - mean).square()", "x.square()"),
    "eps outside the root": (N.normalize, "(variance + eps).sqrt()", "(variance.sqrt() + eps)"),
    "no eps": (N.normalize, " + eps).sqrt()", ").sqrt()"),
    "no root": (N.normalize, "eps).sqrt()", "eps)"),
    "mean not subtracted": (N.normalize, "return (x - mean)", "return x"),
    "gradient: that of the mean forgotten": (N.normalize_grad, "of_mean * dmean", "0 * dmean"),
    "gradient: that of the variance forgotten": (N.normalize_grad, "of_variance * dvariance", "0 * dvariance"),
    "gradient: both forgotten, as in the course": (
        N.normalize_grad, "dout / std + of_mean * dmean + of_variance * dvariance * 2 * centered", "dout / std"
    ),
    "gradient: the square's 2 forgotten": (N.normalize_grad, "* 2 * centered", "* centered"),
    "gradient: of x, not of its distance": (N.normalize_grad, "* 2 * centered", "* 2 * x"),
    "gradient: the sign of the mean's": (N.normalize_grad, "dmean = -dout", "dmean = dout"),
    "gradient: the root's 2 forgotten": (N.normalize_grad, "(2 * std**3)", "std**3"),
    "gradient: eps outside the root": (N.normalize_grad, "(variance + eps).sqrt()", "(variance.sqrt() + eps)"),
    "no shift": (N.affine, " + by_channel(shift, x)", ""),
    "scale not in dx": (N.affine_grad, "dout * by_channel(scale, x)", "dout"),
    "dscale of dout": (N.affine_grad, "(dout * x).sum", "(dout + 0 * x).sum"),
    "dshift a mean": (N.affine_grad, ", dout.sum(", ", dout.mean("),
    "channels last": (N.by_channel, "1, -1, *[1] * (x.ndim - 2)", "*[1] * (x.ndim - 1), -1"),
    "dscale of every row": (N.but_channels, "(0, *range(2, x.ndim))", "tuple(range(2, x.ndim))"),
    "batch: moving averages in training": (BatchNorm.statistics, "not self.training", "True"),
    "batch: batch's statistics at inference": (BatchNorm.statistics, "not self.training", "False"),
    "batch: a gradient through the averages": (BatchNorm.statistics, "0.0, 0.0", "0.1, 0.1"),
    "batch: momentum the wrong way round": (
        BatchNorm.statistics, "mean.flatten(), self.momentum", "mean.flatten(), 1 - self.momentum"
    ),
    "batch: momentum of the variance the wrong way round": (
        BatchNorm.statistics, "tuple(x.shape))), self.momentum", "tuple(x.shape))), 1 - self.momentum"
    ),
    "batch: average of the uncorrected variance": (N.correction, "count / max(count - 1, 1)", "1.0"),
    "batch: of the rows alone": (BatchNorm.axes, "(0, *range(2, dimensions))", "(0,)"),
    "layer: of channels alone": (LayerNorm.axes, "range(1, dimensions)", "range(1, 2)"),
    "layer: of the batch too": (LayerNorm.axes, "range(1,", "range(0,"),
    "instance: of channels too": (InstanceNorm.axes, "range(2,", "range(1,"),
    "count of the rows alone": (Norm.count, "self.axes(len(shape))", "(0,)"),
    "running: state changed at inference": (RunningBatchNorm.statistics, "if self.training else 0.0", ""),
    "running: no floor": (RunningBatchNorm.statistics, "FLOOR)", "0.0)"),
    "running: the floor for ever": (RunningBatchNorm.statistics, ">= FLOORED_ROWS", "< 0"),
    "running: a gradient below the floor": (RunningBatchNorm.statistics, " * (variance > floor)", ""),
    "running: its share not in the gradient": (RunningBatchNorm.statistics, "= share / seen,", "= 1 / seen,"),
    "running: no gradient through the averages": (
        RunningBatchNorm.statistics, "share / seen, share / seen", "0 / seen, 0 / seen"
    ),
    "running: momentum the wrong way round": (N.new_share, "1 - (1 - momentum)", "1 - momentum"),
    "running: the same share for all sizes": (N.new_share, "math.sqrt(max(rows - 1, 1))", "1"),
    "running: not debiased": (RunningBatchNorm.update, "tuple(x.shape))), share)", "tuple(x.shape))), 1.0)"),
    "running: sums for squares": (RunningBatchNorm.update, "x.square().sum", "x.sum"),
    "running: batches for rows": (RunningBatchNorm.update, "+= len(x)", "+= 1"),
    "running: the mean's square not subtracted": (N.moments_of_sums, " - mean.square()", ""),
}  # fmt: skip


@pytest.mark.slow  # a test of the tests
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(fault, monkeypatch):
    slip(monkeypatch, *FAULTS[fault])
    assert worst(all_errors) > 1e-3
