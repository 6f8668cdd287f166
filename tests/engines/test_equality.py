"""Every engine ends at the readable engine's weights: 50 steps, every option, float64 and float32."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mlfound.engines.modules import Modules

from mlfound.engines import products
from mlfound.engines.buffers import Buffers
from mlfound.engines.graph import Graph
from mlfound.engines.processes import Processes
from mlfound.engines.recipe import Recipe
from mlfound.foundations import matmul
from mlfound.foundations.checks import relative_error
from tests.engines.conftest import Task, Uncaptured

ENGINES = {"buffers": Buffers, "graph": Uncaptured, "processes": partial(Processes, workers=2)}
OPTIONS = {
    "plain": {},
    "shift": {"relu_shift": 0.5},
    "nesterov": {"nesterov": True},
    "decay": {"weight_decay": 0.1},
    "dropout": {"dropout": 0.5},
    "input dropout": {"input_dropout": 0.2},
    "max-norm": {"max_norm": 0.7},
    "all": {
        "relu_shift": 0.25, "nesterov": True, "weight_decay": 0.1,
        "dropout": 0.3, "input_dropout": 0.1, "max_norm": 0.9,
    },
}  # fmt: skip
LOSSES = {"cross-entropy": 5, "mse": 1}  # with so many outputs
HIDDEN = {"deep": (9, 6), "one layer": (7,), "linear": ()}
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def recipe(loss="cross-entropy", hidden=(9, 6), **options):
    return Recipe((11, *hidden, LOSSES[loss]), loss, batch_size=8, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("option", OPTIONS)
def test_weights_and_losses_are_the_readable_engines(engine, loss, hidden, option, far_apart):
    if not HIDDEN[hidden] and option in ("dropout", "max-norm", "all"):
        options = {"input_dropout": 0.1}  # there are no hidden units
    else:
        options = OPTIONS[option]
    task = Task(recipe(loss, HIDDEN[hidden], **options), networks=1 if engine == "buffers" else 3)
    assert far_apart(task.train(ENGINES[engine]), task.train(Modules)) <= 1e-10

    single = replace(task, dtype=torch.float32)
    assert far_apart(single.train(ENGINES[engine]), single.train(Modules), only_weights=True) <= 1e-4


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_changes_what_is_learned(option, far_apart):
    """Or the equality above would prove nothing."""
    with_it, without = (Task(recipe(**options)).train(Modules) for options in (OPTIONS[option], {}))
    assert (far_apart(with_it, without) > 1e-3) == (option != "plain")


@pytest.mark.skipif(
    matmul.unavailable("onednn", torch.device("cpu")) is not None, reason="this torch has no oneDNN product"
)
@pytest.mark.parametrize("option", OPTIONS)
def test_the_product_of_onednn_gives_the_same_weights_to_float32(option, far_apart, monkeypatch):
    monkeypatch.setattr(products, "MIN_ONEDNN_MULTIPLICATIONS", 0)  # for these small ones too
    by_onednn = Task(recipe(product="onednn", **OPTIONS[option]), dtype=torch.float32)
    assert far_apart(by_onednn.train(Buffers), by_onednn.train(Modules), only_weights=True) <= 1e-4


@pytest.mark.parametrize("engine", ["modules", *ENGINES])
def test_a_network_among_others_is_trained_as_it_would_be_alone(engine):
    task = Task(recipe(dropout=0.3), networks=3)
    together, losses = task.train({"modules": Modules, **ENGINES}[engine])
    for number, network in enumerate(together.networks):
        alone, [own] = replace(task, networks=1, first=number).train(Modules)
        assert relative_error(losses[number], own) <= 1e-10
        for name, p in alone.networks[0].items():
            assert relative_error(network[name], p) <= 1e-10
    first, *others = (network["w1"] for network in together.networks)
    assert all(relative_error(other, first) > 0.1 for other in others)


@pytest.mark.parametrize("looks", [2, 7, 50])
@pytest.mark.parametrize("engine", ["modules", *ENGINES])
def test_how_often_one_looks_changes_no_bit(engine, looks):
    task = Task(recipe(dropout=0.3, nesterov=True), networks=2)
    engine = {"modules": Modules, **ENGINES}[engine]
    (one, losses), (other, others) = task.train(engine), task.train(engine, looks=looks)
    for network, same in zip(one.networks, other.networks, strict=True):
        assert all(torch.equal(network[name], same[name]) for name in network)
    assert torch.equal(losses, others)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 12),
    st.sampled_from(list(LOSSES)),
    st.sampled_from(list(OPTIONS)),
)
def test_any_sizes(inputs, hidden, batch_size, loss, option):
    sizes = (inputs, *hidden, LOSSES[loss])
    task = Task(Recipe(sizes, loss, batch_size=batch_size, **OPTIONS[option]), steps=12, peak=0.01)
    (engine, losses), (wanted, wanted_losses) = task.train(Buffers), task.train(Modules)
    torch.testing.assert_close(losses, wanted_losses, rtol=1e-9, atol=1e-12)
    for network, want in zip(engine.networks, wanted.networks, strict=True):
        for name, p in want.items():
            torch.testing.assert_close(network[name], p, rtol=1e-9, atol=1e-12)


@cuda
@pytest.mark.parametrize("engine", [Buffers, Graph])
@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("option", OPTIONS)
def test_on_a_gpu(engine, networks, option, far_apart):
    task = Task(recipe(**OPTIONS[option]), networks, device="cuda")
    assert far_apart(task.train(engine), task.train(Modules)) <= 1e-10
    single = replace(task, dtype=torch.float32)
    assert far_apart(single.train(engine), single.train(Modules), only_weights=True) <= 1e-4
