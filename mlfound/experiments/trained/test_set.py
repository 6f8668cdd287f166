"""What the trained networks make of the test set, which is looked at here, once: scores, mistakes, weights."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from torch import Tensor

from mlfound.foundations.modules import LOSSES, MLP
from mlfound.results import Column, Picture, Result, Table
from mlfound.stats.estimates import accuracy_interval, too_few
from mlfound.training.epochs import Epoch, lowest
from mlfound.training.evaluation import Score, confusion, evaluate, worst_mistakes
from mlfound.training.inputs import Inputs
from mlfound.training.plan import Plan

SHOWN_MISTAKES = 25


def on_test_set(planned: Plan, inputs: Inputs, models: Sequence[MLP], epochs: Sequence[Epoch]) -> Result:
    """Every network's figures; digits are looked at one by one for the first seed only."""
    test, classes, loss = inputs.splits.test, inputs.splits.classes, LOSSES[planned.recipe.loss]()
    scores = [evaluate(model, loss, test.x, test.y, classes) for model in models]
    metrics = test_metrics(scores, len(test.y))
    whose = f", seed {planned.seeds[0]}" if len(models) > 1 else ""
    weights = {
        "title": f"First-layer weights{whose}",
        "weights": models[0].parameters["w1"].cpu(),
        "shape": inputs.splits.shape,
    }
    figures = Result(
        metrics,
        findings=[test_sentence(metrics, len(test.y))],
        tables=[seed_table(planned.seeds, scores, epochs)],
    )
    return (
        figures
        + by_class(confusion(test.y, scores[0].predicted, classes), whose)
        + by_mistake(inputs, scores[0], whose)
        + Result({}, pictures=[Picture("weights", "weights", weights)])
    )


def test_metrics(scores: Sequence[Score], rows: int) -> dict[str, float | int]:
    """Test loss and accuracy over `rows` images, with a 95% interval where there are enough to know it."""
    accuracies = [score.accuracy for score in scores]
    metrics: dict[str, float | int] = {"test_accuracy": mean(accuracies)}
    if len(scores) > 1:
        metrics |= {"test_accuracy_std": stdev(accuracies)}
    if interval := accuracy_interval(accuracies, rows):
        metrics |= dict(zip(("test_accuracy_low", "test_accuracy_high"), interval, strict=True))
    if len(scores) > 1:
        metrics |= {"test_accuracy_worst": min(accuracies), "test_accuracy_best": max(accuracies)}
    wrong = mean(score.wrong for score in scores)
    metrics |= {"test_wrong": wrong, "test_loss": mean(score.loss for score in scores)}
    return metrics | ({"replicates": len(scores)} if len(scores) > 1 else {})


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


class Trained(NamedTuple):
    """One network: its answers to the test set, its last epoch, and that of its lowest validation loss."""

    seed: int
    score: Score
    last: Epoch
    best_epoch: int


def seed_table(seeds: range, scores: Sequence[Score], epochs: Sequence[Epoch]) -> Table:
    """A row a seed: its figures on the test images and after its last epoch."""
    columns = (
        Column("seed"),
        Column("test_accuracy", "test accuracy", ".2%", "score.accuracy"),
        Column("test_loss", "test loss", ".4f", "score.loss"),
        Column("test_wrong", "wrong", ",", "score.wrong"),
        Column("valid_accuracy", "valid accuracy", ".2%", "last.valid_accuracy"),
        Column("valid_loss", "valid loss", ".4f", "last.valid_loss"),
        Column("train_loss", "train loss", ".4f", "last.train_loss"),
        Column("best_epoch", "lowest valid loss in epoch"),
    )
    own = [epochs[n :: len(seeds)] for n in range(len(seeds))]
    networks = [
        Trained(seed, score, each[-1], lowest(each)[0].epoch)
        for seed, score, each in zip(seeds, scores, own, strict=True)
    ]
    return Table.of("seeds", "Seeds", columns, networks, shown=len(networks) > 1)


def by_class(counts: Tensor, whose: str) -> Result:
    """The confusion matrix `counts`, rows true and columns predicted, and what each true digit was taken for."""
    wrong = counts.clone().fill_diagonal_(0)
    rows = []
    for digit, row in enumerate(counts.tolist()):
        times, other = wrong[digit].max(0)
        accuracy = row[digit] / sum(row) if sum(row) else None
        rows.append((digit, sum(row), row[digit], accuracy, int(other) if times else None, int(times)))
    columns = (
        Column("digit"),
        Column("images", format=","),
        Column("right", format=","),
        Column("accuracy", format=".2%"),
        Column("mostly_taken_for", "mostly taken for"),
        Column("times"),
    )
    classes = Table("classes", f"Test accuracy by digit{whose}", columns, rows)
    matrix = [(digit, *row) for digit, row in enumerate(counts.tolist())]
    predicted = [Column("true"), *(Column(f"predicted_{digit}") for digit in range(len(counts)))]
    confused = Table("confusion", f"Confusion matrix{whose}", predicted, matrix, shown=False)
    picture = {"title": f"Test digits: true against predicted{whose}", "counts": counts.cpu()}
    return Result({}, tables=[classes, confused], pictures=[Picture("confusion", "confusion", picture)])


def by_mistake(inputs: Inputs, score: Score, whose: str) -> Result:
    """The most confidently wrong answers: `row` counts the test images from 0."""
    test = inputs.splits.test
    mistakes = worst_mistakes(score, test.y, SHOWN_MISTAKES)
    found = {
        "row": mistakes.tolist(),
        "true": test.y[mistakes].tolist(),
        "predicted": score.predicted[mistakes].tolist(),
        score.kind: score.strength[mistakes].tolist(),
    }
    images = test.x[mistakes].cpu() * inputs.std + inputs.mean
    picture = {
        "title": f"The most confidently wrong test digits{whose}",
        "images": images.view(-1, *inputs.splits.shape),
        **{name: values for name, values in found.items() if name != "row"},
    }
    rows = list(zip(*found.values(), strict=True))
    title = f"Most confidently wrong{whose}"
    return Result(
        {},
        tables=[Table("mistakes", title, [Column(name) for name in found], rows, shown=False)],
        pictures=[Picture("mistakes", "wrong_digits", picture)],
    )
