"""Verdicts of a training: did it overfit, did it learn anything, and does what is advised instead work?"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mlfound.config.loading import load, parse_set
from mlfound.experiments import train
from mlfound.experiments.trained.verdicts import CHECK, advice, learned, overfitting
from mlfound.foundations.randomness import generator
from mlfound.results import Context
from mlfound.stats.estimates import least_above_chance
from mlfound.training.epochs import Epoch
from mlfound.training.halves import halves
from mlfound.training.inputs import prepare
from mlfound.training.plan import plan
from tests.support.recorders import Memory

EPOCH = Epoch(1, 0, 0.01, 0.4, 0.9, 0.1, 0.9, 2.0, 0.1, 25_000.0)


def verdict(epochs, train_losses=None, **options):
    """Of the validation losses (networks, rows) after each epoch."""
    train_losses = train_losses or [1 / n for n in range(1, len(epochs) + 1)]
    so_far = None
    for n, (losses, loss) in enumerate(zip(epochs, train_losses, strict=True), 1):
        so_far = (so_far.then if so_far else halves)(n, torch.as_tensor(losses), loss)
    rows = [
        replace(EPOCH, epoch=n, seed=seed, valid_loss=own.mean().item())
        for n, losses in enumerate(epochs, 1)
        for seed, own in enumerate(torch.as_tensor(losses))
    ]
    result = overfitting(so_far, rows, **options)
    [finding] = result.findings
    return result.metrics["overfitting"], finding


def noisy(*means, rows=400, std=0.1, seed=0):
    """One network; each image has its own difficulty, and each epoch its own noise."""
    draws = generator(seed, "losses")
    difficulty = torch.rand(1, rows, generator=draws)
    return [difficulty + mean + std * torch.randn(1, rows, generator=draws) for mean in means]


def test_a_loss_that_rises_is_overfitting():
    found, finding = verdict(noisy(0.4, 0.2, 0.3, std=0.01))
    assert found is True
    assert re.match(r"Overfitting: the validation loss rose by 0\.(0|1)\d+ ± 0\.00\d+ ", finding)
    for words in ("(90% interval) after epoch 2, to 0.7", "times the training loss of 0.0100"):
        assert words in finding
    assert finding.endswith("More training rows, weight decay or dropout help.")
    _, finding = verdict(noisy(0.4, 0.2, 0.3, std=0.01), dropout=False)
    assert finding.endswith("More training rows or weight decay help.")


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        (noisy(0.4, 0.3, 0.2), "was lowest after the last epoch."),
        (noisy(0.4), "was lowest after the last epoch."),
        (
            noisy(0.4, 0.2, 0.204, std=0.04, seed=2),
            r"rose by 0\.00\d\d ± 0\.00\d\d \(90% interval\) after epoch 2\.",
        ),
        (noisy(0.4, 0.2, 0.202, std=1e-4), r"rose by 0\.0020 .* after epoch 2, by less than 0\.5% of it\."),
        (noisy(0.4, 0.2, 0.3, rows=2, std=0), r"after epoch 2; too few to tell\."),
        (noisy(0.4, 0.2, 0.3, rows=1, std=0), r"after epoch 2; too few to tell\."),
    ],
)
def test_what_is_no_sign_of_overfitting(epochs, words):
    found, finding = verdict(epochs)
    assert found is False
    assert re.fullmatch(f"No sign of overfitting: the validation loss .*{words}", finding), finding


def test_a_rise_that_training_images_share_is_a_step_too_far():
    found, finding = verdict(noisy(0.4, 0.2, 0.3), train_losses=[0.4, 0.1, 0.15])
    assert found is False
    assert finding.endswith("after epoch 2, and so did that of training images.")


def test_the_even_rows_choose_and_the_odd_rows_judge():
    """Each half taken for the other one would say the opposite."""
    first, second = torch.full((1, 100), 0.5), torch.full((1, 100), 0.5)
    second[:, ::2] += 0.1  # so epoch 1 is chosen
    second[:, 1::2] -= torch.linspace(0.1, 0.2, 50)
    assert "fell by 0.1500" in verdict([first, second])[1]


def test_the_rise_is_tested_as_students_t_would():
    """By hand: differences 1, 2, 3, 6 have mean 3, standard error 2.160 / 2, t = 2.777 > 2.353 at 3 degrees."""
    before = torch.ones(1, 8)
    after = before.clone()
    after[:, ::2] += 1
    after[0, 1::2] += torch.tensor([1.0, 2.0, 3.0, 6.0])
    found, finding = verdict([before, after])
    assert found
    assert "rose by 3.0000 ± 2.5419 (90% interval)" in finding
    after[0, 7] += 3  # mean 3.75, standard error 1.797, t = 2.087
    assert not verdict([before, after])[0]


def test_of_several_networks_the_seeds_are_compared():
    """Of each image the loss rises or falls by 1, of each network the mean rises by about 0.1."""
    draws = generator(0, "losses")
    flips = torch.where(torch.arange(200) % 4 < 2, 1.0, -1.0)
    before = torch.full((5, 200), 2.0)
    after = before + flips + 0.1 + 0.01 * torch.randn(5, 1, generator=draws)
    assert verdict([before, after])[0]
    assert not verdict([before[:1], after[:1]])[0], "the images of one network say nothing"
    after[0] -= 1
    assert not verdict([before, after])[0], "one seed of the other opinion"


def test_a_training_that_overfits_and_one_that_does_not():
    """A real one: 1,000 rows fifty times over, nothing to hold the weights back; and as the defaults have it."""
    few = ("data.train_rows=1000", "epochs=50", "optimizer.weight_decay=0", "seed=3")
    result = train.run(config_of(*few), context())
    assert result.passed
    assert result.metrics["overfitting"] is True
    [finding] = [each for each in result.findings if each.startswith("Overfitting: ")]
    assert re.search(r"after epoch \d, to 0\.\d+, \d+ times the training loss of 0\.00\d\d\. ", finding), (
        finding
    )

    result = train.run(config_of("epochs=10"), context())
    assert result.metrics["overfitting"] is False
    assert [each for each in result.findings if each.startswith("No sign of overfitting: ")]


@pytest.mark.parametrize("seeds", [1, 5])
def test_false_alarms_are_as_rare_as_is_said(seeds):
    """Losses that go nowhere: chosen and judged by the same images, some 23% would be called overfitting.

    Of 400 trials at 5% some 20 (standard deviation 4.4) are expected at most; 34 are three more of them.
    """
    alarms = (
        [
            verdict(
                [each.expand(1, -1) for each in torch.cat(noisy(*[1.0] * 10, rows=100, std=1.0, seed=seed))]
            )[0]
            for seed in range(400)
        ]
        if seeds == 1
        else [
            verdict(list(1 + torch.randn(10, seeds, 100, generator=generator(seed, "seeds"))), [0.1] * 10)[0]
            for seed in range(400)
        ]
    )
    assert sum(alarms) <= 34


# Did it learn anything?


def planned(*changes):
    inputs = prepare(config_of(*changes).data, context())
    return plan(config_of(*changes), inputs.splits)


def config_of(*changes):
    quick = ("data.dataset=mnist-sample", "threads=1", "device=cpu", "epochs=2")
    return load("train", None, [parse_set(text) for text in (*quick, *changes)]).config


def context():
    environment = {"cpu": "", "cpu_id": "", "packages": {}}
    return Context(Memory(), Path(), environment, None)


def of_accuracies(*accuracies, labels=None):
    labels = torch.arange(1000) % 10 if labels is None else labels
    return learned(planned("optimizer.lr=5"), labels, dict(enumerate(accuracies)))


def test_the_least_above_chance_is_the_binomial_distributions():
    """By hand: of 5 fair coins all are heads in 1 of 32 trials, four or more in 6."""
    assert least_above_chance(5, 0.5, 0.05) == 5
    assert least_above_chance(5, 0.5, 0.2) == 4
    assert least_above_chance(4, 0.5, 0.05) == 4, "not even all of them would do: then all are asked for"
    assert least_above_chance(1000, 0.1, 0.05) == 117  # P(X >= 117) = 4.4%, P(X >= 116) = 5.4%


def test_a_network_must_be_better_than_always_the_commonest_class():
    [check] = of_accuracies(0.117).checks
    assert (check.name, check.passed, check.value, check.bound) == (
        CHECK.format("validation"),
        True,
        0.117,
        0.117,
    )
    result = of_accuracies(0.116)
    assert not result.passed
    [finding] = result.findings
    for words in (
        "The network learned nothing: 11.60%",
        "makes 10.00% right",
        "up to 11.70%",
        "optimizer.lr: try 0.1",
    ):
        assert words in finding, finding


def test_it_is_the_commonest_class_of_these_labels():
    labels = (torch.arange(1000) < 900).long()
    assert not of_accuracies(0.91, labels=labels).passed
    assert of_accuracies(0.93, labels=labels).passed


def test_of_several_networks_each_must():
    result = of_accuracies(0.9, 0.1, 0.95)
    assert not result.passed
    assert "Of 3 networks 1, first that of seed 1, learned nothing: 10.00%" in result.findings[0]


def test_of_few_images_nothing_is_said():
    assert not of_accuracies(0.5, labels=torch.arange(29) % 2).checks


@pytest.mark.parametrize(
    "changes",
    [
        ("optimizer.lr=1e30",),
        ("optimizer.lr=50",),
        ("optimizer.lr=1e-9",),
        ("optimizer.lr=1e30", "loss=mse", "model.outputs=1", "epochs=5"),
        (
            "optimizer.lr=1e30",
            "loss=mse",
            "model.outputs=1",
            "optimizer.momentum=0",
            "schedule=constant",
            "epochs=5",
        ),
        ("optimizer.lr=1e30", "optimizer.nesterov=true", "model.hidden=[100, 100]"),
        ("optimizer.name=rmsprop", "optimizer.lr=1e30"),
        ("optimizer.name=adam", "optimizer.lr=1e30"),
        ("optimizer.name=adamw", "optimizer.lr=1e30", "loss=mse", "model.outputs=1", "epochs=5"),
        ("optimizer.name=lamb", "optimizer.lr=1e30"),
        ("model.hidden=[]", "optimizer.lr=1e30"),
    ],
    ids=" ".join,
)
def test_the_rate_that_is_advised_does_train(changes):
    """A real training of two epochs that comes to nothing, and one at the rate that its finding names."""
    failed = train.run(config_of(*changes), context())
    assert not failed.passed
    said = " ".join(failed.findings)
    assert "overfitting" not in said.lower(), "of what learned nothing"
    rate = re.search(r"(?:Lower|Raise) optimizer\.lr: try ([-+.e\d]+); mlfound lr-find", said)
    passed = train.run(config_of(*changes, f"optimizer.lr={rate[1]}"), context())
    assert passed.passed
    assert passed.metrics["valid_accuracy"] > (0.2 if "loss=mse" in changes else 0.5)


def test_what_is_advised_otherwise():
    assert "model.init: kaiming" in advice(planned("model.init=normal", "optimizer.lr=1e30"), diverged=True)
    assert "try 0.01;" in advice(planned(), diverged=True), "the usual rate diverged: a tenth"
    assert "look at the labels" in advice(planned())
