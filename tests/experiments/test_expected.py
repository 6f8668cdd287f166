"""A run against a published figure and bounds: in words, as checks, and in its exit code."""

import json

import pytest

from mlfound.config.expectations import ExpectConfig
from mlfound.experiments.trained.expected import expected
from mlfound.results import Result
from tests.support.commands import refused

SIMARD = "Simard et al. 2003, table 1"
TEN = {"replicates": 10, "test_accuracy_low": 0.9837, "test_accuracy_high": 0.9847}
QUICK = ("train", "data.dataset=mnist-sample", "data.train_rows=500", "epochs=1", "--no-plots", "threads=1")


def of(expect, **metrics):
    return expected(ExpectConfig.model_validate(expect), metrics)


def test_a_figure_that_is_reproduced_says_so_with_its_interval():
    result = of({"test_error": 0.016, "within": 0.001, "source": SIMARD}, test_error=0.0158, **TEN)
    assert result.findings == [
        "Test error 1.58% in the mean over 10 seeds (95% interval 1.53% to 1.63%): within 0.10 percentage points of "
        "the published 1.60% (Simard et al. 2003, table 1)."
    ]
    [check] = result.checks
    assert (check.passed, check.value, check.bound) == (True, 0.0158, 0.017)
    assert check.name == "test error within 0.001 of the published 0.016, or better"


def test_a_figure_that_is_missed_says_by_how_much():
    result = of({"test_error": 0.016, "within": 0.001, "source": SIMARD}, test_error=0.0185)
    assert result.findings == [
        "Test error 1.85%: misses the published 1.60% (Simard et al. 2003, table 1) by 0.25 percentage points; up to "
        "0.10 percentage points is allowed."
    ]
    assert not result.passed


def test_a_better_figure_is_always_as_expected():
    assert of({"test_error": 0.016, "within": 0.001}, test_error=0.01).findings == [
        "Test error 1.00%: better than the expected 1.60% by 0.60 percentage points."
    ]
    assert of({"test_accuracy": 0.98, "within": 0}, test_accuracy=0.99).passed
    assert of({"valid_loss": 0.1, "within": 0.01}, valid_loss=0.05).findings == [
        "Validation loss 0.0500: better than the expected 0.1000 by 0.0500."
    ]


@pytest.mark.parametrize(
    ("figure", "wanted", "worst"),
    [
        ("test_error", 0.013, 0.014),
        ("test_accuracy", 0.98, 0.979),
        ("test_loss", 0.009, 0.01),
        ("train_loss", 0.1, 0.101),
    ],
)
def test_at_the_bound_it_is_met_and_a_little_beyond_it_is_not(figure, wanted, worst):
    """0.013 + 0.001 is below 0.014, in its last bit."""
    beyond = worst + (1e-6 if worst > wanted else -1e-6)
    assert of({figure: wanted, "within": 0.001}, **{figure: worst}).passed
    missed = of({figure: wanted, "within": 0.001}, **{figure: beyond})
    assert not missed.passed
    by, _, allowed = missed.findings[0].partition(" by ")[2].partition("; up to ")
    assert by.split()[0] != allowed.split()[0], "as if it were as much as is allowed"


def test_bounds_are_checked_one_by_one_and_those_missed_come_first():
    bounds = {
        "at_least": {"test_accuracy": 0.97, "valid_accuracy": 0.96},
        "at_most": {"test_error": 0.02, "test_loss": 0.1},
    }
    metrics = {"test_accuracy": 0.975, "valid_accuracy": 0.96, "test_error": 0.025, "test_loss": 0.08}
    result = of(bounds, **metrics)
    assert result.findings == [
        "Test error 2.50%: missed, at most 2.00% is expected.",
        "As expected: test accuracy 97.50% (at least 97.00%), validation accuracy 96.00% (at least 96.00%), "
        "test loss 0.0800 (at most 0.1000).",
    ]
    assert [check.passed for check in result.checks] == [False, True, True, True]
    assert not of({**bounds, "test_accuracy": 0.99, "within": 0.02}, **metrics).checks[0].passed
    beside = of({**bounds, "test_accuracy": 0.99, "within": 0.01}, **metrics)
    assert beside.findings[0].startswith("Test accuracy 97.50%: misses the expected 99.00% by 1.50")


def test_nothing_expected_is_nothing_said():
    assert expected(None, {}) == Result()


def test_a_run_that_misses_says_so_first_and_fails(mlfound):
    outcome = mlfound(*QUICK, "expect={test_error: 0.01, within: 0.001, source: a paper}")
    assert outcome.code == 1
    first, second, *_ = outcome.out.splitlines()
    assert first.startswith("✗ test error within 0.001 of the published 0.01, or better: ")
    assert second.startswith("Test error ")
    assert outcome.json("run.json")["status"] == "failed"
    metrics = outcome.json("summary.json")["metrics"]
    assert metrics["test_error"] == pytest.approx(1 - metrics["test_accuracy"], abs=1e-12)
    assert (outcome.path / "model.safetensors").exists()
    again = mlfound("train", outcome.path, "--no-plots", "expect=null")
    assert again.code == 0, "the same run, of which nothing is expected"


def test_a_run_that_meets_it_passes_and_may_be_resumed_with_another(mlfound):
    """An expectation changes no number."""
    outcome = mlfound(*QUICK, "expect={at_most: {test_error: 0.9}}")
    assert outcome.code == 0, outcome
    assert outcome.out.startswith("As expected: test error ")
    weights = (outcome.path / "model.safetensors").read_bytes()
    for expect, code in (("{at_least: {test_accuracy: 1}}", 1), ("null", 0)):
        resumed = mlfound("train", "--no-plots", "--resume", outcome.path, f"expect={expect}")
        assert resumed.code == code, resumed
    assert (outcome.path / "model.safetensors").read_bytes() == weights


def test_of_one_that_diverged_nothing_is_checked(mlfound):
    outcome = mlfound(*QUICK, "optimizer.lr=1e30", "expect={test_error: 0.5, within: 0.5}")
    assert outcome.code == 1
    assert outcome.json("run.json")["status"] == "diverged"
    assert "error" not in json.dumps(outcome.json("summary.json")["checks"])


def test_a_refusal_leaves_nothing_behind(mlfound):
    refused(mlfound(*QUICK, "expect={test_error: 0.016}"), "expect.test_error: it has no bound")


def test_runs_that_expect_something_else_are_compared_all_the_same(mlfound):
    """By the test error, of which lower is better; and lists show it."""
    for hidden in (50, 5):
        path = mlfound(
            *QUICK,
            f"model.hidden=[{hidden}]",
            "replicates=3",
            f"expect={{at_most: {{test_error: 0.9{hidden + 1}}}}}",
        )
        assert path.code == 0, path
    outcome = mlfound("compare", "--group", "model.hidden", "--metric", "test_error", "--no-plots")
    assert outcome.code == 0, outcome
    assert "test error" in outcome.out
    errors = [float(row["test_error_mean"]) for row in outcome.rows("figures")]
    accuracies = [float(row["test_accuracy_mean"]) for row in outcome.rows("figures")]
    assert errors == pytest.approx([1 - each for each in accuracies])
    [comparison] = outcome.rows("comparisons")
    assert comparison["verdict"] == "worse"
    assert float(comparison["difference_points"]) > 0, "a higher error is worse"
    assert "%" in mlfound("runs", "--columns", "test_error").out
