"""Training: every shipped config's gradients, what the outcome says, and what a model must fit."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mlfound.config.loading import load
from mlfound.config.models import CONFIGS
from mlfound.data.load import Split, Splits
from mlfound.experiments import train
from mlfound.experiments.epochs import Epoch
from mlfound.experiments.gradients import BOUND, check_gradients
from mlfound.experiments.outcome import overfitting, test_metrics, training_metrics
from mlfound.experiments.scoring import Score
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator

FOLDER = Path(__file__).parents[2] / "configs"
TRAINED = [path for path in sorted(FOLDER.glob("*.yaml")) if path.stem not in CONFIGS]

test_metrics.__test__ = False  # a function of ours, no test

EPOCH = Epoch(1, 0.5, 0.4, 0.9, 0.1, 0.9, 2.0, 0.1, 25_000.0)


@pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.stem)
def test_gradients_of_every_shipped_config(path):
    config = load("train", path).config
    sizes = [784, *config.model.hidden, config.model.outputs]
    parameters = mlp_parameters(sizes, INITIALIZATIONS[config.model.init], generator(0, "initialization"))
    x, y = torch.randn(32, 784, generator=generator(0, "x")), torch.arange(32) % 10
    check, table = check_gradients(parameters, x, y, config.model.relu_shift, config.loss)
    assert check.passed
    assert check.value <= BOUND == 1e-10
    assert [row[0] for row in table.rows] == [*parameters, "x"]
    assert all(row[2] > 0 for row in table.rows), "a gradient of zeros would prove nothing"


def test_the_shipped_configs_are_these():
    assert {path.stem for path in TRAINED} == {"mlp", "mlp-wide", "lesson8", "linear"}


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([0.4, 0.3, 0.2], "No sign of overfitting"),
        ([0.4], "No sign of overfitting"),
        ([0.4, 0.2, 0.3], "rose after epoch 2, from 0.2000 to 0.3000"),
        ([0.4, 0.2, 0.2], "rose after epoch 2, from 0.2000 to 0.2000"),
    ],
)
def test_the_sign_of_overfitting_is_a_rising_validation_loss(losses, words):
    epochs = [replace(EPOCH, epoch=n, valid_loss=loss) for n, loss in enumerate(losses, 1)]
    assert words in overfitting(epochs)


def test_a_training_loss_below_the_validation_loss_is_normal():
    epochs = [replace(EPOCH, epoch=n, train_loss=0.01, valid_loss=0.4 - n / 10) for n in (1, 2)]
    assert "No sign" in overfitting(epochs)


def test_the_test_accuracy_has_wilsons_interval():
    score = Score(0.1, 0.97, torch.zeros(100), torch.zeros(100), "confidence")
    metrics = test_metrics(score, 100)
    assert metrics["test_wrong"] == 3
    # Wilson 1927 by hand: centre (p + z^2/2n) / (1 + z^2/n), half width z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n)
    z, n, p = 1.959964, 100, 0.97
    centre, half = (p + z * z / 2 / n), z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    assert metrics["test_accuracy_low"] == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-6)
    assert metrics["test_accuracy_high"] == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-6)


def test_training_metrics_are_of_the_last_epoch_and_of_all_the_time():
    epochs = [replace(EPOCH, epoch=n, valid_loss=loss) for n, loss in enumerate([0.2, 0.1, 0.3], 1)]
    metrics = training_metrics(epochs, 50_000)
    assert metrics["best_epoch"] == 2
    assert metrics["valid_loss"] == 0.3
    assert metrics["train_seconds"] == 6.0
    assert metrics["images_per_s"] == 25_000


@pytest.mark.parametrize("field", ["train_loss", "valid_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_epoch_that_is_not_finite(field, value):
    assert EPOCH.finite
    assert not replace(EPOCH, **{field: value}).finite


def test_the_memory_of_a_network_is_estimated_before_it_is_made(monkeypatch):
    split = Split(torch.zeros(100, 784), torch.zeros(100, dtype=torch.int64))
    splits = Splits(split, split, split, (28, 28), 10, "", {})
    config = load("train").config
    monkeypatch.setattr(train.hardware, "memory_bytes", lambda: 10**9)
    assert train.layer_sizes(config.model_copy(update={"batch_size": 10}), splits) == [784, 50, 10]
    large = config.model.model_copy(update={"hidden": (1_000_000,)})
    with pytest.raises(Exception, match="about 59 GB, and this machine has 1 GB"):
        train.layer_sizes(config.model_copy(update={"batch_size": 10, "model": large}), splits)
