"""A figure by its name: what it is called, how it reads, and which come first."""

import math

import pytest

from mlfound.report.contents import Sheet
from mlfound.report.figures import elapsed, figure, headlines, words
from mlfound.report.grids import grids


@pytest.mark.parametrize(
    ("name", "value", "label", "text"),
    [
        ("overfitting", True, "overfitting", "yes"),
        ("overfitting", False, "overfitting", "no"),
        ("test_accuracy", 0.97956, "test accuracy", "97.96%"),
        ("test_accuracy_difference", -0.0029, "test accuracy difference", "-0.29 percentage points"),
        ("test_wrong", 1234, "test wrong", "1,234"),
        ("test_loss", 0.073418, "test loss", "0.07342"),
        ("train_seconds", 1.9797, "train time", "1.98 s"),
        ("train_seconds", 3725.0, "train time", "1 h 02 min"),
        ("matmul_5x784x10_median_s", 5.608e-06, "matmul 5x784x10 median", "5.61 µs"),
        ("images_per_s", 126278.3, "images", "126,278/s"),
        ("peak_gflop_per_s", 223.5, "peak speed", "224 GFLOP/s"),
        ("gbyte_per_s", 35.36, "memory speed", "35.4 GB/s"),
        ("seconds", 0.5, "time", "500 ms"),
        ("dead_share", 0.25, "dead share", "25.00%"),
        ("seed", 12345, "seed", "12345"),
        ("largest_error", 3.77e-16, "largest error", "3.77e-16"),
        ("loss", math.nan, "loss", "nan"),
        ("test_accuracy", -math.inf, "test accuracy", "-inf"),
        ("loss", None, "loss", "–"),
        ("loss", 10**400, "loss", "100000…"),
        ("accuracy", 10**400, "accuracy", "100000…"),
        ("a\x1b", "b\n", "a\\x1b", "b\\n"),
    ],
)
def test_how_it_reads(name, value, label, text):
    assert (words(name), figure(name, value)) == (label, text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250 ms"), (89.9, "89.9 s"), (90, "1 min 30 s"), (3599.9, "59 min 59 s"), (7199, "1 h 59 min"),
     (360_000, "100 h 00 min")],
)  # fmt: skip
def test_how_long_it_took(seconds, text):
    assert elapsed(seconds) == text


def test_headlines_of_a_training_in_their_order_with_interval_and_range():
    metrics = {
        "test_accuracy": 0.98, "test_accuracy_low": 0.97, "test_accuracy_high": 0.99,
        "test_accuracy_worst": 0.96, "test_accuracy_best": 0.995, "test_wrong": 200, "epochs": 10,
    }  # fmt: skip
    first, second, third = headlines(metrics, 8)
    assert (first.label, first.text) == ("test accuracy", "98.00%")
    assert first.note == "95% interval 97.00% to 99.00%, seeds 96.00% to 99.50%"
    assert (second.label, third.label, second.note) == ("test wrong", "epochs", "")


def test_headlines_are_the_first_figures():
    metrics = {f"figure_{number}": number for number in range(20)}
    assert [each.label for each in headlines(metrics, 3)] == ["figure 0", "figure 1", "figure 2"]
    assert headlines({}, 3) == []


def column(name, *texts):
    """One column of numbers as a page has it: what is read, and what it is sorted by."""
    [grid] = grids([Sheet("any", [name], [[text] for text in texts], len(texts))], {})
    return [cell.text for [cell] in grid.rows], [cell.number for [cell] in grid.rows]


@pytest.mark.parametrize(
    ("name", "texts", "shown"),
    [
        ("loss", ["0.3587251953125", "0.20069", "12.5"], ["0.359", "0.201", "12.500"]),
        ("lr", ["0.1", "0.25"], ["0.10", "0.25"]),
        ("error", ["0.5", "3.77e-16"], ["0.5", "3.77e-16"]),
        ("digit", ["0", "10", "1135"], ["0", "10", "1,135"]),
        ("accuracy", ["0.9", ""], ["90.00%", "–"]),
        ("median_s", ["0.002", "5e-06"], ["2.00 ms", "5.00 µs"]),
        ("loss", ["nan", "inf", "-inf", "1.5"], ["nan", "inf", "-inf", "1.5"]),
        ("note", ["1", "two"], ["1", "two"]),
        ("note", ["", ""], ["–", "–"]),
        ("holds", ["true", "false"], ["true", "false"]),
    ],
)
def test_numbers_of_a_column_are_written_alike(name, texts, shown):
    assert column(name, *texts)[0] == shown


def test_every_number_stands_beside_its_text():
    assert column("accuracy", "0.25", "", "nan", "inf", "-inf", "1e3")[1] == [
        "0.25", "", "", "Infinity", "-Infinity", "1000.0",
    ]  # fmt: skip
    assert column("note", "1", "two")[1] == [None, None]
