"""Kernels for layers of images: each beside its layer, any stack of them in training, and faults put in."""

import math
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlfound.engines import convolutions as K  # noqa: N812
from mlfound.engines import products
from mlfound.engines.buffers import Buffers
from mlfound.engines.kernel import Setting, batch_first, batch_last
from mlfound.engines.kernels import KERNELS, kernel_of
from mlfound.engines.plain import Plain
from mlfound.foundations import matmul
from mlfound.foundations.activations import ReLU
from mlfound.foundations.checks import relative_error
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
)
from mlfound.foundations.optimizers import SGD, Adam
from mlfound.foundations.randomness import generator
from tests.engines.conftest import Task, recipe_of
from tests.support.slips import slip, worst
from tests.support.stacks import MIN_LEAD, OUTPUTS, image_stacks, keeps_its_digits, lead

pytestmark = pytest.mark.usefixtures("one_thread")

TOGETHER = partial(Buffers, together=True)


def whole_numbers(*shape, seed=0):
    """From -2 to 2: many are equal, and their sums and products have no rounding."""
    return torch.randint(-2, 3, shape, generator=generator(seed, "test")).double()


LAYERS = {  # with the shape of an image: not square, strides that leave some over
    "convolution": (Conv2d(2, 3, 2, stride=3, padding=3), (2, 5, 4)),
    "convolution of one pixel": (Conv2d(1, 1, 1), (1, 4, 1)),
    "max": (MaxPool(3, 1), (2, 6, 4)),
    "max with gaps": (MaxPool(2, 3), (3, 7, 5)),
    "average": (AveragePool(2, 1), (2, 6, 4)),
    "average with rest": (AveragePool(2, 2), (1, 5, 3)),
    "global average": (GlobalAveragePool(), (3, 4, 2)),
    "flatten": (Flatten(), (3, 4, 2)),
    "unflatten": (Unflatten(3, 4, 2), (24,)),
}


def kernel_errors(layer, image, networks, rows=4, before=0.5):
    """Of the output, dx and, added to `before` times what was there, dw and db; for whole numbers with ties."""
    count, shape = networks[0] if networks else 1, (rows, *image)
    x = whole_numbers(count, *shape)
    named = {name: whole_numbers(count, *p.shape, seed=1) for name, p in layer.parameters.items()}
    into = {name: torch.ones_like(p) for name, p in named.items()}
    dout = whole_numbers(count, *layer.output_shape(shape), seed=2)
    own = (lambda p: p) if networks else (lambda p: p[0])
    tensors, gradients = ({name: own(p) for name, p in each.items()} for each in (named, into))
    setting = Setting(networks, x, [generator(0, "dropout")] * count, "matmul")
    kernel = kernel_of(layer, tensors, gradients, shape, setting)
    for _ in range(2):  # the second finds what the first left in its memory
        out = kernel.forward(batch_last(own(x).clone(), shape)).clone()
        dx = kernel.backward(batch_last(own(dout).clone(), dout.shape[1:]), True).clone()
    kernel.weight_gradients(before)
    out, dx = (batch_first(t, s).reshape(count, *s) for t, s in ((out, dout.shape[1:]), (dx, shape)))
    for n in range(count):
        layer.bind({name: p[n] for name, p in named.items()})
        yield relative_error(out[n], layer(x[n], training=True))
        yield relative_error(dx[n], layer.backward(dout[n]))
        for name, gradient in layer.gradients.items():
            yield relative_error(into[name][n], before + gradient)


@pytest.mark.parametrize("networks", [(), (3,)])
@pytest.mark.parametrize("name", LAYERS)
def test_a_kernel_is_its_layer_with_ties(name, networks):
    layer, image = LAYERS[name]
    assert type(layer) in KERNELS
    assert max(kernel_errors(layer, image, networks)) <= 1e-12


@pytest.mark.parametrize("rows", [1, 3])
def test_windows_that_are_unfolded_some_rows_at_a_time(rows, monkeypatch):
    """Of batches of 4; also where the last part has fewer rows."""
    convolutions = {name: made for name, made in LAYERS.items() if isinstance(made[0], Conv2d)}
    parts, make = [], K.Rows.__init__
    monkeypatch.setattr(
        K.Rows, "__init__", lambda self, *more: [parts.append(more[2:4]), make(self, *more)][1]
    )
    for layer, image in convolutions.values():
        for networks in ((), (3,)):
            windows = math.prod(layer.size) * image[0] * layer.output_shape((4, *image))[-1] * 4
            monkeypatch.setattr(K, "NUMBERS_IN_CACHE", rows * windows * math.prod(networks))
            assert max(kernel_errors(layer, image, networks)) <= 1e-12
    assert any(start for start, _ in parts), "some layer has several parts"
    assert {stop - start for start, stop in parts} == {1, rows}


def check_any_stack(data):
    loss = data.draw(st.sampled_from(list(OUTPUTS)))
    shape, layers = data.draw(image_stacks(OUTPUTS[loss]))
    made = recipe_of(
        layers,
        loss,
        data.draw(st.sampled_from([SGD(), SGD(0.1, nesterov=True), Adam(0.1, eps=1e-2)])),
        batch_size=data.draw(st.integers(1, 5)),
        max_norm=data.draw(st.sampled_from([float("inf"), 0.8])),
    )
    strided = data.draw(st.booleans())
    task = Task(made, networks=2, steps=6, rows=10, peak=0.005, shape=shape, strided=strided)
    x = torch.randn(10, *shape, generator=generator(0, "x"), dtype=torch.float64)
    assume(all(keeps_its_digits(made.model, task.start(n), x) for n in task.numbers))
    leads, gradient = [], MaxPool.gradient
    with pytest.MonkeyPatch.context() as patch:  # a tie may come up on the way, too
        patch.setattr(
            MaxPool, "gradient", lambda layer, *given: [leads.append(lead(layer)), gradient(layer, *given)][1]
        )
        wanted, wanted_losses = task.train(Plain)
    assume(min(leads, default=math.inf) >= MIN_LEAD)
    assume(wanted_losses.abs().max() < 100)  # what diverges multiplies rounding errors, too
    for engine in (Buffers, TOGETHER):
        got, losses = task.train(engine)
        assert relative_error(losses, wanted_losses) <= 1e-10
        for network, want in zip(got.networks, wanted.networks, strict=True):
            for name, p in want.items():
                assert relative_error(network[name], p) <= 1e-10, name


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_stack_of_image_layers(data):
    check_any_stack(data)


@pytest.mark.slow
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_five_hundred_stacks_of_image_layers(data):
    check_any_stack(data)


NETWORK = [
    Unflatten(1, 7, 6),
    Conv2d(1, 4, 3, stride=2, padding=3),
    ReLU(),
    MaxPool(2, 1),
    Residual(Conv2d(4, 4, 3, padding=1)),
    Residual(Conv2d(4, 4, 3, padding=1), ReLU(), shortcut=Sequential(AveragePool(1, 1), Conv2d(4, 4, 1))),
    AveragePool(3, 1),
    Conv2d(4, 3, 2),
    Flatten(),
    Linear(6, 5),
]


@pytest.mark.skipif(
    matmul.unavailable("onednn", torch.device("cpu")) is not None, reason="this torch has no oneDNN product"
)
def test_the_product_of_onednn_gives_the_same_weights_to_float32(far_apart, monkeypatch):
    monkeypatch.setattr(products, "MIN_ONEDNN_MULTIPLICATIONS", 0)  # for these small ones too
    task = Task(recipe_of(NETWORK, product="onednn"), dtype=torch.float32, shape=(42,))
    assert far_apart(task.train(Buffers), task.train(Plain), only_weights=True) <= 1e-4


def network_errors():
    """Of every kernel, and of the weights after five steps."""
    for layer, image in LAYERS.values():
        yield from kernel_errors(layer, image, (2,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(K, "NUMBERS_IN_CACHE", 1)
        for layer, image in LAYERS.values():
            yield from kernel_errors(layer, image, (2,))
    task = Task(recipe_of(NETWORK), networks=2, steps=5, rows=20, shape=(42,))
    (wanted, losses), (got, found) = task.train(Plain), task.train(TOGETHER)
    yield relative_error(found, losses)
    for network, want in zip(got.networks, wanted.networks, strict=True):
        yield from (relative_error(network[name], p) for name, p in want.items())


def test_nothing_is_found_where_nothing_is_wrong():
    assert worst(network_errors) <= 1e-10


FAULTS = {
    "convolution: no bias": (K.Conv2dKernel.forward, "self.b", "None"),
    "convolution: windows on their side": (K.Conv2dKernel.prepare, "permute(1, 4, 5,", "permute(1, 5, 4,"),
    "convolution: padding forgotten": (K.Conv2dKernel.prepare, "n + 2 * self", "n + 1 * self"),
    "convolution: stride ignored": (K.Conv2dKernel.prepare, "self.layer.stride)", "1)"),
    "convolution: border left in dx": (K.without_border, "x.shape[-3] - width", "x.shape[-3]"),
    "convolution: dx added to that of before": (K.Conv2dKernel.backward, "self.dpadded.zero_()", "pass"),
    "convolution: dx of the last window": (K.Conv2dKernel.backward, "dx.add_(of_", "dx.copy_(of_"),
    "convolution: stride ignored in dx": (K.Conv2dKernel.allocate_dx, "stride * across : stride]", "across]"),
    "convolution: rows for columns in dx": (K.Conv2dKernel.allocate_dx, "i:, j:", "j:, i:"),
    "convolution: dw of the input before": (K.Conv2dKernel.forward, "self.inner.copy_(x)", "self.inner[:] += x"),
    "convolution: db a mean": (K.Conv2dKernel.prepare, "fill_(1.0)", "fill_(1 / down)"),
    "convolution: dw not added": (K.Conv2dKernel.weight_gradients, "else momentum", "else 0.0"),
    "convolution: dw of the last rows": (K.Conv2dKernel.weight_gradients, "1.0 if n else momentum", "momentum"),
    "convolution: dw of windows of other rows": (
        K.Conv2dKernel.weight_gradients, "if len(self.parts) == 1", "if self.parts"
    ),
    "convolution: the same rows of dx": (K.Conv2dKernel.allocate_dx, "dx[:, part.rows]", "dx[:, self.parts[0].rows]"),
    "convolution: dout of the first rows": (K.Rows.of, "self.positions", "slice(0, self.columns.shape[-1])"),
    "max pooling: another window": (K.PoolKernel.prepare, "[*self.layer.size]", "[self.layer.size[0], 1]"),
    "max pooling: stride ignored": (K.PoolKernel.prepare, "[self.layer.stride] * 2", "[1, 1]"),
    "max pooling: dout of another": (K.MaxPoolKernel.backward, "as_images(dout)", "as_images(dout).roll(1, 1)"),
    "average pooling: not divided": (
        K.AveragePoolKernel.backward, "grad_input=dx)", "grad_input=dx).mul_(self.layer.size[0] ** 2)"
    ),
    "average pooling: over another count": (K.AveragePoolKernel.backward, "True, None", "True, 5"),
    "global average: as if square": (K.GlobalAveragePoolKernel.prepare, "math.prod(image)", "image[0] ** 2"),
    "global average: of rows": (K.GlobalAveragePoolKernel.forward, "(-3, -2)", "(-2,)"),
    "flatten: images first": (K.FlattenKernel.forward, "x.flatten", "x.mT.flatten"),
    "unflatten: columns first": (
        K.UnflattenKernel.forward, "self.layer.shape)", "self.layer.shape).transpose(-2, -3)"
    ),
    "unflatten: gradient columns first": (K.UnflattenKernel.backward, "dout.", "dout.transpose(-2, -3)."),
}  # fmt: skip


@pytest.mark.slow  # a test of the tests
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(fault, monkeypatch):
    slip(monkeypatch, *FAULTS[fault])
    assert worst(network_errors) > 1e-3
