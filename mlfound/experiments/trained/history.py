"""A training as it went: its epochs as tables and curves, overfitting, or where it diverged."""

from collections.abc import Sequence
from statistics import mean, stdev

import torch

from mlfound.results import Column, Picture, Result, Table
from mlfound.training.epochs import Epoch, averaged, by_epoch, lowest, mean_valid_loss
from mlfound.training.plan import Plan
from mlfound.training.snapshots import Divergence

COLUMNS = (
    Column("epoch"),
    Column("seed"),
    Column("train_loss", "train loss", ".4f"),
    Column("valid_loss", "valid loss", ".4f"),
    Column("valid_accuracy", "valid accuracy", ".2%"),
    Column("lr", format=".2e"),
    Column("momentum", format=".3f"),
    Column("train_seconds", "train s", ".3f"),
    Column("eval_seconds", "eval s", ".3f"),
    Column("images_per_s", "images/s", ",.0f"),
)


def history(planned: Plan, epochs: Sequence[Epoch], rows: int, test_accuracy: float) -> Result:
    """Of a training on so many `rows` that ran to its end."""
    return Result(
        training_metrics(epochs, rows),
        findings=[overfitting(epochs)],
        tables=epoch_tables(epochs),
        pictures=curves(planned, epochs, test_accuracy),
    )


def diverged(planned: Plan, divergence: Divergence, epochs: Sequence[Epoch]) -> Result:
    advice = f"Lower optimizer.lr: try {planned.lr / 10:g}."
    if planned.init == "normal":  # each layer makes the signal larger
        advice = "Begin smaller: write model.init: kaiming."
    finding = (
        f"Training diverged at step {divergence.step:,}, in epoch {divergence.epoch}: {divergence.tensor} was no "
        f"longer finite, at a learning rate of {divergence.lr:g}. {advice}"
    )
    metrics = {"epochs": len(by_epoch(epochs)), "diverged_step": divergence.step}
    return Result(metrics, "diverged", findings=[finding], tables=epoch_tables(epochs))


def training_metrics(epochs: Sequence[Epoch], rows: int) -> dict[str, float | int]:
    """The last epoch's figures, the epoch of the lowest validation loss, and the speed over all epochs.

    Of several networks: means, and the images that all of them saw in a second.
    """
    each = by_epoch(epochs)
    last, seconds = averaged(each[-1]), sum(rows[0].train_seconds for rows in each)
    return {
        "valid_accuracy": last.valid_accuracy,
        "valid_loss": last.valid_loss,
        "train_loss": last.train_loss,
        "epochs": len(each),
        "best_epoch": lowest(epochs)[0].epoch,
        "train_seconds": seconds,
        "images_per_s": rows * len(epochs) / seconds,
    }


def overfitting(epochs: Sequence[Epoch]) -> str:
    """The lesson's sign of it: not a training loss below the validation loss, but a rising validation loss."""
    best, last = lowest(epochs), by_epoch(epochs)[-1]
    if best == last:
        return "No sign of overfitting: the validation loss was lowest after the last epoch."
    before, after = f"{mean_valid_loss(best):.4g}", f"{mean_valid_loss(last):.4g}"
    if before == after:
        return f"No sign of overfitting: the validation loss stayed at {after} after epoch {best[0].epoch}."
    return f"Overfitting: the validation loss rose after epoch {best[0].epoch}, from {before} to {after} at the end."


def epoch_tables(epochs: Sequence[Epoch]) -> list[Table]:
    """A row per epoch and seed; of several seeds also their means, which are shown instead."""
    means = [averaged(rows) for rows in by_epoch(epochs)]
    several = len(epochs) > len(means)
    tables = [Table.of("epochs", "Epochs", COLUMNS, epochs, shown=not several)]
    if several:
        columns = [column for column in COLUMNS if column.name != "seed"]
        tables.append(Table.of("epoch_means", "Epochs, means over the seeds", columns, means))
    return tables


def curves(planned: Plan, epochs: Sequence[Epoch], test_accuracy: float) -> list[Picture]:
    """Loss with the learning rate below it, accuracy, and the schedule of both rates, over the epochs."""
    ticks = torch.linspace(0, 1, 1000, dtype=torch.float64).tolist()
    each, seeds = by_epoch(epochs), len(planned.seeds)
    means = f", mean of {seeds:,} seeds" if seeds > 1 else ""

    def curve(name: str) -> dict[str, list[float]]:
        values = [[getattr(row, name) for row in rows] for rows in each]
        spread = {f"{name}_std": [stdev(of_epoch) for of_epoch in values]} if seeds > 1 else {}
        return {name: [mean(of_epoch) for of_epoch in values], **spread}

    numbers = [rows[0].epoch for rows in each]
    lrs, momenta = zip(*map(planned.rates, ticks), strict=True)
    progress = [tick * len(each) for tick in ticks]
    losses = {
        "title": f"Loss ({planned.recipe.loss}){means}",
        "epoch": numbers,
        **curve("train_loss"),
        **curve("valid_loss"),
        "lr_progress": progress,
        "lr": lrs,
        "best_epoch": lowest(epochs)[0].epoch,
    }
    accuracies = {
        "title": f"Accuracy{means}",
        "epoch": numbers,
        **curve("valid_accuracy"),
        "test_accuracy": test_accuracy,
    }
    schedule = {"title": "Schedule", "progress": progress, "lr": lrs, "momentum": momenta}
    return [
        Picture("loss", "loss_curves", losses),
        Picture("accuracy", "accuracy_curve", accuracies),
        Picture("schedule", "schedule_curves", schedule),
    ]
