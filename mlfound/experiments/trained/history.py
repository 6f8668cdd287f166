"""A training as it went: its epochs as tables and curves, overfitting, or where it diverged."""

from collections.abc import Sequence
from statistics import mean, stdev

import torch

from mlfound.experiments.trained.verdicts import advice
from mlfound.foundations.optimizers import Adam
from mlfound.results import Column, Picture, Result, Table
from mlfound.training.epochs import Epoch, averaged, best_epoch, by_epoch, lowest
from mlfound.training.plan import Plan
from mlfound.training.snapshots import Divergence

COLUMNS = (
    Column("epoch"),
    Column("seed", rank=1),
    Column("train_loss", "train loss", ".4f"),
    Column("valid_loss", "valid loss", ".4f"),
    Column("valid_accuracy", "valid accuracy", ".2%"),
    Column("lr", format=".2e", rank=3),
    Column("momentum", format=".3f", rank=4),
    Column("train_seconds", "train s", ".3f", rank=3),
    Column("eval_seconds", "eval s", ".3f", rank=4),
    Column("images_per_s", "images/s", ",.0f", rank=3),
)


def history(planned: Plan, epochs: Sequence[Epoch], rows: int, test_accuracy: float) -> Result:
    """Of a training on so many `rows` that ran to its end."""
    return Result(
        training_metrics(planned, epochs, rows),
        findings=early_stopping(planned, epochs),
        tables=epoch_tables(epochs),
        pictures=curves(planned, epochs, test_accuracy),
    )


def diverged(planned: Plan, divergence: Divergence, epochs: Sequence[Epoch]) -> Result:
    finding = (
        f"Training diverged at step {divergence.step:,}, in epoch {divergence.epoch}: {divergence.tensor} was no "
        f"longer finite, at a learning rate of {divergence.lr:g}. {advice(planned, diverged=True)}"
    )
    metrics = {"epochs": len(by_epoch(epochs)), "diverged_step": divergence.step}
    return Result(metrics, "diverged", findings=[finding], tables=epoch_tables(epochs))


def tested_epoch(planned: Plan, epochs: Sequence[Epoch]) -> list[Epoch]:
    """The rows of the epoch whose networks are tested and saved: the best one with early stopping, else the last."""
    return by_epoch(epochs)[-1] if planned.patience is None else lowest(epochs)


def early_stopping(planned: Plan, epochs: Sequence[Epoch]) -> list[str]:
    if planned.patience is None:
        return []
    best, last = lowest(epochs)[0].epoch, epochs[-1].epoch
    patience = f"{planned.patience} epoch{'s' * (planned.patience > 1)}"
    when = f"Stopped after {last} of {planned.epochs} epochs"
    ended = f"{when}: the validation loss had not fallen for {patience}"
    if last - best < planned.patience:
        ended = f"Not stopped early: the validation loss never went {patience} without falling"
    return [f"{ended}; the network of epoch {best}, which had the lowest, is tested and saved."]


def training_metrics(planned: Plan, epochs: Sequence[Epoch], rows: int) -> dict[str, float | int]:
    """The tested epoch's figures, the epoch of the lowest validation loss, and the speed over all epochs.

    Those of the validation images only where there are any.

    Of several networks: means, and the images that all of them saw in a second.
    """
    each, tested = by_epoch(epochs), averaged(tested_epoch(planned, epochs))
    seconds = sum(rows[0].train_seconds for rows in each)
    early = {} if planned.patience is None else {"tested_epoch": tested.epoch}
    metrics = {
        "valid_accuracy": tested.valid_accuracy,
        "valid_loss": tested.valid_loss,
        "train_loss": tested.train_loss,
        "epochs": len(each),
        "best_epoch": best_epoch(epochs),
        **early,
        "train_seconds": seconds,
        "images_per_s": rows * len(epochs) / seconds,
    }
    return {name: value for name, value in metrics.items() if value is not None}


def epoch_tables(epochs: Sequence[Epoch]) -> list[Table]:
    """A row per epoch and seed; of several seeds also their means, which are shown instead."""
    means = [averaged(rows) for rows in by_epoch(epochs)]
    several = len(epochs) > len(means)
    tables = [Table.of("epochs", "Epochs", COLUMNS, epochs, shown="never" if several else "verbose")]
    if several:
        columns = [column for column in COLUMNS if column.name != "seed"]
        tables.append(Table.of("epoch_means", "Epochs, means over the seeds", columns, means))
    return tables


def curves(planned: Plan, epochs: Sequence[Epoch], test_accuracy: float) -> list[Picture]:
    """Loss with the learning rate below it, validation accuracy, and the schedule of both rates, over the epochs."""
    ticks = torch.linspace(0, 1, 1000, dtype=torch.float64).tolist()
    each, seeds, best = by_epoch(epochs), len(planned.seeds), best_epoch(epochs)
    means = f", mean of {seeds:,} seeds" if seeds > 1 else ""

    def curve(name: str) -> dict[str, list[float]]:
        values = [[getattr(row, name) for row in rows] for rows in each]
        spread = {f"{name}_std": [stdev(of_epoch) for of_epoch in values]} if seeds > 1 else {}
        return {name: [mean(of_epoch) for of_epoch in values], **spread}

    numbers = [rows[0].epoch for rows in each]
    done = len(each) / planned.epochs  # less than all of the schedule where it was stopped early
    lrs, momenta = zip(*(planned.rates(tick * done) for tick in ticks), strict=True)
    progress = [tick * len(each) for tick in ticks]
    losses = {
        "title": f"Loss ({planned.recipe.loss}){means}",
        "epoch": numbers,
        **curve("train_loss"),
        **({} if best is None else curve("valid_loss")),
        "lr_progress": progress,
        "lr": lrs,
        "best_epoch": best,
    }
    schedule = {"title": "Schedule", "progress": progress, "lr": lrs, "momentum": momenta}
    if isinstance(planned.recipe.optimizer, Adam):
        schedule["momentum_name"] = "beta1"
    pictures = [
        Picture("loss", "loss_curves", losses),
        Picture("schedule", "schedule_curves", schedule),
    ]
    if best is not None:
        accuracies = {
            "title": f"Accuracy{means}",
            "epoch": numbers,
            **curve("valid_accuracy"),
            "test_accuracy": test_accuracy,
        }
        pictures.insert(1, Picture("accuracy", "accuracy_curve", accuracies))
    return pictures
