"""The tables and pictures of a training."""

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor

from mlfound.config.models import TrainConfig
from mlfound.experiments.epochs import Epoch, lowest
from mlfound.experiments.inputs import Inputs
from mlfound.experiments.scoring import Score
from mlfound.foundations.modules import MLP
from mlfound.foundations.schedules import SCHEDULES
from mlfound.results import Column, Picture, Table


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
