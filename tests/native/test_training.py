"""Compiled training: sizes about the edges of tiles, numbers that are none, and the same bits from every compiler."""

import hashlib
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from mlfound.engines.native import Native, lacking
from mlfound.engines.plain import Plain
from mlfound.engines.recipe import Rate
from mlfound.foundations import functions
from mlfound.foundations.activations import GELU, ReLU, Tanh
from mlfound.foundations.checks import relative_error
from mlfound.foundations.layers import Linear
from mlfound.foundations.optimizers import SGD, Adam, RMSprop
from mlfound.foundations.randomness import generator
from mlfound.native import compiling, random
from mlfound.native.arguments import POINTER, SIZE, function
from tests.engines.conftest import Task, recipe, recipe_of
from tests.support.compiled import TARGETS, compiled_for, runs_here

pytestmark = [
    pytest.mark.skipif(compiling.unavailable() is not None, reason="there is no C compiler here"),
    pytest.mark.usefixtures("one_thread"),
]
CONFIGS = Path(__file__).parents[2] / "configs"
EDGES = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 15, 16, 17, 31, 33, 48, 49, 64, 65, 97])
OPTIONS = [
    {"activation": partial(ReLU, leak=0.1, shift=0.4, ceiling=0.7), "max_norm": 0.7},
    {"activation": Tanh, "optimizer": SGD(0.1, "l2", nesterov=True), "dropout": 0.2},
    {"activation": GELU, "optimizer": Adam(clip_norm=0.3, eps=1e-3)},
    {"optimizer": RMSprop(momentum=0.9, eps=1e-3), "loss": "mse", "input_dropout": 0.2},
    {"optimizer": SGD(clip_norm=0.3), "max_norm": 0.7},
]


@contextmanager
def threads_of(count):
    """So many threads take a step together, until the end."""
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(1)


def digest(engine, losses):
    """Of all bits of the networks and their losses."""
    tensors = [losses, *(p.contiguous() for network in engine.networks for p in network.values())]
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


@settings(max_examples=150, deadline=None)
@given(
    inputs=EDGES,
    hidden=st.lists(EDGES, max_size=2),
    batch_size=EDGES,
    option=st.sampled_from([option for option in OPTIONS if "max_norm" not in option]),
)
def test_any_sizes(inputs, hidden, batch_size, option):
    if not hidden:
        option = {name: value for name, value in option.items() if name != "dropout"}
    made = recipe(hidden=hidden, inputs=inputs, batch_size=batch_size, **option)
    task = Task(made, networks=2, rows=100, steps=3, shape=(inputs,))
    (got, losses), (wanted, wanted_losses) = task.train(Native), task.train(Plain)
    assert relative_error(losses, wanted_losses) <= 1e-10
    for network, want in zip(got.networks, wanted.networks, strict=True):
        for name, p in want.items():
            assert relative_error(network[name], p) <= 1e-10, name


@pytest.mark.parametrize(
    "target", [t if t == "AVX2" else pytest.param(t, marks=pytest.mark.slow) for t in TARGETS]
)
def test_every_compiler_gives_the_same_bits(target, tmp_path):
    if not runs_here(target):
        pytest.skip("this processor has no such instructions")
    tasks = [
        Task(recipe(hidden=hidden, **option), networks=2, dtype=dtype)
        for option in OPTIONS
        for hidden in ((9, 6), (70, 33))
        for dtype in (torch.float32, torch.float64)
    ]
    here = [digest(*task.train(Native)) for task in tasks]
    with compiled_for(target, tmp_path):
        assert [digest(*task.train(Native)) for task in tasks] == here
        with threads_of(3):
            assert [digest(*task.train(Native)) for task in tasks] == here


# of the weights, with torch 2.13
DEFAULT_TRAINING = "76955dc64d32f683"
FAST = [target for target in TARGETS if target != "no FMA"]  # which would take an hour


@pytest.mark.parametrize(
    "target", ["as it is", *(pytest.param(target, marks=pytest.mark.slow) for target in FAST)]
)
def test_the_default_training_ends_at_the_same_bits_on_every_cpu(mlfound, mnist_dir, target, tmp_path):
    """All of it: the images, first weights, order and steps of configs/mlp.yaml."""
    if not runs_here(target):
        pytest.skip("this processor has no such instructions")
    with compiled_for(target, tmp_path) if target in TARGETS else nullcontext():
        outcome = mlfound("train", CONFIGS / "mlp.yaml", "engine=native", "--no-plots")
    assert outcome.code == 0, outcome
    weights = load_file(outcome.path / "model.safetensors")
    content = b"".join(weights[name].numpy().tobytes() for name in sorted(weights))
    assert hashlib.sha256(content).hexdigest()[:16] == DEFAULT_TRAINING


def test_a_network_has_the_same_bits_wherever_it_lies_in_memory():
    task = Task(recipe(hidden=(70, 33), dropout=0.3), networks=3, dtype=torch.float32)
    together, losses = task.train(Native)
    for number, network in enumerate(together.networks):
        alone, [own] = replace(task, networks=1, first=number).train(Native)
        assert torch.equal(own, losses[number])
        assert all(torch.equal(p, network[name]) for name, p in alone.networks[0].items())


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_any_number_of_threads_gives_the_same_bits(threads, option, monkeypatch):
    """Who comes first to a part takes it; of the smallest network more threads than have a part."""
    tasks = [
        Task(recipe(hidden=hidden, batch_size=batch_size, inputs=inputs, **option), 1, dtype, shape=(inputs,))
        for hidden, batch_size, inputs in (((9, 6), 8, 11), ((70, 433), 33, 129), ((40,), 20, 2000))
        for dtype in (torch.float32, torch.float64)
    ]
    by_one = [digest(*task.train(Native)) for task in tasks]
    monkeypatch.setattr("mlfound.native.training.NUMBERS_OF_THREAD", 1)
    with threads_of(threads):
        assert [digest(*task.train(Native)) for task in tasks] == by_one


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("option", range(len(OPTIONS)))
def test_what_is_no_number_goes_where_the_readable_engine_has_it(value, option):
    """A compiler that is told there is none would lose it; and the numbers beside a row must not get it."""

    class Spoilt(Task):
        def start(self, number):
            parameters = super().start(number)
            if number == 1:
                next(p for p in parameters.values() if p.ndim == 2)[2, 3] = value
            return parameters

    task = Spoilt(recipe(hidden=(20,), **OPTIONS[option]), networks=3, steps=1, rows=20)
    (got, losses), (wanted, wanted_losses) = task.train(Native), task.train(Plain)
    assert torch.equal(losses.isnan(), wanted_losses.isnan())
    for network, want in zip(got.networks, wanted.networks, strict=True):
        for name, p in want.items():
            assert torch.equal(network[name].isfinite(), p.isfinite()), name


X = torch.linspace(-6, 6, 10_001, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "exact", "units"),
    [
        ("exps", torch.exp, 2),
        ("tanhs", torch.tanh, 4),
        # z = x / sqrt(2) is off by a unit, in ours and in theirs: in an exponent, its square of 18 makes 36 of it
        ("gelus", functions.gelu, 80),
        ("gelu_slopes", lambda x: functions.gelu_grad(torch.ones_like(x), x), 80),
    ],
)
def test_functions_are_right_to_a_few_units_in_the_last_place(name, exact, units):
    x = torch.cat([X, X * 1e-3, X * 1e-12])
    got, want = x.clone(), exact(x)
    function(name, POINTER, SIZE)(got.data_ptr(), len(got))
    largest = want.abs().clamp_min(0.2) if name == "gelu_slopes" else want.abs()  # it is the sum of two terms
    assert ((got - want).abs() <= units * 2.0**-52 * largest).all()

    special = torch.tensor([0.0, torch.nan, 1000.0, -1000.0], dtype=torch.float64)
    got, want = special.clone(), exact(special)
    function(name, POINTER, SIZE)(got.data_ptr(), len(got))
    assert torch.equal(got.isnan(), want.isnan())
    assert (got[want.isfinite()] - want[want.isfinite()]).abs().max() <= 1e-15


def test_random_numbers_that_are_not_torchs_are_noticed(monkeypatch):
    assert random.unavailable.__wrapped__() is None
    rand = torch.rand
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: rand(*shape, generator=generator).roll(1))
    assert "draws random numbers in another way" in random.unavailable.__wrapped__()


def test_random_numbers_go_on_where_they_were():
    ours, theirs = (generator(0, "test") for _ in range(2))
    for count in (1, 622, 1, 2, 5000):
        words, state = torch.empty(count, dtype=torch.int32), ours.get_state()
        function("draw", POINTER, POINTER, SIZE)(state.data_ptr(), words.data_ptr(), count)
        ours.set_state(state)
        assert torch.equal((words & 0xFFFFFF) * 2.0**-24, torch.rand(count, generator=theirs))


def test_rows_without_a_rate_and_labels_without_an_output_are_refused():
    """C would read on, and write."""
    task = Task(recipe(), steps=2)
    engine, _ = task.train(Native)
    rate = Rate(0.1, 0.9, 0)
    for rows, rates in ((16, [rate]), (8, [rate, rate]), (8, [])):
        with pytest.raises(ValueError, match=f"{len(rates)} rates for {rows} rows in batches of 8"):
            engine.run(torch.zeros(1, rows, dtype=torch.int64), rates)
    x, y = torch.zeros(4, 11), torch.tensor([0, 1, 5, 2])
    with pytest.raises(ValueError, match="labels from 0 to 5, where there are 5 outputs"):
        Native(task.recipe, [task.start(0)], [generator(0, "dropout")], x, y)


def test_labels_and_rows_of_32_bits_are_numbers_like_any():
    task = Task(recipe(), dtype=torch.float32)
    start, x = task.start(0), torch.randn(16, 11, generator=generator(0, "x"))
    y, rows, rates = torch.arange(16) % 5, torch.arange(16)[None], [Rate(0.1, 0.9, n) for n in range(2)]
    losses = [
        Native(task.recipe, [start], [generator(0, "dropout")], x, y.to(kind)).run(rows.to(kind), rates)
        for kind in (torch.int64, torch.int32)
    ]
    assert torch.equal(*losses)


def test_a_network_that_does_not_end_with_a_linear_layer_has_no_compiled_code():
    assert lacking(recipe_of([Linear(11, 5), ReLU()])) == "ReLU as the last layer has no compiled code"
