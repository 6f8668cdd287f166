"""The tables and pictures of a training."""

from collections.abc import Sequence
from dataclasses import fields
from statistics import mean, stdev

import torch
from torch import Tensor

from mlfound.config.training import TrainConfig
from mlfound.foundations.modules import MLP
from mlfound.foundations.schedules import SCHEDULES
from mlfound.results import Column, Picture, Table
from mlfound.training.epochs import Epoch, by_epoch, lowest
from mlfound.training.inputs import Inputs
from mlfound.training.scoring import Score

# of an epoch's figures, what the screen calls them and how it shows them
SHOWN = {
    "train_loss": ("train loss", ".4f"),
    "valid_loss": ("valid loss", ".4f"),
    "valid_accuracy": ("valid accuracy", ".2%"),
    "lr": ("lr", ".2e"),
    "momentum": ("momentum", ".3f"),
    "train_seconds": ("train s", ".3f"),
    "eval_seconds": ("eval s", ".3f"),
    "images_per_s": ("images/s", ",.0f"),
}


def epoch_tables(epochs: Sequence[Epoch]) -> list[Table]:
    """A row an epoch and seed; of several seeds also their means, which are shown."""
    several = any(len(rows) > 1 for rows in by_epoch(epochs))
    columns = [Column(field.name, *SHOWN.get(field.name, ())) for field in fields(Epoch)]
    tables = [
        Table("epochs", "Epochs", columns, [tuple(vars(epoch).values()) for epoch in epochs], not several)
    ]
    if several:
        means = [Column("epoch"), *(column for column in columns if column.name not in ("epoch", "seed"))]
        rows = [
            (rows[0].epoch, *(mean(getattr(row, column.name) for row in rows) for column in means[1:]))
            for rows in by_epoch(epochs)
        ]
        tables.append(Table("epoch_means", "Epochs, means over the seeds", means, rows))
    return tables


def seed_table(first: int, scores: Sequence[Score], epochs: Sequence[Epoch]) -> Table:
    """A row a seed, the first being `first`: its figures on the test images and after its last epoch."""
    columns = (
        Column("seed"),
        Column("test_accuracy", "test accuracy", ".2%"),
        Column("test_loss", "test loss", ".4f"),
        Column("test_wrong", "wrong", ","),
        Column("valid_accuracy", "valid accuracy", ".2%"),
        Column("valid_loss", "valid loss", ".4f"),
        Column("train_loss", "train loss", ".4f"),
        Column("best_epoch", "lowest valid loss in epoch"),
    )
    lines = []
    for seed, score in enumerate(scores, first):
        own = [epoch for epoch in epochs if epoch.seed == seed]
        best, last = min(own, key=lambda epoch: epoch.valid_loss).epoch, own[-1]
        lines.append(
            (
                seed,
                score.accuracy,
                score.loss,
                score.wrong,
                last.valid_accuracy,
                last.valid_loss,
                last.train_loss,
                best,
            )
        )
    return Table("seeds", "Seeds", columns, lines, shown=len(lines) > 1)


def class_table(counts: Tensor, whose: str) -> Table:
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
    return Table("classes", f"Test accuracy by digit{whose}", columns, rows)


def confusion_table(counts: Tensor, whose: str) -> Table:
    """The confusion matrix, a row a true digit; the picture shows it better than the screen."""
    columns = [Column("true"), *(Column(f"predicted_{digit}") for digit in range(len(counts)))]
    rows = [(digit, *row) for digit, row in enumerate(counts.tolist())]
    return Table("confusion", f"Confusion matrix{whose}", columns, rows, shown=False)


def mistake_table(score: Score, y: Tensor, mistakes: Tensor, whose: str) -> Table:
    """The most confidently wrong answers: `row` counts the test images from 0."""
    columns = [Column(name) for name in ("row", "true", "predicted", score.kind)]
    values = (mistakes, y[mistakes], score.predicted[mistakes], score.strength[mistakes])
    rows = list(zip(*(value.tolist() for value in values), strict=True))
    return Table("mistakes", f"Most confidently wrong{whose}", columns, rows, shown=False)


def curves(config: TrainConfig, epochs: Sequence[Epoch], test_accuracy: float) -> list[Picture]:
    """Loss with the learning rate below it, and accuracy, over the epochs."""
    ticks = torch.linspace(0, 1, 1000, dtype=torch.float64).tolist()
    schedule, optimizer, each = SCHEDULES[config.schedule], config.optimizer, by_epoch(epochs)
    columns: dict[str, list[float]] = {"epoch": [rows[0].epoch for rows in each]}
    spreads: dict[str, list[float]] = {}
    for name in ("train_loss", "valid_loss", "valid_accuracy"):
        values = [[getattr(row, name) for row in rows] for rows in each]
        columns[name] = [mean(of_epoch) for of_epoch in values]
        if config.replicates > 1:
            spreads[f"{name}_std"] = [stdev(of_epoch) for of_epoch in values]
    means = f", mean of {config.replicates:,} seeds" if config.replicates > 1 else ""
    accuracy = {name: columns.pop(name) for name in ("valid_accuracy",)}
    spread = {name: spreads.pop(name) for name in ("valid_accuracy_std",) if name in spreads}
    loss_curve = {
        "title": f"Loss ({config.loss}){means}",
        **columns,
        **spreads,
        "lr_progress": [tick * len(each) for tick in ticks],
        "lr": [schedule(tick, optimizer.lr, optimizer.momentum)[0] for tick in ticks],
        "best_epoch": lowest(epochs)[0].epoch,
    }
    accuracy_curve = {
        "title": f"Accuracy{means}",
        "epoch": columns["epoch"],
        **accuracy,
        **spread,
        "test_accuracy": test_accuracy,
    }
    return [Picture("loss", "loss_curves", loss_curve), Picture("accuracy", "accuracy_curve", accuracy_curve)]


def answers(
    inputs: Inputs, model: MLP, score: Score, counts: Tensor, mistakes: Tensor, whose: str
) -> list[Picture]:
    """What the model answers on the test set, and what its first layer looks for."""
    test, shape = inputs.splits.test, inputs.splits.shape
    images = test.x[mistakes].cpu() * inputs.std + inputs.mean
    wrong = {
        "title": f"The most confidently wrong test digits{whose}",
        "images": images.view(-1, *shape),
        "true": test.y[mistakes].tolist(),
        "predicted": score.predicted[mistakes].tolist(),
        score.kind: score.strength[mistakes].tolist(),
    }
    weights = {
        "title": f"First-layer weights{whose}",
        "weights": model.parameters["w1"].cpu(),
        "shape": shape,
    }
    return [
        Picture(
            "confusion",
            "confusion",
            {"title": f"Test digits: true against predicted{whose}", "counts": counts.cpu()},
        ),
        Picture("mistakes", "wrong_digits", wrong),
        Picture("weights", "weights", weights),
    ]
