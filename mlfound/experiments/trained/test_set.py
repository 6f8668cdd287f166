"""The trained networks on the test set, which is used here, once: scores, mistakes, a look inside."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from torch import Tensor

from mlfound.data.load import Splits
from mlfound.experiments.trained.history import tested_epoch
from mlfound.experiments.trained.inside import inside
from mlfound.foundations.layers import Loss, Sequential
from mlfound.results import Column, Picture, Result, Table
from mlfound.stats.estimates import accuracy_interval, too_few
from mlfound.training.epochs import Epoch, best_epoch
from mlfound.training.evaluation import Score, confusion, evaluate, worst_mistakes
from mlfound.training.inputs import Inputs
from mlfound.training.plan import Plan

SHOWN_MISTAKES = 25


def on_test_set(
    planned: Plan, inputs: Inputs, models: Sequence[Sequential], epochs: Sequence[Epoch]
) -> Result:
    """Every network's figures, and those of its tested epoch; the images one by one for the first seed only."""
    test, splits, loss = inputs.splits.test, inputs.splits, Loss(planned.recipe.loss)
    scores = [evaluate(model, loss, test.x, test.y, splits.classes) for model in models]
    metrics = test_metrics(scores, len(test.y))
    whose = planned.first
    return (
        Result(
            metrics,
            findings=[test_sentence(metrics, len(test.y))],
            tables=[seed_table(tested_epoch(planned, epochs), scores, epochs)],
        )
        + by_class(confusion(test.y, scores[0].predicted, splits.classes), splits, whose)
        + by_mistake(inputs, scores[0], whose)
        + inside(models[0], inputs, scores[0], whose)
    )


def test_metrics(scores: Sequence[Score], rows: int) -> dict[str, float | int]:
    """Test loss and accuracy over `rows` images, with a 95% interval where there are enough to know it."""
    accuracies, several = [score.accuracy for score in scores], len(scores) > 1
    low, high = accuracy_interval(accuracies, rows) or (None, None)
    metrics = {
        "test_accuracy": mean(accuracies),
        "test_accuracy_std": stdev(accuracies) if several else None,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_accuracy_worst": min(accuracies) if several else None,
        "test_accuracy_best": max(accuracies) if several else None,
        "test_wrong": mean(score.wrong for score in scores),
        "test_loss": mean(score.loss for score in scores),
        "test_error": mean(score.wrong for score in scores)
        / rows,  # its interval is the accuracy's, turned round
        "replicates": len(scores) if several else None,
    }
    return {name: value for name, value in metrics.items() if value is not None}


def test_sentence(metrics: Mapping[str, Any], rows: int) -> str:
    seeds = metrics.get("replicates", 1)
    interval = too_few(seeds, rows)
    if "test_accuracy_low" in metrics:
        interval = f"95% interval {metrics['test_accuracy_low']:.2%} to {metrics['test_accuracy_high']:.2%}"
    accuracy = f"Test accuracy {metrics['test_accuracy']:.2%}"
    if seeds == 1:
        return f"{accuracy} ({interval}): {metrics['test_wrong']:,} of {rows:,} images wrong."
    return (
        f"{accuracy} in the mean over {seeds:,} seeds "
        f"({interval}, standard deviation {100 * metrics['test_accuracy_std']:.2f} percentage points, "
        f"worst {metrics['test_accuracy_worst']:.2%}, best {metrics['test_accuracy_best']:.2%})."
    )


def seed_table(tested: Sequence[Epoch], scores: Sequence[Score], epochs: Sequence[Epoch]) -> Table:
    """Each network's score on the test set, the epoch that is tested, and that of its lowest validation loss."""
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
    rows = []
    for n, (epoch, score) in enumerate(zip(tested, scores, strict=True)):
        best = best_epoch(epochs[n :: len(tested)])
        figures = epoch.valid_accuracy, epoch.valid_loss, epoch.train_loss
        rows.append((epoch.seed, score.accuracy, score.loss, score.wrong, *figures, best))
    return Table("seeds", "Seeds", columns, rows, shown="verbose" if len(rows) > 1 else "never")


def by_class(counts: Tensor, splits: Splits, whose: str) -> Result:
    """The confusion matrix `counts`, rows true and columns predicted, and the commonest mistake of each class."""
    wrong = counts.clone().fill_diagonal_(0)
    matrix, labels, rows = counts.tolist(), splits.labels, []
    for n, row in enumerate(matrix):
        times, other = wrong[n].max(0)
        accuracy = row[n] / sum(row) if sum(row) else None
        mostly = labels[int(other)] if times else None
        rows.append((labels[n], sum(row), row[n], accuracy, mostly, int(times)))
    a_class = "digit" if splits.noun == "digit" else "class"
    columns = (
        Column(a_class),
        Column("images", format=","),
        Column("right", format=","),
        Column("accuracy", format=".2%"),
        Column("mostly_taken_for", "mostly taken for"),
        Column("times"),
    )
    predicted = [Column("true"), *(Column(f"predicted_{label}") for label in labels)]
    true = [(label, *row) for label, row in zip(labels, matrix, strict=True)]
    title = f"Test {splits.noun}s: true against predicted{whose}"
    picture = {"title": title, "counts": counts.cpu(), "names": [str(label) for label in labels]}
    return Result(
        findings=worst_confusion(rows, whose, splits.noun),
        tables=[
            Table("classes", f"Test accuracy by {a_class}{whose}", columns, rows),
            Table("confusion", f"Confusion matrix{whose}", predicted, true, shown="never"),
        ],
        pictures=[Picture("confusion", "confusion", picture)],
    )


def worst_confusion(rows: Sequence[Sequence[Any]], whose: str, noun: str) -> list[str]:
    """The most frequent mistake, from the rows of the table of classes; none if there is no mistake."""
    true, images, _, _, other, times = max(rows, key=lambda row: row[-1])
    if not times:
        return []
    pair = f"{true} read as {other}" if noun == "digit" else f"{true} taken for {other}"
    return [f"Most frequent mistake{whose}: {pair}, {times:,} of {images:,} images."]


def by_mistake(inputs: Inputs, score: Score, whose: str) -> Result:
    """The most confidently wrong predictions: `row` counts the test images from 0."""
    test, splits = inputs.splits.test, inputs.splits
    rows = worst_mistakes(score, test.y, SHOWN_MISTAKES)
    tensors = {"true": test.y, "predicted": score.predicted, score.kind: score.strength}
    figures = {name: values[rows].tolist() for name, values in tensors.items()}
    for name in ("true", "predicted"):
        figures[name] = [splits.labels[number] for number in figures[name]]
    images = (test.x[rows].cpu() * inputs.std + inputs.mean).view(-1, *splits.shape)
    picture = {"title": f"The most confidently wrong test {splits.noun}s{whose}", "images": images, **figures}
    columns = [Column(name) for name in ("row", *figures)]
    lines = list(zip(rows.tolist(), *figures.values(), strict=True))
    return Result(
        tables=[Table("mistakes", f"Most confidently wrong{whose}", columns, lines, shown="never")],
        pictures=[Picture("mistakes", "wrong_digits", picture)],
    )
