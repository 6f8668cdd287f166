"""What a training has shown: figures, sentences, tables and pictures. The test set is looked at here, once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from scipy.stats import binomtest
from torch import Tensor

from mlfound.config.models import TrainConfig
from mlfound.experiments.inputs import Inputs
from mlfound.experiments.scoring import Score, confusion, evaluate, worst_mistakes
from mlfound.foundations.modules import MLP, Module
from mlfound.foundations.schedules import SCHEDULES
from mlfound.results import Column, Picture, Result, Table

SHOWN_MISTAKES = 25


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures: a row of `metrics.jsonl` and of `tables/epochs.csv`, columns in this order."""

    epoch: int
    train_loss: float  # mean over the epoch's batches, while the weights moved
    valid_loss: float
    valid_accuracy: float
    lr: float  # of the last step
    momentum: float
    train_seconds: float
    eval_seconds: float
    images_per_s: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.train_loss) and math.isfinite(self.valid_loss)


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


def lowest(epochs: Sequence[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss."""
    return min(epochs, key=lambda epoch: epoch.valid_loss)


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


def epoch_table(epochs: Sequence[Epoch]) -> Table:
    """A row an epoch."""
    shown = {
        "train_loss": ("train loss", ".4f"),
        "valid_loss": ("valid loss", ".4f"),
        "valid_accuracy": ("valid accuracy", ".2%"),
        "lr": ("lr", ".2e"),
        "momentum": ("momentum", ".3f"),
        "train_seconds": ("train s", ".3f"),
        "eval_seconds": ("eval s", ".3f"),
        "images_per_s": ("images/s", ",.0f"),
    }
    columns = [Column(field.name, *shown.get(field.name, ())) for field in fields(Epoch)]
    return Table("epochs", "Epochs", columns, [tuple(vars(epoch).values()) for epoch in epochs])


def class_table(counts: Tensor) -> Table:
    """How each true digit fared on the test set, and what it was most often taken for."""
    wrong = counts.clone().fill_diagonal_(0)
    columns = (
        Column("digit"),
        Column("images", format=","),
        Column("right", format=","),
        Column("accuracy", format=".2%"),
        Column("mostly_taken_for", "mostly taken for"),
        Column("times"),
    )
    rows = []
    for digit, row in enumerate(counts.tolist()):
        times, other = wrong[digit].max(0)
        accuracy = row[digit] / sum(row) if sum(row) else None
        rows.append((digit, sum(row), row[digit], accuracy, int(other) if times else None, int(times)))
    return Table("classes", "Test accuracy by digit", columns, rows)


def confusion_table(counts: Tensor) -> Table:
    """The confusion matrix, a row a true digit; the picture shows it better than the screen."""
    columns = [Column("true"), *(Column(f"predicted_{digit}") for digit in range(len(counts)))]
    return Table(
        "confusion", "Confusion matrix", columns, [(i, *row) for i, row in enumerate(counts.tolist())], False
    )


def mistake_table(score: Score, y: Tensor, mistakes: Tensor) -> Table:
    """The most confidently wrong answers: `row` counts the test images from 0."""
    columns = [Column(name) for name in ("row", "true", "predicted", score.kind)]
    values = (mistakes, y[mistakes], score.predicted[mistakes], score.strength[mistakes])
    rows = list(zip(*(value.tolist() for value in values), strict=True))
    return Table("mistakes", "Most confidently wrong", columns, rows, shown=False)


def curves(config: TrainConfig, epochs: Sequence[Epoch], test_accuracy: float) -> list[Picture]:
    """Loss with the learning rate below it, and accuracy, over the epochs."""
    ticks = torch.linspace(0, 1, 1000, dtype=torch.float64).tolist()
    schedule, optimizer = SCHEDULES[config.schedule], config.optimizer
    columns = {
        name: [getattr(epoch, name) for epoch in epochs] for name in ("epoch", "train_loss", "valid_loss")
    }
    loss = Picture(
        "loss",
        "loss_curves",
        {
            "title": f"Loss ({config.loss})",
            **columns,
            "lr_progress": [tick * len(epochs) for tick in ticks],
            "lr": [schedule(tick, optimizer.lr, optimizer.momentum)[0] for tick in ticks],
            "best_epoch": lowest(epochs).epoch,
        },
    )
    accuracy = Picture(
        "accuracy",
        "accuracy_curve",
        {
            "title": "Accuracy",
            "epoch": columns["epoch"],
            "valid_accuracy": [epoch.valid_accuracy for epoch in epochs],
            "test_accuracy": test_accuracy,
        },
    )
    return [loss, accuracy]


def answers(inputs: Inputs, model: MLP, score: Score, counts: Tensor, mistakes: Tensor) -> list[Picture]:
    """What the model answers on the test set, and what its first layer looks for."""
    test, shape = inputs.splits.test, inputs.splits.shape
    images = test.x[mistakes].cpu() * inputs.std + inputs.mean
    wrong = {
        "title": "The most confidently wrong test digits",
        "images": images.view(-1, *shape),
        "true": test.y[mistakes].tolist(),
        "predicted": score.predicted[mistakes].tolist(),
        score.kind: score.strength[mistakes].tolist(),
    }
    weights = {"title": "First-layer weights", "weights": model.parameters["w1"].cpu(), "shape": shape}
    return [
        Picture(
            "confusion", "confusion", {"title": "Test digits: true against predicted", "counts": counts.cpu()}
        ),
        Picture("mistakes", "wrong_digits", wrong),
        Picture("weights", "weights", weights),
    ]
