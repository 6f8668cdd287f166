"""What a training has shown: figures, sentences, tables and pictures. The test set is looked at here, once."""

from collections.abc import Sequence

import torch
from scipy.stats import binomtest

from mlfound.config.models import TrainConfig
from mlfound.experiments.epochs import Epoch, lowest
from mlfound.experiments.inputs import Inputs
from mlfound.experiments.scoring import Score, confusion, evaluate, worst_mistakes
from mlfound.experiments.train_views import (
    answers,
    class_table,
    confusion_table,
    curves,
    epoch_table,
    mistake_table,
)
from mlfound.foundations.modules import MLP, Module
from mlfound.results import Result

SHOWN_MISTAKES = 25


def outcome(config: TrainConfig, inputs: Inputs, model: MLP, loss: Module, epochs: Sequence[Epoch]) -> Result:
    """The result of a training that ran to its end, or of one that diverged."""
    if not epochs[-1].finite:
        return diverged(config, epochs)
    test = inputs.splits.test
    score = evaluate(model, loss, test.x, test.y, inputs.splits.classes)
    counts = confusion(test.y, score.predicted, inputs.splits.classes)
    mistakes = worst_mistakes(score, test.y, SHOWN_MISTAKES)
    metrics = {
        **test_metrics(score, len(test.y)),
        **training_metrics(epochs, len(inputs.splits.train.y)),
        "parameters": sum(p.numel() for p in model.parameters.values()),
    }
    return Result(
        metrics=metrics,
        findings=[overfitting(epochs), test_sentence(metrics, len(test.y))],
        tables=[
            epoch_table(epochs),
            class_table(counts),
            confusion_table(counts),
            mistake_table(score, test.y, mistakes),
        ],
        pictures=[
            *curves(config, epochs, metrics["test_accuracy"]),
            *answers(inputs, model, score, counts, mistakes),
        ],
        tensors={
            **model.parameters,
            "relu_shift": torch.tensor(model.relu_shift),
            "input_mean": inputs.mean,
            "input_std": inputs.std,
        },
    )


def diverged(config: TrainConfig, epochs: Sequence[Epoch]) -> Result:
    """What there is to say of a training whose loss stopped being a finite number."""
    finding = (
        f"Training diverged: the loss was no longer a finite number in epoch {len(epochs)}. "
        f"Lower optimizer.lr (it was {config.optimizer.lr:g})."
    )
    return Result({"epochs": len(epochs)}, "diverged", findings=[finding], tables=[epoch_table(epochs)])


def test_metrics(score: Score, rows: int) -> dict[str, float | int]:
    """Test loss and accuracy, with Wilson's 95% interval: `rows` test images are a sample of all digits."""
    right = round(score.accuracy * rows)
    interval = binomtest(right, rows).proportion_ci(0.95, "wilson")
    return {
        "test_accuracy": score.accuracy,
        "test_accuracy_low": float(interval.low),
        "test_accuracy_high": float(interval.high),
        "test_wrong": rows - right,
        "test_loss": score.loss,
    }


def training_metrics(epochs: Sequence[Epoch], rows: int) -> dict[str, float | int]:
    """The last epoch's figures, the epoch of the lowest validation loss, and the speed over all epochs."""
    last, seconds = epochs[-1], sum(epoch.train_seconds for epoch in epochs)
    return {
        "valid_accuracy": last.valid_accuracy,
        "valid_loss": last.valid_loss,
        "train_loss": last.train_loss,
        "epochs": len(epochs),
        "best_epoch": lowest(epochs).epoch,
        "train_seconds": seconds,
        "images_per_s": rows * len(epochs) / seconds,
    }


def overfitting(epochs: Sequence[Epoch]) -> str:
    """The lesson's sign of it, in words: not a training loss below the validation loss, but a rising one."""
    best, last = lowest(epochs), epochs[-1]
    if best is last:
        return "No sign of overfitting: the validation loss was lowest after the last epoch."
    return (
        f"Overfitting: the validation loss rose after epoch {best.epoch}, "
        f"from {best.valid_loss:.4f} to {last.valid_loss:.4f} at the end."
    )


def test_sentence(metrics: dict[str, float | int], rows: int) -> str:
    """The headline."""
    return (
        f"Test accuracy {metrics['test_accuracy']:.2%} (95% interval {metrics['test_accuracy_low']:.2%} "
        f"to {metrics['test_accuracy_high']:.2%}): {metrics['test_wrong']:,} of {rows:,} images wrong."
    )
