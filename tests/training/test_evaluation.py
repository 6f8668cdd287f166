"""Scores of answers that are known."""

import pytest
import torch

from mlfound.foundations.layers import Layer, Loss
from mlfound.training import evaluation
from mlfound.training.evaluation import confusion, evaluate, worst_mistakes


class Fixed(Layer):
    """A model that answers each row with the row itself."""

    def forward(self, x):
        return x


def test_a_classifier_says_its_likeliest_class(monkeypatch):
    monkeypatch.setattr(evaluation, "ROWS_AT_ONCE", 2)  # so that the parts are put together, too
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1e4, -1e4, 0.0]])
    y = torch.tensor([0, 2, 0])
    score = evaluate(Fixed(), Loss("cross-entropy"), logits, y, classes=3)
    assert score.predicted.tolist() == [0, 1, 0]
    assert score.accuracy == pytest.approx(2 / 3)
    assert score.kind == "confidence"
    torch.testing.assert_close(score.strength, logits.softmax(1).amax(1))
    assert score.loss == pytest.approx(torch.nn.functional.cross_entropy(logits, y).item())


def test_a_number_is_rounded_to_the_nearest_digit():
    numbers = torch.tensor([[3.4], [3.6], [-2.0], [11.7]])
    y = torch.tensor([3, 4, 0, 8])
    score = evaluate(Fixed(), Loss("mse"), numbers, y, classes=10)
    assert score.predicted.tolist() == [3, 4, 0, 9]
    assert score.accuracy == 0.75
    assert score.kind == "predicted_value"
    assert score.loss == pytest.approx((0.4**2 + 0.4**2 + 2**2 + 3.7**2) / 4)


def test_confusion_has_true_rows_and_predicted_columns():
    counts = confusion(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 0]), classes=3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_the_worst_mistakes_are_the_surest_or_the_furthest():
    logits = torch.tensor([[9.0, 0.0], [0.0, 1.0], [5.0, 0.0], [0.0, 2.0]])
    y = torch.tensor([0, 0, 1, 0])
    score = evaluate(Fixed(), Loss("cross-entropy"), logits, y, classes=2)
    assert worst_mistakes(score, y, 25).tolist() == [2, 3, 1]
    assert worst_mistakes(score, y, 1).tolist() == [2]

    numbers, y = torch.tensor([[1.0], [6.0], [2.0]]), torch.tensor([1, 2, 9])
    score = evaluate(Fixed(), Loss("mse"), numbers, y, classes=10)
    assert worst_mistakes(score, y, 25).tolist() == [2, 1]
    assert worst_mistakes(score, torch.tensor([1, 6, 2]), 25).tolist() == []
