"""Every engine ends at the readable engine's weights: 50 steps, every layer, optimiser and option."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlfound.engines import ladder, products
from mlfound.engines.buffers import Buffers
from mlfound.engines.graph import Graph
from mlfound.engines.kernels import KERNELS
from mlfound.engines.native import Native, lacking
from mlfound.engines.plain import Plain
from mlfound.engines.processes import Processes
from mlfound.foundations import matmul
from mlfound.foundations.activations import GELU, Floor, ReLU, Tanh
from mlfound.foundations.checks import relative_error
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Parameter,
    Residual,
    Unflatten,
)
from mlfound.foundations.optimizers import LAMB, OPTIMIZERS, SGD, Adam, AdamW, RMSprop
from tests.engines.conftest import INPUTS, Task, Uncaptured, recipe, recipe_of
from tests.support.stacks import OUTPUTS, stacks

pytestmark = pytest.mark.usefixtures("one_thread")

needs_compiler = pytest.mark.skipif(
    ladder.unavailable("native", torch.device("cpu")) is not None, reason="no compiled code here"
)
ENGINES = {
    "buffers": Buffers,
    "graph": Uncaptured,
    "processes": partial(Processes, workers=2),
    "native": partial(Native, workers=2),
}
EACH = [pytest.param(name, marks=needs_compiler) if name == "native" else name for name in ENGINES]
SHARED = ("graph", "processes")  # whose steps are those of buffers
EACH_WITH_LOSS = [
    pytest.param(engine, loss, marks=[*[pytest.mark.slow] * (engine in SHARED and loss == "mse")])
    for engine in ENGINES
    for loss in OUTPUTS
]
OPTIONS = {
    "plain": {},
    "shift": {"activation": partial(ReLU, shift=0.5)},
    "leaky": {"activation": partial(ReLU, leak=0.1, shift=0.4, ceiling=0.7)},
    "floor": {"activation": partial(Floor, 0.5)},
    "tanh": {"activation": Tanh},
    "gelu": {"activation": GELU},
    "nesterov": {"optimizer": SGD(nesterov=True)},
    "dampening": {"optimizer": SGD(dampening=0.3)},
    "decay": {"optimizer": SGD(0.1)},
    "l2 decay": {"optimizer": SGD(0.1, "l2")},
    "clipping": {"optimizer": SGD(clip_norm=0.3)},
    "rmsprop": {"optimizer": RMSprop(0.1, momentum=0.9, eps=1e-3)},
    "rmsprop without momentum": {"optimizer": RMSprop(0.1, "l2", eps=1e-3)},
    "adam": {"optimizer": Adam(0.1)},
    "adamw": {"optimizer": AdamW(0.1, clip_norm=0.3)},
    "lamb": {"optimizer": LAMB(0.1)},
    "dropout": {"dropout": 0.5},
    "input dropout": {"input_dropout": 0.2},
    "max-norm": {"max_norm": 0.7},
    "all": {
        "activation": partial(ReLU, shift=0.25), "optimizer": SGD(0.1, nesterov=True),
        "dropout": 0.3, "input_dropout": 0.1, "max_norm": 0.9,
    },
}  # fmt: skip
ADAPTIVE = {
    "rmsprop",
    "rmsprop without momentum",
    "adam",
    "adamw",
    "lamb",
}  # they divide rounding noise by its own size: in float32 it stays
HIDDEN = {"deep": (9, 6), "one layer": (7,), "linear": ()}
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize(("engine", "loss"), EACH_WITH_LOSS)
@pytest.mark.parametrize(
    "hidden", ["deep", *(pytest.param(name, marks=pytest.mark.slow) for name in HIDDEN if name != "deep")]
)
@pytest.mark.parametrize("option", OPTIONS)
def test_weights_and_losses_are_the_readable_engines(engine, loss, hidden, option, far_apart):
    if engine == "native" and (option == "lamb" or ladder.unavailable("native", torch.device("cpu"))):
        pytest.skip("has no compiled code")
    if not HIDDEN[hidden] and option in ("dropout", "max-norm", "all"):
        options = {"input_dropout": 0.1}  # there are no hidden units
    else:
        options = OPTIONS[option]
    task = Task(recipe(loss, HIDDEN[hidden], **options), networks=1 if engine == "buffers" else 3)
    assert far_apart(task.train(ENGINES[engine]), task.train(Plain)) <= 1e-10

    single = replace(task, dtype=torch.float32)
    ours, wanted = single.train(ENGINES[engine]), single.train(Plain)
    if option in ADAPTIVE:
        assert relative_error(ours[1], wanted[1]) <= 1e-3
    else:
        assert far_apart(ours, wanted, only_weights=True) <= 1e-4


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_changes_what_is_learned(option, far_apart):
    """Or the equality above would prove nothing."""
    with_it, without = (Task(recipe(**options)).train(Plain) for options in (OPTIONS[option], {}))
    assert (far_apart(with_it, without, only_weights=True) > 1e-3) == (option != "plain")


@pytest.mark.skipif(
    matmul.unavailable("onednn", torch.device("cpu")) is not None, reason="this torch has no oneDNN product"
)
@pytest.mark.parametrize("option", OPTIONS)
def test_the_product_of_onednn_gives_the_same_weights_to_float32(option, far_apart, monkeypatch):
    monkeypatch.setattr(products, "MIN_ONEDNN_MULTIPLICATIONS", 0)  # for these small ones too
    by_onednn = Task(recipe(product="onednn", **OPTIONS[option]), dtype=torch.float32)
    assert far_apart(by_onednn.train(Buffers), by_onednn.train(Plain), only_weights=True) <= 1e-4


@pytest.mark.parametrize("engine", ["modules", *EACH])
def test_a_network_among_others_is_trained_as_it_would_be_alone(engine):
    task = Task(recipe(dropout=0.3), networks=3)
    together, losses = task.train({"modules": Plain, **ENGINES}[engine])
    for number, network in enumerate(together.networks):
        alone, [own] = replace(task, networks=1, first=number).train(Plain)
        assert relative_error(losses[number], own) <= 1e-10
        for name, p in alone.networks[0].items():
            assert relative_error(network[name], p) <= 1e-10
    first, *others = (network["1.w"] for network in together.networks)
    assert all(relative_error(other, first) > 0.1 for other in others)


@pytest.mark.parametrize("calls", [2, 7, 50])
@pytest.mark.parametrize("engine", ["modules", *EACH])
def test_the_number_of_calls_changes_no_bit(engine, calls):
    task = Task(recipe(dropout=0.3, optimizer=SGD(nesterov=True)), networks=2)
    engine = {"modules": Plain, **ENGINES}[engine]
    (one, losses), (other, others) = task.train(engine), task.train(engine, calls=calls)
    for network, same in zip(one.networks, other.networks, strict=True):
        assert all(torch.equal(network[name], same[name]) for name in network)
    assert torch.equal(losses, others)


def calm(optimizer):
    """Where a gradient is 0 but for rounding, an adaptive optimiser divides that noise by its own size, or by eps."""
    return replace(optimizer, eps=1e-2) if hasattr(optimizer, "eps") else optimizer


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_stack_of_layers(data):
    loss, inputs = data.draw(st.sampled_from(list(OUTPUTS))), data.draw(st.integers(1, 9))
    option = data.draw(st.sampled_from([option for option in OPTIONS if "optimizer" in OPTIONS[option]]))
    made = recipe_of(
        data.draw(stacks(inputs, OUTPUTS[loss])),
        loss,
        calm(OPTIONS[option]["optimizer"]),
        batch_size=data.draw(st.integers(1, 12)),
        max_norm=data.draw(st.sampled_from([float("inf"), 0.8])),
    )
    task = Task(made, networks=2, steps=12, peak=0.005, shape=(inputs,))
    wanted, wanted_losses = task.train(Plain)
    assume(wanted_losses.abs().max() < 100)  # what diverges multiplies rounding errors, too
    compiled = not (ladder.unavailable("native", torch.device("cpu")) or lacking(made))
    for engine in (Buffers, partial(Buffers, together=True), *[Native] * compiled):
        got, losses = task.train(engine)
        assert relative_error(losses, wanted_losses) <= 1e-10
        for network, want in zip(got.networks, wanted.networks, strict=True):
            for name, p in want.items():
                assert relative_error(network[name], p) <= 1e-10, name


class Counted(Layer):
    """A layer that no kernel knows, with a parameter, and as state the rows it has seen in training."""

    def __init__(self):
        self.parameters, self.state = {"scale": Parameter((1,), 1.5)}, {"rows": Parameter((1,), 0.0)}

    def forward(self, x):
        if self.training:
            self.rows += len(x)
        return x * self.scale

    def gradient(self, dout, x):
        self.dscale = (dout * x).sum()[None]
        return dout * self.scale


@pytest.mark.parametrize("option", ["plain", "adam"])
@pytest.mark.parametrize("engine", ["buffers", "graph", "processes", "together"])
def test_a_layer_without_a_kernel_and_with_a_state(engine, option, far_apart):
    engines = {**ENGINES, "together": partial(Buffers, together=True)}
    layers = [
        Flatten(),
        Linear(INPUTS, 6),
        Counted(),
        Tanh(),
        Residual(Linear(6, 6), Counted()),
        Linear(6, 5),
    ]
    task = Task(recipe_of(layers, **OPTIONS[option]), networks=3, shape=(1, INPUTS))
    got, wanted = task.train(engines[engine]), task.train(Plain)
    assert far_apart(got, wanted) <= 1e-10
    rows = (task.steps - 1) * 8 + 4
    assert [network["3.rows"].item() for network in got[0].networks] == [rows] * 3
    assert not KERNELS.keys() & {Counted, Tanh}


IMAGES = [
    Unflatten(1, 7, 6),
    Conv2d(1, 4, 3, padding=1),
    ReLU(),
    MaxPool(2, 1),
    Conv2d(4, 3, 2, stride=2, padding=2),  # more than half of its kernel, and a stride that leaves some over
    Tanh(),
    AveragePool(3, 1),
    Dropout(0.1),
    Residual(Conv2d(3, 3, 1), ReLU()),
]
HEADS = {
    "flat": [Flatten(), Linear(18, 5)],
    "means": [GlobalAveragePool(), Linear(3, 5)],
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("option", ["plain", "adam", "max-norm"])
@pytest.mark.parametrize(
    "engine", ["buffers", "together", *(pytest.param(name, marks=pytest.mark.slow) for name in SHARED)]
)
def test_layers_of_images(engine, option, head, far_apart):
    engines = {**ENGINES, "together": partial(Buffers, together=True)}
    task = Task(recipe_of([*IMAGES, *HEADS[head]], **OPTIONS[option]), networks=3, shape=(42,))
    assert far_apart(task.train(engines[engine]), task.train(Plain)) <= 1e-10


def test_every_optimiser_is_among_the_options():
    used = {type(options["optimizer"]) for options in OPTIONS.values() if "optimizer" in options}
    assert used == set(OPTIMIZERS.values())


def test_max_norm_is_for_what_comes_into_hidden_units():
    names = {name: name for name in recipe().model.parameters}
    assert recipe(max_norm=0.7).limited(names) == ["1.w", "3.w"]
    assert recipe().limited(names) == recipe(hidden=(), max_norm=0.7).limited(names) == []


def test_max_norm_is_for_each_kernel_of_a_convolution():
    """Its column is all that one output channel is made from."""
    [column] = recipe_of(
        [Unflatten(1, 3, 4), Conv2d(1, 2, 2), Flatten(), Linear(18, 5)], max_norm=1.0
    ).limited({"2.w": torch.arange(8.0).view(2, 1, 2, 2), "4.w": torch.ones(12, 5)})
    assert column.T.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@cuda
@pytest.mark.parametrize("engine", [Buffers, Graph])
@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("option", OPTIONS)
def test_on_a_gpu(engine, networks, option, far_apart):
    task = Task(recipe(**OPTIONS[option]), networks, device="cuda")
    assert far_apart(task.train(engine), task.train(Plain)) <= 1e-10
    single = replace(task, dtype=torch.float32)
    assert far_apart(single.train(engine), single.train(Plain), only_weights=True) <= 1e-4
