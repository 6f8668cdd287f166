"""Norms in every engine: the readable engine's weights, state and losses; each kernel alone; and faults put in."""

from functools import partial

import pytest
import torch

from mlfound.engines import norms as K  # noqa: N812
from mlfound.engines.buffers import Buffers
from mlfound.engines.kernel import Setting, batch_first, batch_last
from mlfound.engines.kernels import KERNELS, kernel_of
from mlfound.engines.native import lacking
from mlfound.engines.plain import Plain
from mlfound.engines.processes import Processes
from mlfound.foundations.activations import ReLU, Tanh
from mlfound.foundations.checks import relative_error
from mlfound.foundations.layers import Conv2d, GlobalAveragePool, Linear, MaxPool, Residual, Unflatten
from mlfound.foundations.norms import NORMS, BatchNorm, InstanceNorm, LayerNorm, RunningBatchNorm
from mlfound.foundations.optimizers import SGD, Adam
from mlfound.foundations.randomness import generator
from tests.engines.conftest import Task, Uncaptured, recipe_of
from tests.support.slips import slip, worst
from tests.support.stacks import tensors_of

pytestmark = pytest.mark.usefixtures("one_thread")

ENGINES = {
    "buffers": Buffers,
    "together": partial(Buffers, together=True),
    "graph": Uncaptured,
    "processes": partial(Processes, workers=2),
}
SHAPES = {"features": (6, 4), "images": (3, 4, 3, 2), "one image": (1, 2, 3, 2)}
CASES = [(kind, shape) for kind in NORMS for shape in SHAPES if kind != "instance" or len(SHAPES[shape]) == 4]


def kernel_errors(kind, shape, networks, before=0.5):
    """Of output, state, dx and, added to `before` times what was there, dscale and dshift; of a second step."""
    count, layer = networks[0] if networks else 1, NORMS[kind](shape[1])
    drawn = [tensors_of(layer, seed) for seed in range(count)]
    named = {name: torch.stack([each[name] for each in drawn]) for name in drawn[0]}
    x, dout = (torch.randn(2, count, *shape, dtype=torch.float64, generator=generator(0, of)) for of in "xy")
    own = (lambda p: p) if networks else (lambda p: p[0])
    tensors = {name: own(p.clone()) for name, p in named.items()}
    into = {name: torch.ones_like(tensors[name]) for name in layer.parameters}
    setting = Setting(networks, own(x[0]), [generator(0, "dropout")] * count, "matmul")
    kernel = kernel_of(layer, tensors, into, shape, setting)
    for step in range(2):  # the second finds what the first left in its memory
        out = kernel.forward(batch_last(own(x[step]).clone(), shape)).clone()
        dx = kernel.backward(batch_last(own(dout[step]).clone(), shape), True).clone()
    kernel.weight_gradients(before)
    out, dx = (batch_first(each, shape).reshape(count, *shape) for each in (out, dx))
    for n in range(count):
        layer.bind({name: p[n] for name, p in named.items()})
        layer(x[0, n], training=True)
        yield relative_error(out[n], layer(x[1, n], training=True))
        yield relative_error(dx[n], layer.backward(dout[1, n]))
        for name, gradient in layer.gradients.items():
            yield relative_error(into[name].view(count, -1)[n], before + gradient)
        for name in layer.state:
            yield relative_error(tensors[name].view(count, -1)[n], named[name][n])


@pytest.mark.parametrize("networks", [(), (3,)])
@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_a_kernel_is_its_layer(kind, shape, networks):
    assert max(kernel_errors(kind, SHAPES[shape], networks)) <= 1e-10


def test_only_running_batch_norm_runs_as_it_is():
    assert {BatchNorm, LayerNorm, InstanceNorm} <= KERNELS.keys()
    assert RunningBatchNorm not in KERNELS


def images(kind):
    """A norm before a ReLU, after one, first of all, in a branch, before pooling; and layers without a bias."""
    made = NORMS[kind]
    return [
        Unflatten(1, 7, 6),
        Conv2d(1, 4, 3, padding=1, bias=False),
        made(4),
        ReLU(),
        Residual(Conv2d(4, 4, 3, padding=1, bias=False), made(4), Tanh()),
        made(4),
        MaxPool(2, 2),
        GlobalAveragePool(),
        Linear(4, 5),
    ]


def features(kind):
    """Between two norms a function that bends: else the second takes the shift of the first away."""
    made = NORMS[kind]
    return [
        made(42),
        Tanh(),
        Linear(42, 6, bias=False),
        made(6),
        ReLU(),
        Residual(made(6), Linear(6, 6)),
        Linear(6, 5),
    ]


LISTS = [("images", kind) for kind in NORMS] + [("features", kind) for kind in NORMS if kind != "instance"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("optimizer", [SGD(0.1, nesterov=True), Adam(0.1, eps=1e-2)], ids=["sgd", "adam"])
@pytest.mark.parametrize(("of", "kind"), LISTS)
def test_weights_state_and_losses_are_the_readable_engines(of, kind, optimizer, engine, far_apart):
    layers = (images if of == "images" else features)(kind)
    task = Task(recipe_of(layers, optimizer=optimizer), networks=3, steps=12, rows=100, shape=(42,))
    got, wanted = task.train(ENGINES[engine]), task.train(Plain)
    assert far_apart(got, wanted) <= 1e-10
    for network, state in ((got[0].networks[n], task.recipe.model.state) for n in range(3)):
        assert all((network[name] != p.start).all() for name, p in state.items()), "it was never touched"


def test_no_compiled_code_for_norms_or_layers_without_a_bias():
    assert lacking(recipe_of(features("batch"))).startswith("BatchNorm, Residual have no")
    assert lacking(recipe_of([Linear(3, 5, bias=False)])) == "Linear without a bias has no compiled code"
    assert lacking(recipe_of([Linear(3, 5)])) is None


def all_errors():
    for kind, shape in CASES:
        yield from kernel_errors(kind, SHAPES[shape], (2,))
    for of, kind in (("images", "batch"), ("features", "layer")):
        layers = (images if of == "images" else features)(kind)
        task = Task(recipe_of(layers), networks=2, steps=4, rows=20, shape=(42,))
        (wanted, _), (got, _) = task.train(Plain), task.train(ENGINES["together"])
        for network, want in zip(got.networks, wanted.networks, strict=True):
            yield from (relative_error(network[name], p) for name, p in want.items())


def test_nothing_is_found_where_nothing_is_wrong():
    assert worst(all_errors) <= 1e-10


NORM, BATCH = K.NormKernel, K.BatchNormKernel
FAULTS = {
    "another variance": (NORM.center, "self.products).mean", "self.products).mul(1.1).mean"),
    "eps outside the root": (NORM.forward, "add_(EPS).sqrt_()", "sqrt_().add_(EPS * 1e3)"),
    "the output is in what is kept": (NORM.forward, "out=self.out", "out=self.centered"),
    "axes as if the batch came first": (NORM.prepare, "axis - 1 - len(shape) if axis else -1", "axis - len(shape)"),
    "state of another variance": (NORM.forward, "self.keep(mean, variance)", "self.keep(mean, variance + 1)"),
    "gradient: that of the mean forgotten": (NORM.backward, ".sub_(of_mean)", ""),
    "gradient: that of the variance forgotten": (NORM.backward, "value=-1", "value=0"),
    "gradient: scale forgotten": (NORM.backward, "dout.mul_(self.scale / self.std)", "dout.div_(self.std)"),
    "gradient: scale not in the means": (NORM.backward, "(numbers * self.scale).sum", "numbers.sum"),
    "gradient: the standard deviation forgotten": (NORM.backward, "of_variance.div_(self.std)", "of_variance"),
    "gradient: the sum for the mean": (NORM.per_number, "div_(self.count * self.std)", "div_(self.std)"),
    "dscale of dout": (NORM.backward, "torch.mul(dout, self.centered, out=self.products)", "dout"),
    "gradients not added": (NORM.weight_gradients, "mul_(momentum)", "zero_()"),
    "momentum the wrong way round": (BATCH.keep, "view_as(average), momentum", "view_as(average), 1 - momentum"),
    "average of the uncorrected variance": (BATCH.keep, " * correction(self.count)", ""),
    "no state": (BATCH.keep, "average.lerp_", "average.lerp"),
}  # fmt: skip


@pytest.mark.slow  # a test of the tests
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(fault, monkeypatch):
    slip(monkeypatch, *FAULTS[fault])
    assert worst(all_errors) > 1e-3
