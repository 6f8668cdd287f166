"""A look inside while it trains: the figures are those of autograd, and not a bit of the training changes."""

from pathlib import Path

import pytest
import torch

from mlfound.config.networks import CNNConfig, MLPConfig, ResidualMLPConfig, ResNetConfig
from mlfound.config.training import InsideConfig
from mlfound.engines.recipe import Recipe
from mlfound.foundations.checks import relative_error
from mlfound.foundations.models import MODELS
from mlfound.foundations.optimizers import SGD
from mlfound.foundations.randomness import generator
from mlfound.reference import autograd
from mlfound.training import inside
from mlfound.training.inside import (
    BINS,
    LARGEST,
    MAX_LAYERS,
    MAX_TOGETHER,
    Inside,
    counts_of,
    is_of_interest,
)
from tests.support.commands import refused_at_once
from tests.support.stacks import batch, tensors_of

TRAIN = ("train", "--no-plots", "data.dataset=mnist-sample")
SAMPLE = (*TRAIN, "threads=1", "epochs=2")
KINDS = {
    "native": ("engine=native", "model.dropout=0.3"),
    "buffers, norm and dropout": ("engine=buffers", "model.norm=batch", "model.dropout=0.3"),
    "augmented": ("augment={shift: 1, mixup: 0.4}",),
    "two networks": ("model.name=cnn", "model.channels=[4]", "model.kernels=[5]", "replicates=2"),
}
IMAGE = 9, 8


@pytest.mark.parametrize("kind", KINDS)
def test_it_changes_no_bit_of_the_training(mlfound, kind):
    without = mlfound(*SAMPLE, *KINDS[kind])
    looked = mlfound(*SAMPLE, *KINDS[kind], "--inside", "inside.every=3")
    steps = {int(row["step"]) for row in looked.rows("inside")}
    assert steps == set(range(0, max(steps) + 1, 3))
    assert len(steps) > 3
    one, other = ((outcome.path / "model.safetensors").read_bytes() for outcome in (without, looked))
    assert one == other


def recipe_of(config):
    return Recipe(MODELS[config.name](config.model_dump(), IMAGE), SGD(), "cross-entropy")


def looked_at(config, rows=5):
    """By us, and by autograd: a row of figures a layer."""
    recipe, (x, y) = recipe_of(config), batch(rows, (72,), 10)
    network = tensors_of(recipe.model)
    watcher = Inside(recipe, InsideConfig(rows=rows), x, y)
    watcher.look(7, network, generator(0, "dropout"), x, y)
    [look] = watcher.looks
    return watcher, look, reference(recipe, network, x, y)


def reference(recipe, network, x, y):
    """Mean, std, share near zero, and the gradients' lengths, of each layer that is looked at."""
    kept, output = [], autograd.output

    def keeping(layer, x, tensors):
        out = output(layer, x, tensors)
        if is_of_interest(layer) and not hasattr(layer, "layers"):
            out.retain_grad()
            kept.append((out, tensors))
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autograd, "output", keeping)
        model = recipe.model
        for layer in inside.leaves(model):
            layer.training = True
        autograd.loss_and_gradients(model, network, x, y, "cross-entropy")
    rows = []
    for out, own in kept:
        limit, gradients = (
            0.01 * out.square().mean().sqrt(),
            [p.grad for p in own.values() if p.grad is not None],
        )
        rows.append([
            out.mean().item(), out.std(correction=0).item(), (out.abs() <= limit).double().mean().item(),
            out.grad.norm().item(), sum(each.square().sum().item() for each in gradients) ** 0.5,
        ])  # fmt: skip
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    "config",
    [
        MLPConfig(hidden=(6, 5), norm="layer"),
        CNNConfig(channels=(3, 4), kernels=(3, 3), norm="batch"),
        ResNetConfig(stem=3, stages=(3, 4)),
        ResidualMLPConfig(width=5, blocks=2),
    ],
)
def test_the_figures_are_those_of_autograd(config):
    watcher, look, wanted = looked_at(config)
    assert look.figures.shape == wanted.shape == (len(watcher.names), 5)
    assert max(map(relative_error, look.figures.T, wanted.T)) < 1e-10
    assert (look.step, look.counts.shape) == (7, (len(watcher.names), BINS))
    assert watcher.names[0] in ("1 Linear", "1 Conv2d")


@pytest.mark.parametrize("fault", ["std", "near zero", "another layer"])
def test_a_figure_that_is_wrong_is_seen(fault, monkeypatch):
    """The test above bites."""
    true = inside.figures_of
    monkeypatch.setattr(inside, "figures_of", lambda layer: wrong(true(layer)))

    def wrong(rows):
        mean, std, near_zero, gradient, weight_gradient = rows.mT
        columns = {
            "std": (mean, std * 1.001, near_zero, gradient, weight_gradient),
            "near zero": (mean, std, 1 - near_zero, gradient, weight_gradient),
            "another layer": (mean, std, near_zero, weight_gradient, gradient),
        }[fault]
        return torch.stack(columns, 1)

    _, look, wanted = looked_at(MLPConfig(hidden=(6, 5)))
    assert max(map(relative_error, look.figures.T, wanted.T)) > 1e-4


def test_each_of_several_looks_is_at_its_own_network():
    """Of more than are taken at once, and of those that are left over."""
    recipe = recipe_of(MLPConfig(hidden=(6, 5), norm="batch", dropout=0.4, activation="gelu"))
    config, seeds = InsideConfig(rows=5), range(MAX_TOGETHER + 3)
    watcher, each = (Inside(recipe, config, *batch(5, (72,), 10)) for _ in range(2))
    for seed in seeds:
        network, (x, y) = tensors_of(recipe.model, seed), batch(5, (72,), 10, seed)
        for own in (watcher, each):
            own.look(seed, network, generator(seed, "dropout"), x, y)
        each.take()
    assert [look.step for look in watcher.looks] == [*seeds]
    for look, alone in zip(watcher.looks, each.looks, strict=True):
        assert relative_error(look.figures, alone.figures) < 1e-12
        assert torch.equal(look.counts, alone.counts)


def test_a_look_leaves_the_network_and_its_generator_alone():
    recipe, (x, y) = recipe_of(CNNConfig(channels=(3,), kernels=(3,), norm="batch")), batch(5, (72,), 10)
    network, random = tensors_of(recipe.model), generator(0, "dropout")
    before = {name: p.clone() for name, p in network.items()}, random.get_state().clone()
    watcher = Inside(recipe, InsideConfig(rows=5), x, y)
    watcher.look(0, network, random, x, y)
    assert len(watcher.looks) == 1
    assert all(torch.equal(network[name], p) for name, p in before[0].items())
    assert torch.equal(random.get_state(), before[1])


def test_the_histogram_has_0_in_its_middle_and_what_is_far_out_at_its_ends():
    x = torch.tensor([0.0, -0.0, 1e-9, LARGEST, 1e30, torch.inf, -1e30, torch.nan])
    [[counts]] = counts_of([x[None]]).tolist()
    assert (counts[BINS // 2], counts[-1], counts[0], sum(counts)) == (3, 3, 1, 7)
    many = torch.linspace(-3, 3, 100_001)
    [[first, second]] = counts_of([many[None], many[None] + 50])
    assert first.sum() == second.sum() > 1_000
    assert torch.equal(first, first.flip(0)) or (first - first.flip(0)).abs().max() <= 2
    assert second[: BINS // 2 + 20].sum() == 0


def test_of_a_deep_network_some_layers_are_looked_at():
    config = ResidualMLPConfig(width=3, blocks=40)
    watcher, look, _ = looked_at(config)
    assert len(watcher.names) == len(look.figures) == MAX_LAYERS
    assert (watcher.names[0], watcher.names[-1]) == ("1 Linear", "163 Linear")


def test_a_resumed_training_has_all_its_looks(mlfound):
    options = (*TRAIN, "threads=1", "schedule=constant", "--inside", "inside.every=5")
    whole = mlfound(*options, "epochs=3")
    short = mlfound(*options, "epochs=2", "--name", "short")
    further = mlfound("train", "--no-plots", "--resume", short.path, "epochs=3")
    assert further.code == 0, further
    for table in ("inside", "inside_layers", "inside_histograms"):
        assert further.rows(table) == whole.rows(table)


def test_where_it_diverges_the_looks_until_then_are_kept(mlfound):
    outcome = mlfound(*SAMPLE, "optimizer.lr=1e20", "inside.every=1")
    assert (outcome.code, outcome.json("run.json")["status"]) == (1, "diverged")
    rows = outcome.rows("inside")
    assert [row["layer"] for row in rows if row["step"] == "0"] == ["1 Linear", "2 ReLU", "3 Linear"]
    assert any(not row["std"] or float(row["std"]) > 1e10 for row in rows)


def test_the_screen_says_which_activation_was_nearest_to_dead(mlfound):
    outcome = mlfound(*SAMPLE, "--inside")
    assert "Inside: most near zero was what 2 ReLU gave, " in outcome.out
    assert len(outcome.out.splitlines()) <= 12
    verbose = mlfound(*SAMPLE, "--inside", "--verbose").out
    assert "looks at 8 rows of a batch" in verbose


def test_a_file_may_say_true(mlfound):
    Path("own.yaml").write_text("inside: true\nepochs: 1\n")
    outcome = mlfound("train", "own.yaml", "--no-plots", "data.dataset=mnist-sample")
    assert outcome.rows("inside")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inside.every=0"], ["inside.every", "1 or more"]),
        (["inside.rows=1"], ["inside.rows", "2 or more"]),
        (["inside={evry: 3}"], ["inside.evry", "did you mean 'inside.every'"]),
        (["inside=3"], ["inside", "{every: 10}"]),
    ],
)
def test_bad_input(mlfound, arguments, words):
    refused_at_once(mlfound(*TRAIN, *arguments), *words)


def test_the_finder_does_not_look_inside(mlfound):
    refused_at_once(mlfound("lr-find", "--no-plots", "inside={}"), "inside", "write inside: null")
