"""What a training has shown: figures, sentences, tables and pictures. The test set is looked at here, once."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from mlfound.config.training import TrainConfig
from mlfound.experiments.training.views import (
    answers,
    class_table,
    confusion_table,
    curves,
    epoch_tables,
    mistake_table,
    seed_table,
)
from mlfound.foundations.modules import MLP, Module
from mlfound.results import Result
from mlfound.stats.proportions import accuracy_interval, too_few
from mlfound.training.epochs import Epoch, by_epoch, lowest, mean_valid_loss
from mlfound.training.inputs import Inputs
from mlfound.training.scoring import Score, confusion, evaluate, worst_mistakes
from mlfound.training.state import Divergence

SHOWN_MISTAKES = 25

Figures = dict[str, float | int]


def outcome(
    config: TrainConfig, inputs: Inputs, models: Sequence[MLP], loss: Module, epochs: Sequence[Epoch]
) -> Result:
    """The result of a training that ran to its end. Digits are looked at one by one for the first seed only."""
    test, classes = inputs.splits.test, inputs.splits.classes
    scores = [evaluate(model, loss, test.x, test.y, classes) for model in models]
    model, score = models[0], scores[0]
    counts = confusion(test.y, score.predicted, classes)
    mistakes = worst_mistakes(score, test.y, SHOWN_MISTAKES)
    seeds = seed_table(config.seed, scores, epochs)
    metrics = {
        **test_metrics(scores, len(test.y)),
        **training_metrics(epochs, len(inputs.splits.train.y)),
        "parameters": sum(p.numel() for p in model.parameters.values()),
    }
    whose = f", seed {config.seed}" if len(models) > 1 else ""
    return Result(
        metrics=metrics,
        findings=[overfitting(epochs), test_sentence(metrics, len(test.y))],
        tables=[
            *epoch_tables(epochs),
            seeds,
            class_table(counts, whose),
            confusion_table(counts, whose),
            mistake_table(score, test.y, mistakes, whose),
        ],
        pictures=[
            *curves(config, epochs, metrics["test_accuracy"]),
            *answers(inputs, model, score, counts, mistakes, whose),
        ],
        tensors=model_file(config, inputs, models),
    )


def model_file(config: TrainConfig, inputs: Inputs, models: Sequence[MLP]) -> dict[str, Tensor]:
    """What `load_model` reads: the parameters, of several networks with their seed before the name."""
    networks = {
        (name if len(models) == 1 else f"{seed}.{name}"): p
        for seed, model in enumerate(models, config.seed)
        for name, p in model.parameters.items()
    }
    return {
        **networks,
        "relu_shift": torch.tensor(config.model.relu_shift),
        "input_mean": inputs.mean,
        "input_std": inputs.std,
    }


def diverged(config: TrainConfig, divergence: Divergence, epochs: Sequence[Epoch]) -> Result:
    """What there is to say of a training in which a number stopped being finite."""
    finding = (
        f"Training diverged at step {divergence.step:,}, in epoch {divergence.epoch}: {divergence.tensor} was no "
        f"longer finite, at a learning rate of {divergence.lr:g}. {advice(config)}"
    )
    metrics = {"epochs": len(by_epoch(epochs)), "diverged_step": divergence.step}
    return Result(metrics, "diverged", findings=[finding], tables=epoch_tables(epochs))


def advice(config: TrainConfig) -> str:
    """What to try first."""
    if config.model.init == "normal":  # each layer makes the signal larger
        return "Begin smaller: write model.init: kaiming."
    return f"Lower optimizer.lr: try {config.optimizer.lr / 10:g}."


def test_metrics(scores: Sequence[Score], rows: int) -> Figures:
    """Test loss and accuracy over `rows` images, with a 95% interval where there are enough to know it."""
    accuracies = [score.accuracy for score in scores]
    metrics: Figures = {"test_accuracy": mean(accuracies)}
    if len(scores) > 1:
        metrics |= {"test_accuracy_std": stdev(accuracies)}
    if interval := accuracy_interval(accuracies, rows):
        metrics |= dict(zip(("test_accuracy_low", "test_accuracy_high"), interval, strict=True))
    if len(scores) > 1:
        metrics |= {"test_accuracy_worst": min(accuracies), "test_accuracy_best": max(accuracies)}
    wrong = mean(score.wrong for score in scores)
    metrics |= {"test_wrong": wrong, "test_loss": mean(score.loss for score in scores)}
    return metrics | ({"replicates": len(scores)} if len(scores) > 1 else {})


def training_metrics(epochs: Sequence[Epoch], rows: int) -> Figures:
    """The last epoch's figures, the epoch of the lowest validation loss, and the speed over all epochs.

    Of several networks: means, and the images that all of them saw in a second.
    """
    each = by_epoch(epochs)
    last, seconds = each[-1], sum(rows[0].train_seconds for rows in each)
    return {
        "valid_accuracy": mean(row.valid_accuracy for row in last),
        "valid_loss": mean_valid_loss(last),
        "train_loss": mean(row.train_loss for row in last),
        "epochs": len(each),
        "best_epoch": lowest(epochs)[0].epoch,
        "train_seconds": seconds,
        "images_per_s": rows * len(epochs) / seconds,
    }


def overfitting(epochs: Sequence[Epoch]) -> str:
    """The lesson's sign of it, in words: not a training loss below the validation loss, but a rising one."""
    best, last = lowest(epochs), by_epoch(epochs)[-1]
    if best == last:
        return "No sign of overfitting: the validation loss was lowest after the last epoch."
    before, after = f"{mean_valid_loss(best):.4g}", f"{mean_valid_loss(last):.4g}"
    if before == after:
        return f"No sign of overfitting: the validation loss stayed at {after} after epoch {best[0].epoch}."
    return f"Overfitting: the validation loss rose after epoch {best[0].epoch}, from {before} to {after} at the end."


def test_sentence(metrics: Mapping[str, Any], rows: int) -> str:
    """The headline."""
    seeds, interval = metrics.get("replicates", 1), too_few(metrics.get("replicates", 1), rows)
    if "test_accuracy_low" in metrics:
        interval = f"95% interval {metrics['test_accuracy_low']:.2%} to {metrics['test_accuracy_high']:.2%}"
    if seeds == 1:
        return (
            f"Test accuracy {metrics['test_accuracy']:.2%} ({interval}): "
            f"{metrics['test_wrong']:,} of {rows:,} images wrong."
        )
    return (
        f"Test accuracy {metrics['test_accuracy']:.2%} in the mean over {seeds:,} seeds "
        f"({interval}, standard deviation {100 * metrics['test_accuracy_std']:.2f} percentage points, "
        f"worst {metrics['test_accuracy_worst']:.2%}, best {metrics['test_accuracy_best']:.2%})."
    )
