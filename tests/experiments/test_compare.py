"""compare, as its user meets it: run folders made by hand, what is said of them, and what is refused."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from mlfound.config.models import CompareConfig
from mlfound.experiments.comparison.figures import MEASURES
from mlfound.experiments.comparison.seeds import curve
from mlfound.experiments.comparison.sides import Side
from mlfound.runs.earlier import read_run
from tests.support.commands import refused as refusal
from tests.support.trained_runs import RUNS, SHIFTED, WIDER, WRONG, compared, figures, made, write_csv


def refused(outcome, *words):
    """In one line, with no run folder."""
    refusal(outcome, *words)
    assert not list(RUNS.glob("*-compare"))


def test_a_real_difference(mlfound):
    a, b = made("a"), made("b", WIDER, model__hidden=[100])
    outcome = mlfound("compare", a, b)
    assert outcome.code == 0, outcome
    assert (
        "hidden [100] is better than hidden [50]: validation loss lower by 0.0042 (0.0033 to 0.0051), "
        "p < 0.0001, 10 seeds.\nAll 4 metrics agree (p by Holm over 4): better in validation loss (-0.0042, "
    ) in outcome.out
    assert "exact sign flips give p = 0.002." in outcome.out
    [row] = outcome.rows("comparisons")
    assert (row["first"], row["second"], row["verdict"], row["test"]) == (
        "hidden [50]",
        "hidden [100]",
        "better",
        "paired t",
    )
    assert float(row["difference"]) == pytest.approx(-0.00418)
    [row] = outcome.rows("settings")
    assert list(row.values()) == ["model.hidden", "[50]", "[100]"]
    metrics = outcome.json("summary.json")["metrics"]
    assert metrics["differences_seen"] == 1
    assert next(iter(metrics)) == "valid_loss_difference"
    for name in ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy"):
        sign = 1 if name.endswith("accuracy") else -1
        assert metrics[f"{name}_difference"] == pytest.approx(sign * 0.00418)
    assert metrics["disagreements"] == 0
    assert metrics["sign_flips_p"] == 2 / 2**10
    assert {plot.name for plot in (outcome.path / "plots").iterdir()} == {"seeds.png", "curves.png"}
    assert len(outcome.rows("seeds")) == 20


def test_the_order_of_the_runs_is_whose_side_it_is_told_from(mlfound):
    a, b = made("a"), made("b", WIDER, model__hidden=[100])
    outcome = mlfound("compare", "--no-plots", b, a)
    assert (
        "hidden [50] is worse than hidden [100]: validation loss higher by 0.0042 (0.0033 to" in outcome.out
    )
    accuracy = mlfound("compare", "--no-plots", b, a, "--metric", "valid_accuracy")
    assert "validation accuracy lower by 0.42 percentage points (0.33 to 0.51), p < 0.0001" in accuracy.out
    assert "10 seeds; 41.8 of 10,000 validation images." in accuracy.out
    assert "Caution" not in accuracy.out
    wrong = mlfound("compare", "--no-plots", a, b, "--metric", "test_wrong")
    assert "is better than hidden [50]: wrong test images lower by 41.8 images (32.9 to 50.7)" in wrong.out


def test_who_chooses_by_the_test_set_is_warned():
    a, b = made("a"), made("b", WIDER, model__hidden=[100])
    for metric in MEASURES:
        cautions = [line for line in compared(a, b, metric=metric)[0].findings if line.startswith("Caution")]
        assert len(cautions) == metric.startswith("test_"), metric


def test_no_difference_says_how_many_seeds_would_show_one(mlfound):
    a, b = made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    outcome = mlfound("compare", "--no-plots", a, b)
    assert (
        "No difference seen between relu_shift 0.5 and relu_shift 0.0: validation loss lower by 0.0001 "
        "(-0.0009 to +0.0007), p = 0.81, 10 seeds; these are enough to see 0.005 in most trials."
    ) in outcome.out
    by_accuracy = "compare", a, b, "--metric", "valid_accuracy"
    assert "; 13 seeds would be needed to see 0.1 percentage points." in mlfound(*by_accuracy).out
    assert (
        "; 45 seeds would be needed to see 0.0005."
        in mlfound("compare", "--no-plots", a, b, "--difference", 0.0005).out
    )
    assert "more than 10,000 seeds" in mlfound(*by_accuracy, "--difference", 0.0001).out


def test_different_seeds_are_not_paired(mlfound):
    a, b = made("a"), made("b", WIDER, first_seed=20, model__hidden=[100])
    outcome = mlfound("compare", "--no-plots", a, b)
    assert "hidden [100] is better than hidden [50]: validation loss lower by 0.0042 (" in outcome.out
    assert "Welch's t-test decides" in outcome.out
    [row] = outcome.rows("comparisons")
    assert (row["test"], row["sign_flips_p"]) == ("Welch's t", "")
    assert [row["key"] for row in outcome.rows("settings")] == ["model.hidden"], "seeds are no setting"


@pytest.mark.parametrize(("first_seed", "test"), [(5, "paired t"), (6, "Welch's t")])
def test_partly_the_same_seeds_are_paired_from_half_on(mlfound, first_seed, test):
    a, b = made("a"), made("b", WIDER, first_seed=first_seed, model__hidden=[100])
    outcome = mlfound("compare", "--no-plots", a, b)
    [row] = outcome.rows("comparisons")
    assert row["test"] == test
    left = "Paired by common seeds; left out: 5 of hidden [50], 5 of hidden [100]."
    assert (left in outcome.out) == (first_seed == 5)


def test_a_few_common_seeds_do_not_throw_many_away(mlfound):
    a, b = made("a"), made("b", WIDER[:4], model__hidden=[100])
    outcome = mlfound("compare", "--no-plots", a, b)
    [row] = outcome.rows("comparisons")
    assert (row["test"], row["seeds_first"], row["seeds_second"]) == ("Welch's t", "10", "4")
    assert ", 4 and 10 seeds." in outcome.out


def test_five_pairs_are_told_what_they_cannot_do(mlfound):
    a, b = made("a", WRONG[:5]), made("b", WIDER[:5], model__hidden=[100])
    outcome = mlfound("compare", "--no-plots", a, b)
    assert "5 pairs are too few for sign flips to reach 0.05, six are enough." in outcome.out
    assert "is better" in outcome.out, "the t-test decides"
    six = mlfound("compare", "--no-plots", made("c", WRONG[:6]), made("d", WIDER[:6], model__hidden=[100]))
    assert "too few" not in six.out


def test_one_seed_against_one_of_older_runs(mlfound):
    a, b = made("a", WRONG[:1], old=True), made("b", WIDER[:1], old=True, model__hidden=[100])
    outcome = mlfound("compare", "--no-plots", a, b)
    assert outcome.code == 0, outcome
    assert (
        "hidden [100] against hidden [50]: validation loss lower by 0.0035, 1 seed; "
        "one seed says nothing about chance: train more, as in --replicates 10.\n"
        "No metric can be judged: validation loss (-0.0035), "
    ) in outcome.out
    assert outcome.rows("comparisons")[0]["verdict"] == "cannot be judged"
    assert "p" not in outcome.json("summary.json")["metrics"]


def test_a_run_with_itself_and_a_repeat_of_it(mlfound):
    a, again = made("a"), made("again")
    outcome = mlfound("compare", "--no-plots", a, a)
    assert outcome.code == 0
    assert "the validation loss is the same in every seed, 10 seeds." in outcome.out
    assert "are the same run" in outcome.out
    assert "nan" not in outcome.out
    outcome = mlfound("compare", "--no-plots", a, again)
    assert "No difference between 20261123-1200-train-again and 20261123-1200-train-a" in outcome.out
    assert "have the same settings, but for the seeds." in outcome.out
    assert not (outcome.path / "tables" / "settings.csv").exists()


def test_pairs_that_all_differ_alike(mlfound):
    a, b = made("a", [300] * 3), made("b", [297] * 3, model__hidden=[100])
    outcome = mlfound("compare", "--no-plots", a, b)
    assert "validation loss lower by 0.0003 in every seed, p = 0.25, 3 seeds." in outcome.out
    assert "the sign flips decide" in outcome.out
    many = mlfound("compare", "--no-plots", made("c", [300] * 7), made("d", [297] * 7, model__hidden=[100]))
    assert "validation loss lower by 0.0003, p = 0.016, 7 seeds" in many.out


def test_several_runs_are_held_against_the_first(mlfound):
    runs = made("a"), made("b", WIDER, model__hidden=[100]), made("c", SHIFTED, model__relu_shift=0.5)
    outcome = mlfound("compare", "--no-plots", *runs)
    rows = outcome.rows("comparisons")
    assert [(row["first"], row["second"]) for row in rows] == [
        ("relu_shift 0.0, hidden [50]", "relu_shift 0.0, hidden [100]"),
        ("relu_shift 0.0, hidden [50]", "relu_shift 0.5, hidden [50]"),
    ]
    assert [row["verdict"] for row in rows] == ["better", "no difference seen"]
    alone = mlfound("compare", "--no-plots", *runs[:2]).rows("comparisons")
    assert float(rows[0]["p"]) == pytest.approx(2 * float(alone[0]["p"])), "Holm"
    assert (float(rows[0]["level"]), float(rows[1]["level"])) == (0.975, 0.95)
    assert float(rows[0]["difference_low"]) < float(alone[0]["difference_low"])
    assert "p by Holm over the 2 comparisons on the same data" in outcome.out


def test_runs_that_differ_in_much_are_called_by_their_ids(mlfound):
    a, b = made("a"), made("b", WIDER, model__hidden=[100], model__relu_shift=0.5, epochs=3)
    outcome = mlfound("compare", "--no-plots", a, b)
    assert "20261123-1200-train-b is better than 20261123-1200-train-a" in outcome.out
    assert "differs in 3 settings: model.relu_shift, model.hidden, epochs; it may be any." in outcome.out


def test_environments_that_differ_are_shown(mlfound):
    other = {
        "environment": {
            "cpu": "a", "python": "3.12.0", "packages": {"torch": "2.12.0"},
            "git": {"commit": "0123456789ab", "dirty": True},
        },
        "threads": 2,
    }  # fmt: skip
    outcome = mlfound("compare", "--no-plots", made("a"), made("b", SHIFTED, facts=other), "--verbose")
    facts = {row["fact"]: list(row.values())[1:] for row in outcome.rows("environment")}
    assert facts == {
        "python": ["3.11.2", "3.12.0"],
        "packages.torch": ["2.13.0", "2.12.0"],
        "threads": ["1", "2"],
        "git commit": ["unknown", "0123456789 and uncommitted changes"],
    }
    assert (
        "Different git commits: 0123456789 and uncommitted changes, unknown; the code may matter."
        in outcome.out
    )
    findings = outcome.json("summary.json")["findings"]
    assert "Not run alike (tables/environment.csv): python, packages.torch, threads." in findings


def test_metrics_that_disagree():
    """The test images see nothing of what the validation images show."""
    a, b = made("a", test=SHIFTED), made("b", WIDER, test=WRONG, model__hidden=[100])
    result, tables = compared(a, b)
    assert result.findings[1] == (
        "The metrics disagree (p by Holm over 4): better in validation loss (-0.0042, p < 0.0001) and validation "
        "accuracy (+0.42 points, p < 0.0001); no difference seen in test loss (+0.0001, p = 1) and test accuracy "
        "(-0.01 points, p = 1)."
    )
    assert result.metrics["disagreements"] == 1
    assert [(row["metric"], row["verdict"]) for row in tables["metrics"]] == [
        ("validation loss", "better"), ("validation accuracy", "better"),
        ("test loss", "no difference seen"), ("test accuracy", "no difference seen"),
    ]  # fmt: skip


def test_a_verdict_that_the_correction_for_several_metrics_takes_away():
    weak = [wrong - 3 + (-4, 2, 3)[seed % 3] for seed, wrong in enumerate(WRONG)]
    result, tables = compared(made("a"), made("b", weak, model__hidden=[100]))
    alone, corrected = tables["comparisons"][0]["p"], tables["metrics"][0]["p"]
    assert alone < 0.05 < corrected == pytest.approx(4 * alone)
    line = result.findings[1]
    assert line.startswith("The metrics disagree (p by Holm over 4): no difference seen in validation loss (")
    assert line.endswith("; better in validation loss taken alone.")


def test_metrics_of_several_comparisons_in_one_line():
    a, b = made("a", test=SHIFTED), made("b", WIDER, test=WRONG, model__hidden=[100])
    c, d = made("c", WIDER, model__hidden=[200]), made("d", model__hidden=[20])
    assert (
        "The metrics disagree on hidden [100] (p by Holm over all): better in validation loss and "
        "validation accuracy; no difference seen in test loss and test accuracy."
    ) in compared(a, b, d)[0].findings
    both = "The metrics disagree in 2 (p by Holm over all; tables/metrics.csv): hidden [100], "
    e = made("e", WIDER, test=WRONG, model__hidden=[80])
    assert any(line.startswith(both) for line in compared(a, b, e, d)[0].findings)
    names = "validation loss, validation accuracy, test loss and test accuracy"
    assert f"The metrics agree ({names}; p by Holm over all)." in compared(d, c, c)[0].findings


def test_a_metric_that_the_sides_lack_is_left_out():
    a, b = made("a"), made("b", WIDER, model__hidden=[100])
    for run in (a, b):
        rows = [{**figures(seed, 280 + seed, 290), "test_loss": ""} for seed in range(3)]
        write_csv(run / "tables" / "seeds.csv", rows)
    assert "All 3 metrics agree" in compared(a, b)[0].findings[1]


def test_commits_that_differ_between_the_sides():
    def at(commit):
        return {"environment": {"cpu": "a", "git": {"commit": commit, "dirty": False}}}

    warning = "Different git commits: "
    a, b = made("a", facts=at("a" * 40)), made("b", WIDER, model__hidden=[100], facts=at("b" * 40))
    assert f"{warning}aaaaaaaaaa, bbbbbbbbbb; the code may matter." in compared(a, b)[0].findings
    c = made("c", WIDER, model__hidden=[100], epochs=3, facts=at("a" * 40))
    assert not [line for line in compared(a, c)[0].findings if warning in line or "Not run alike" in line]


@pytest.mark.parametrize("others", [1, 2, 3, 9])
def test_twelve_lines_of_80_columns_are_enough(others):
    """For the verdicts, a caution of each kind and the path: what comes after them is method."""
    facts = {"environment": {"cpu": "b", "git": {"commit": "c" * 40}}, "threads": 2}
    runs = []
    for number in range(1, others + 1):
        keys = {"first_seed": number // 5, "model__relu_shift": number / 10, "epochs": number}
        runs.append(made(f"{number}", WIDER if number % 2 else SHIFTED, facts=facts, **keys))
    findings = compared(made("a"), *runs, metric="test_accuracy")[0].findings
    [last] = [number for number, line in enumerate(findings) if line.startswith("Not run alike")]
    cautions = [line.split()[0] for line in findings[last - 3 : last]]
    assert cautions[:2] == ["Caution:", "Different"]
    assert sum(len(textwrap.wrap(line, 80)) for line in findings[:last]) + 1 <= 12, findings


def test_runs_of_another_command_stand_side_by_side(mlfound):
    runs = [
        made(name, command="matmul-bench", impl=[impl]) for name, impl in (("a", "einsum"), ("b", "matmul"))
    ]
    for run, seconds in zip(runs, (1.0, 2.0), strict=True):
        (run / "summary.json").write_text(
            json.dumps({"metrics": {"median_s": seconds, "words": "no number"}})
        )
    outcome = mlfound("compare", "--no-plots", *runs)
    assert outcome.code == 0, outcome
    [row] = outcome.rows("figures")
    assert list(row.values()) == ["median_s", "1.0", "2.0", "2.0"]
    assert "No verdict" in outcome.out
    assert "mlfound matmul-bench --compare RUN" in outcome.out


def test_hostile_names_and_values_do_no_harm(mlfound):
    a = made("a", model__relu_shift=0.5)
    b = made("b", SHIFTED, facts={"id": "<script>\x1b[31m$\\frac{", "device": "\x1b[2J"})
    outcome = mlfound("compare", "--no-plots", a, b)
    assert outcome.code == 0, outcome
    assert "\x1b" not in outcome.out + outcome.err


def test_bad_input(mlfound):
    a, b = made("a"), made("b", SHIFTED)
    refused(mlfound("compare"), "fewer than two runs")
    refused(mlfound("compare", a), "fewer than two runs")
    refused(mlfound("compare", a, "nothing"), "nothing: no such run")
    refused(mlfound("compare", a, "20261123"), "several runs begin so", a.name, b.name)
    refused(mlfound("compare", a, "latest"), "latest: there is none")
    refused(mlfound("compare", a, made("d", status="diverged")), "diverged, not completed")
    refused(mlfound("compare", a, made("r", status="running")), "crashed, not completed")
    other = made("other", command="matmul-bench")
    refused(mlfound("compare", a, other), "a run of matmul-bench", "one of train")
    data = made("data", facts={"dataset": {"name": "fashion-mnist", "digest": 64 * "b"}})
    refused(
        mlfound("compare", a, data),
        "other data (fashion-mnist bbbbbbbb) than",
        "(mnist aaaaaaaa)",
        "the same data",
    )
    refused(mlfound("compare", a, b, "--metric", "test_acuracy"), "--metric test_acuracy", "'test_accuracy'")
    refused(mlfound("compare", a, b, "--difference", "0"), "--difference 0", "above 0")
    refused(mlfound("compare", "nothing.yaml"), "nothing.yaml: there is no such file")


DAMAGES = [
    ("tables/seeds.csv", "seed,test_accuracy\n0,many\n"),
    ("tables/seeds.csv", "test_accuracy\n0.97\n"),
    ("tables/seeds.csv", "seed,test_accuracy\n0\n"),
    ("tables/epochs.csv", "epoch,seed,valid_loss\n1,0,0.1\n"),
    ("run.json", '{"id": "x", "status": "completed", "command": "train", "environment": {}, "seeds": []}'),
    ("config.yaml", "seed: ["),
    ("summary.json", "{"),
    ("run.json", '{"id": "x", "status": "completed", "command": "train", "environment": []}'),
    (
        "run.json",
        '{"id": "x", "status": "completed", "command": "train", "environment": {}, "dataset": 3}',
    ),
    ("run.json", "[]"),
]


@pytest.mark.parametrize(("file", "content"), DAMAGES)
def test_a_damaged_run_is_left_out_of_a_group(mlfound, file, content):
    made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    (made("torn") / file).write_text(content)
    outcome = mlfound("compare", "--no-plots", "--group", "model.relu_shift")
    assert outcome.code == 0, outcome.err
    assert "Left out: 1 damaged." in outcome.out


@pytest.mark.parametrize(("file", "content"), DAMAGES)
def test_damaged_runs(mlfound, file, content):
    a, b = made("a"), made("b", SHIFTED)
    (b / file).write_text(content)
    refused(mlfound("compare", a, b), Path(file).name)


def test_a_metric_that_a_run_does_not_have(mlfound):
    a, b = made("a"), made("b", SHIFTED)
    write_csv(
        b / "tables" / "seeds.csv", [{"seed": 0, "test_accuracy": ""}, {"seed": 1, "test_accuracy": "nan"}]
    )
    outcome = mlfound("compare", "--no-plots", a, b)
    assert outcome.err.startswith("2 runs of train\n")
    refused(replace(outcome, err=outcome.err.partition("\n")[2]), "no seed of", "valid_loss")


def test_a_learning_curve_has_a_band_of_one_standard_deviation():
    run = read_run(str(made("a", [100, 200, 300])), "runs")
    epochs, mean, low, high = curve(Side("a", [run]), "valid_accuracy")
    assert epochs == (1, 2)
    assert mean == pytest.approx([98, 98])
    assert low == pytest.approx([97, 97])
    assert high == pytest.approx([99, 99])
    one = read_run(str(made("one", [100], old=True)), "runs")
    epochs, mean, low, high = curve(Side("one", [one]), "valid_accuracy")
    assert mean == low == high == pytest.approx([99, 99])


def test_the_config_knows_every_measure():
    assert list(MEASURES) == list(get_args(CompareConfig.model_fields["metric"].annotation))


def test_torch_is_not_loaded():
    """It would take longer than everything else together."""
    made("a"), made("b", SHIFTED)
    code = "import sys\nfrom mlfound.cli import app\ntry:\n    app()\nfinally:\n    print('torch' in sys.modules)"
    words = ["compare", "20261123-1200-train-a", "20261123-1200-train-b"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
