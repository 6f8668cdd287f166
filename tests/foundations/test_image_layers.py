"""Layers of images: any stack beside autograd, each function by differences, ties, and faults put in."""

import math

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from mlfound.foundations import convolution as C  # noqa: N812
from mlfound.foundations import functions as F  # noqa: N812
from mlfound.foundations.activations import ReLU
from mlfound.foundations.checks import central_difference, relative_error
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
    bound,
)
from mlfound.foundations.randomness import generator
from mlfound.reference import autograd
from mlfound.training.gradients import BOUND, gradient_errors
from tests.support.slips import slip, worst
from tests.support.stacks import OUTPUTS, batch, elsewhere, image_stacks, keeps_its_digits, tensors_of

pytestmark = pytest.mark.usefixtures("one_thread")


def numbers(*shape, seed=0):
    """From N(0, 1), in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed, "test"))


def whole_numbers(*shape, seed=0):
    """From -2 to 2: many are equal, and their sums and products have no rounding."""
    return torch.randint(-2, 3, shape, generator=generator(seed, "test")).double()


def check_any_stack(data):
    loss = data.draw(st.sampled_from(list(OUTPUTS)))
    shape, layers = data.draw(image_stacks(OUTPUTS[loss]))
    model, rows, seed = Sequential(*layers), data.draw(st.integers(1, 4)), data.draw(st.integers(0, 2**31))
    tensors, (x, y) = tensors_of(model, seed), batch(rows, shape, OUTPUTS[loss], seed)
    assume(keeps_its_digits(model, tensors, x))
    x = elsewhere(x) if data.draw(st.booleans()) else x
    found = gradient_errors(model, tensors, x, y, loss)
    assert found.keys() == {"loss", "x", *model.parameters}
    assert max(found.values()) <= BOUND


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_all_gradients_of_any_stack(data):
    check_any_stack(data)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_all_gradients_of_two_thousand_stacks(data):
    check_any_stack(data)


def tie_errors(layers, x, seed=0):
    """Of all gradients of a random `dout`, where every number is whole, or whole but for the share of a mean.

    Over the largest number, or over 1: what cancels out is 0, or is rounding where a mean is over 9 places.
    """
    model = Sequential(*layers)
    tensors = {name: whole_numbers(*p.shape, seed=seed + 1) for name, p in model.parameters.items()}
    ours = bound(model, tensors, generator(0, "dropout"))
    out = ours(x, training=True)
    dout = whole_numbers(*out.shape, seed=seed + 2)
    found = {"x": ours.backward(dout), **ours.gradients}
    leaves, x = {name: p.requires_grad_() for name, p in tensors.items()}, x.clone().requires_grad_()
    wanted = autograd.output(ours, x, leaves)
    gradients = torch.autograd.grad(wanted, [*leaves.values(), x], dout)
    pairs = [(out, wanted.detach()), *zip(map(found.get, [*leaves, "x"]), gradients, strict=True)]
    for got, want in pairs:
        assert got.shape == want.shape
        yield ((got - want).abs().max() / max(1.0, want.abs().max())).item()


def check_ties(data):
    """Sums without rounding are equal in any order: the same pixel is the largest for us and for torch."""
    shape, layers = data.draw(image_stacks(5, exact=True))
    rows, seed = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 2**31))
    x = whole_numbers(rows, *shape, seed=seed)
    x[0] = 0.0
    x = elsewhere(x) if data.draw(st.booleans()) else x
    assert max(tie_errors(layers, x, seed)) <= 1e-12


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_ties_in_any_stack(data):
    check_ties(data)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_ties_in_a_thousand_stacks(data):
    check_ties(data)


def test_of_several_largest_the_first_gets_the_gradient():
    """Row by row, as in torch."""
    x = torch.tensor([[1.0, 3.0, 3.0], [3.0, 3.0, 2.0]]).view(1, 1, 2, 3)
    dx = F.max_pool_grad(torch.tensor([[[[10.0, 1.0]]]]), x, (2, 2), 1)
    assert dx.tolist() == [[[[0.0, 11.0, 0.0], [0.0, 0.0, 0.0]]]]


POOLS = {
    "max": (F.max_pool, F.max_pool_grad, functional.max_pool2d),
    "average": (F.average_pool, F.average_pool_grad, functional.avg_pool2d),
}
IMAGES = {  # shape, window, stride
    "overlapping": ((2, 3, 7, 5), (3, 2), 1),
    "some left over": ((1, 2, 8, 5), (2, 3), 2),
    "gaps between": ((3, 1, 5, 9), (1, 2), 3),
    "one window": ((1, 1, 3, 4), (3, 4), 2),
}


def differences(function, x, dout):
    """The gradient of sum(dout function(x)) by central differences, exact where it is linear on the way."""
    return central_difference(lambda x: (dout * function(x)).sum(), x, step=1e-3)


@pytest.mark.parametrize("case", IMAGES)
@pytest.mark.parametrize("kind", POOLS)
def test_pooling_by_torch_and_by_differences(kind, case):
    """A thousandth changes no largest pixel, and as long as that is so both are linear: the differences are exact."""
    pool, pool_grad, torchs = POOLS[kind]
    shape, size, stride = IMAGES[case]
    x = torch.randperm(math.prod(shape), generator=generator(0, "test")).double().view(shape) / 100
    out = pool(x, size, stride)
    assert relative_error(out, torchs(x, size, stride)) <= 1e-12
    dout = numbers(*out.shape)
    dx = pool_grad(dout, x, size, stride)
    assert relative_error(dx, differences(lambda x: pool(x, size, stride), x, dout)) <= BOUND
    assert torch.equal(pool_grad(dout, elsewhere(x), size, stride), dx)


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (1, 1, 1, 4), (3, 2, 1, 1)])
def test_global_average_pooling_by_torch_and_by_differences(shape):
    x, dout = numbers(*shape), numbers(*shape[:2], seed=1)
    want = functional.adaptive_avg_pool2d(x, 1).flatten(1)
    assert relative_error(F.global_average_pool(x), want) <= 1e-12
    dx = F.global_average_pool_grad(dout, x)
    assert relative_error(dx, differences(F.global_average_pool, x, dout)) <= BOUND


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("sizes", [(2, 3, 4), (1, 1, 1)])
def test_convolution_by_torch_and_by_differences(sizes, stride, padding):
    """It is linear in each of its inputs: the differences are exact."""
    rows, channels, out = sizes
    inputs = {"x": numbers(rows, channels, 6, 4), "w": numbers(out, channels, 3, 2), "b": numbers(out)}
    y = F.conv2d(**inputs, stride=stride, padding=padding)
    assert relative_error(y, functional.conv2d(*inputs.values(), stride, padding)) <= 1e-12
    dout = numbers(*y.shape, seed=1)
    gradients = F.conv2d_grad(dout, inputs["x"], inputs["w"], stride, padding)
    for (name, value), gradient in zip(inputs.items(), gradients, strict=True):

        def changed(value, name=name):
            return F.conv2d(**{**inputs, name: value}, stride=stride, padding=padding)

        assert relative_error(gradient, differences(changed, value, dout)) <= BOUND, name


def network():
    """Every layer of images, of sizes, strides and channels that differ."""
    return [
        Unflatten(2, 9, 5),
        Conv2d(2, 3, 3, stride=2, padding=3),
        ReLU(0.5),
        MaxPool(3, 2),
        Residual(Conv2d(3, 3, 3, padding=1)),
        Residual(Conv2d(3, 2, 3, padding=1), shortcut=Sequential(Conv2d(3, 2, 1), ReLU(0.2))),
        AveragePool(2, 1),
        Conv2d(2, 4, 2, padding=2),
        MaxPool(2, 1),
        GlobalAveragePool(),
        Linear(4, 5),
    ]


def network_errors():
    model = Sequential(*network())
    yield from gradient_errors(model, tensors_of(model), *batch(3, (90,), 5), "cross-entropy").values()
    yield from tie_errors(network(), whole_numbers(3, 90))


def test_nothing_is_found_where_nothing_is_wrong():
    assert worst(network_errors) <= BOUND


FAULTS = {
    "convolution: no bias": (F.conv2d, ".add_(b[:, None, None])", ""),
    "convolution: the kernel turned around": (F.conv2d, "(x, w, ", "(x, w.flip(2, 3), "),
    "convolution: the kernel transposed": (F.conv2d, "(x, w, ", "(x, w.mT, "),
    "convolution: stride ignored": (F.conv2d, ".forward(x, w, stride", ".forward(x, w, 1"),
    "convolution: padding ignored": (F.conv2d, "stride, padding)", "stride, 0)"),
    "convolution: dx by the kernel turned around": (F.conv2d_grad, "(dout, w, size", "(dout, w.flip(2, 3), size"),
    "convolution: dx by the kernel, channels exchanged": (
        F.conv2d_grad, "(dout, w, size", "(dout, w.transpose(0, 1) if w.shape[0] == w.shape[1] else w, size"
    ),
    "convolution: stride ignored in dx": (F.conv2d_grad, "w, size, stride", "w, size, 1"),
    "convolution: padding ignored in dx": (F.conv2d_grad, "size, stride, padding)", "size, stride, 0)"),
    "convolution: dx of an image on its side": (F.conv2d_grad, "x.shape[2:]", "x.shape[:1:-1]"),
    "convolution: stride ignored in dw": (F.conv2d_grad, "w.shape[2:], stride", "w.shape[2:], 1"),
    "convolution: db is a mean": (F.conv2d_grad, "dout.sum((0, 2, 3))", "dout.mean((0, 2, 3))"),
    "convolution: db of the first image": (F.conv2d_grad, "dout.sum((0, 2, 3))", "dout[0].sum((1, 2))"),
    "max pooling: the largest of a row": (F.max_pool, "stride))", "stride)[..., :1, :])"),
    "max pooling: stride ignored": (F.max_pool, "size, stride)", "size, 1)"),
    "max pooling: dout to the smallest": (F.max_pool_grad, "argmax", "argmin"),
    "max pooling: of equals the last": (
        F.max_pool_grad, "seen.argmax(-1, keepdim=True)", "seen.shape[-1] - 1 - seen.flip(-1).argmax(-1, True)"
    ),
    "max pooling: to all equals": (
        F.max_pool_grad,
        "torch.zeros_like(seen).scatter_(-1, seen.argmax(-1, keepdim=True), dout[..., None])",
        "(seen == seen.amax(-1, True)) * dout[..., None]",
    ),
    "max pooling: stride ignored in dx": (F.max_pool_grad, "2:], stride", "2:], 1"),
    "max pooling: window on its side": (F.max_pool_grad, "-1, size)", "-1, size).mT"),
    "average pooling: a sum": (F.average_pool, " / math.prod(size)", ""),
    "average pooling: over the wrong count": (F.average_pool_grad, "math.prod(size)", "sum(size) ** 2"),
    "average pooling: over the pixels of a row": (F.average_pool_grad, "math.prod(size)", "size[1]"),
    "average pooling: stride ignored in dx": (F.average_pool_grad, "2:], stride", "2:], stride + 1"),
    "global average: over the wrong count": (F.global_average_pool_grad, "x.shape[2:]", "x.shape[1:]"),
    "global average: as if square": (F.global_average_pool_grad, "math.prod(x.shape[2:])", "x.shape[2] ** 2"),
    "global average: of the rows": (F.global_average_pool, "x.mean((2, 3))", "x.mean(2).amax(-1)"),
    "windows: rows for columns": (C.windows, "stride * row, stride * column", "stride * column, stride * row"),
    "windows: transposed": (C.windows, "row, column),", "column, row),"),
    "windows' gradient: the last, not the sum": (C.windows_grad, "+=", "="),
    "windows' gradient: stride ignored": (C.windows_grad, ": stride * across : stride", ":across"),
    "windows' gradient: rows for columns": (C.windows_grad, "[..., i, j]", "[..., j, i]"),
    "layer: padding for stride": (Conv2d.forward, "self.stride, self.padding", "self.padding, self.stride"),
    "layer: no padding in the gradient": (Conv2d.gradient, "self.padding", "0"),
    "layer: dw is that of before": (Conv2d.gradient, "self.dw, self.db", "_, self.dw = self.w, self.db"),
    "unflatten: columns first": (Unflatten.forward, "*self.shape)", "*self.shape[:1], *self.shape[:0:-1]).mT"),
    "unflatten: gradient columns first": (Unflatten.gradient, "dout.", "dout.mT."),
}  # fmt: skip


@pytest.mark.slow  # a test of the tests
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(fault, monkeypatch):
    slip(monkeypatch, *FAULTS[fault])
    assert worst(network_errors) > 1e-3
