"""compare, as its user meets it: run folders made by hand, what is said of them, and what is refused."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from mlfound.config.loading import Override, dump, load
from mlfound.config.models import CompareConfig
from mlfound.experiments.comparison.figures import MEASURES
from mlfound.experiments.comparison.seeds import curve
from mlfound.experiments.comparison.sides import Side
from mlfound.runs.earlier import read_run
from tests.support.commands import refused as refusal

RUNS = Path("runs")
WRONG = (
    287,
    288,
    299,
    296,
    286,
    297,
    284,
    299,
    284,
    273,
)  # of 10,000, seeds 0 to 9: `mlfound train`, two epochs
WIDER = (252, 256, 235, 245, 242, 245, 262, 251, 254, 233)  # the same with model.hidden=[100]
SHIFTED = (288, 292, 305, 305, 293, 273, 287, 291, 267, 283)  # with model.relu_shift=0.5
FIGURES = (
    "seed",
    "test_accuracy",
    "test_loss",
    "test_wrong",
    "valid_accuracy",
    "valid_loss",
    "train_loss",
    "best_epoch",
)


def figures(seed, wrong):
    accuracy = 1 - wrong / 10_000
    return dict(
        zip(
            FIGURES,
            (seed, accuracy, 0.1 + wrong / 1e4, wrong, accuracy, 0.1, 0.1 + seed / 1e3, 2),
            strict=True,
        )
    )


def write_csv(path, rows):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def made(name, wrong=WRONG, first_seed=0, command="train", old=False, status="completed", facts=(), **keys):
    """A run folder: `wrong` test images by seed; `old` is one from before there were several seeds."""
    path = RUNS / f"20261123-1200-{command}-{name}"
    path.mkdir(parents=True)
    seeds = list(range(first_seed, first_seed + len(wrong)))
    rows = [figures(seed, count) for seed, count in zip(seeds, wrong, strict=True)]
    run = {
        "schema": 1, "id": path.name, "command": command, "status": status, "seeds": seeds,
        "start": f"2026-11-23T04:31:{len(list(RUNS.iterdir())):02}.000+00:00", "end": "2026-11-23T04:32:46.000+00:00",
        "dataset": {"name": "mnist", "digest": 64 * "a", "rows": {"train": 50_000, "valid": 10_000, "test": 10_000}},
        "device": "cpu", "threads": 1,
        "environment": {"cpu": "a", "python": "3.11.2", "packages": {"torch": "2.13.0"}, "git": None},
        **dict(facts),
    }  # fmt: skip
    (path / "run.json").write_text(json.dumps(run))
    overrides = [Override(key.replace("__", "."), value, "") for key, value in keys.items()]
    seed = [Override("seed", first_seed, "")] if command == "train" else []
    (path / "config.yaml").write_text(dump(load(command, None, [*overrides, *seed]).config))
    mean = {name: sum(row[name] for row in rows) / len(rows) for name in FIGURES[1:]}
    (path / "summary.json").write_text(json.dumps({"schema": 1, "metrics": mean, "checks": []}))
    epochs = [
        {
            "epoch": epoch,
            "seed": row["seed"],
            "valid_loss": 0.2 / epoch,
            "valid_accuracy": row["valid_accuracy"],
        }
        for epoch in (1, 2)
        for row in rows
    ]
    if old:
        epochs = [{name: value for name, value in row.items() if name != "seed"} for row in epochs]
    else:
        write_csv(path / "tables" / "seeds.csv", rows)
    write_csv(path / "tables" / "epochs.csv", epochs)
    return path


def refused(outcome, *words):
    """In one line, with no run folder."""
    refusal(outcome, *words)
    assert not list(RUNS.glob("*-compare"))


def test_a_real_difference(mlfound):
    a, b = made("a"), made("b", WIDER, model__hidden=[100])
    outcome = mlfound("compare", a, b)
    assert outcome.code == 0, outcome
    assert (
        "hidden [100] is better by 0.42 points (0.33 to 0.51), p < 0.0001, 10 seeds, "
        "against hidden [50]: 41.8 of 10,000 test images."
    ) in outcome.out
    assert "exact sign flips: p = 0.002." in outcome.out
    [row] = outcome.rows("comparisons")
    assert (row["first"], row["second"], row["verdict"], row["test"]) == (
        "hidden [50]",
        "hidden [100]",
        "better",
        "paired t",
    )
    assert float(row["difference_points"]) == pytest.approx(0.418)
    [row] = outcome.rows("settings")
    assert list(row.values()) == ["model.hidden", "[50]", "[100]"]
    metrics = outcome.json("summary.json")["metrics"]
    assert metrics["differences_seen"] == 1
    assert metrics["test_accuracy_difference"] == pytest.approx(0.00418)
    assert metrics["sign_flips_p"] == 2 / 2**10
    assert {plot.name for plot in (outcome.path / "plots").iterdir()} == {"seeds.png", "curves.png"}
    assert len(outcome.rows("seeds")) == 20


def test_the_order_of_the_runs_is_whose_side_it_is_told_from(mlfound):
    a, b = made("a"), made("b", WIDER, model__hidden=[100])
    outcome = mlfound("compare", b, a)
    assert "hidden [50] is worse by 0.42 points (0.33 to 0.51)" in outcome.out
    loss = mlfound("compare", b, a, "--metric", "test_loss")
    assert "hidden [50] is worse by 0.0042 (0.0033 to 0.0051)" in loss.out
    wrong = mlfound("compare", a, b, "--metric", "test_wrong")
    assert "hidden [100] is better by 41.8 images (32.9 to 50.7)" in wrong.out


def test_no_difference_says_how_many_seeds_would_show_one(mlfound):
    a, b = made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    outcome = mlfound("compare", a, b)
    assert (
        "No difference seen between relu_shift 0.5 and relu_shift 0.0 (+0.01, from -0.07 to +0.09 points)"
        in outcome.out
    )
    assert "10 seeds; 13 seeds would be needed to see 0.1 points." in outcome.out
    assert (
        "; 45 seeds would be needed to see 0.05 points." in mlfound("compare", a, b, "--difference", 0.05).out
    )
    assert (
        "; these are enough to see 0.2 points in most trials."
        in mlfound("compare", a, b, "--difference", 0.2).out
    )
    assert "more than 10,000 seeds" in mlfound("compare", a, b, "--difference", 0.0001).out


def test_different_seeds_are_not_paired(mlfound):
    a, b = made("a"), made("b", WIDER, first_seed=20, model__hidden=[100])
    outcome = mlfound("compare", a, b)
    assert "hidden [100] is better by 0.42 points" in outcome.out
    assert "Welch's t-test decides" in outcome.out
    [row] = outcome.rows("comparisons")
    assert (row["test"], row["sign_flips_p"]) == ("Welch's t", "")
    assert [row["key"] for row in outcome.rows("settings")] == ["model.hidden"], "seeds are no setting"


@pytest.mark.parametrize(("first_seed", "test"), [(5, "paired t"), (6, "Welch's t")])
def test_partly_the_same_seeds_are_paired_from_half_on(mlfound, first_seed, test):
    a, b = made("a"), made("b", WIDER, first_seed=first_seed, model__hidden=[100])
    outcome = mlfound("compare", a, b)
    [row] = outcome.rows("comparisons")
    assert row["test"] == test
    left = "Paired by the 5 common seeds; left out: 5 of hidden [50] and 5 of hidden [100]."
    assert (left in outcome.out) == (first_seed == 5)


def test_a_few_common_seeds_do_not_throw_many_away(mlfound):
    a, b = made("a"), made("b", WIDER[:4], model__hidden=[100])
    outcome = mlfound("compare", a, b)
    [row] = outcome.rows("comparisons")
    assert (row["test"], row["seeds_first"], row["seeds_second"]) == ("Welch's t", "10", "4")
    assert "4 and 10 seeds, against hidden [50]" in outcome.out


def test_five_pairs_are_told_what_they_cannot_do(mlfound):
    a, b = made("a", WRONG[:5]), made("b", WIDER[:5], model__hidden=[100])
    outcome = mlfound("compare", a, b)
    assert (
        "5 pairs can never reach 0.05 by sign flips: the smallest p is 2/32; six or more can." in outcome.out
    )
    assert "is better" in outcome.out, "the t-test decides"
    six = mlfound("compare", made("c", WRONG[:6]), made("d", WIDER[:6], model__hidden=[100]))
    assert "can never" not in six.out


def test_one_seed_against_one_of_older_runs(mlfound):
    a, b = made("a", WRONG[:1], old=True), made("b", WIDER[:1], old=True, model__hidden=[100])
    outcome = mlfound("compare", a, b)
    assert outcome.code == 0, outcome
    assert (
        "hidden [100] is better by 0.35 points, 1 seed, against hidden [50]: 35 of 10,000 test images; "
        "one seed says nothing about chance: train more, as in --replicates 10."
    ) in outcome.out
    assert outcome.rows("comparisons")[0]["verdict"] == "cannot be judged"
    assert "p" not in outcome.json("summary.json")["metrics"]


def test_a_run_with_itself_and_a_repeat_of_it(mlfound):
    a, again = made("a"), made("again")
    outcome = mlfound("compare", a, a)
    assert outcome.code == 0
    assert "the test accuracy is the same in every seed, 10 seeds." in outcome.out
    assert "are the same run" in outcome.out
    assert "nan" not in outcome.out
    outcome = mlfound("compare", a, again)
    assert "No difference between 20261123-1200-train-again and 20261123-1200-train-a" in outcome.out
    assert "have the same settings, but for the seeds." in outcome.out
    assert not (outcome.path / "tables" / "settings.csv").exists()


def test_pairs_that_all_differ_alike(mlfound):
    a, b = made("a", [300] * 3), made("b", [297] * 3, model__hidden=[100])
    outcome = mlfound("compare", a, b)
    assert "(+0.03 points in every seed), p = 0.25, 3 seeds." in outcome.out
    assert "the sign flips decide" in outcome.out
    many = mlfound("compare", made("c", [300] * 7), made("d", [297] * 7, model__hidden=[100]))
    assert "is better by 0.03 points, p = 0.016, 7 seeds" in many.out


def test_several_runs_are_held_against_the_first(mlfound):
    runs = made("a"), made("b", WIDER, model__hidden=[100]), made("c", SHIFTED, model__relu_shift=0.5)
    outcome = mlfound("compare", *runs)
    rows = outcome.rows("comparisons")
    assert [(row["first"], row["second"]) for row in rows] == [
        ("hidden [50], relu_shift 0.0", "hidden [100], relu_shift 0.0"),
        ("hidden [50], relu_shift 0.0", "hidden [50], relu_shift 0.5"),
    ]
    assert [row["verdict"] for row in rows] == ["better", "no difference seen"]
    alone = mlfound("compare", *runs[:2]).rows("comparisons")
    assert float(rows[0]["p"]) == pytest.approx(2 * float(alone[0]["p"])), "Holm"
    assert (float(rows[0]["level"]), float(rows[1]["level"])) == (0.975, 0.95)
    assert float(rows[0]["difference_low_points"]) < float(alone[0]["difference_low_points"])
    assert "2 comparisons: p is Holm's" in outcome.out


def test_runs_that_differ_in_much_are_called_by_their_ids(mlfound):
    a, b = made("a"), made("b", WIDER, model__hidden=[100], model__relu_shift=0.5, epochs=3)
    outcome = mlfound("compare", a, b)
    assert "20261123-1200-train-b is better" in outcome.out
    assert "differs in 3 settings, model.hidden, model.relu_shift, epochs: it may be any." in outcome.out


def test_environments_that_differ_are_shown(mlfound):
    other = {
        "environment": {
            "cpu": "a", "python": "3.12.0", "packages": {"torch": "2.12.0"},
            "git": {"commit": "0123456789ab", "dirty": True},
        },
        "threads": 2,
    }  # fmt: skip
    outcome = mlfound("compare", made("a"), made("b", SHIFTED, facts=other))
    facts = {row["fact"]: list(row.values())[1:] for row in outcome.rows("environment")}
    assert facts == {
        "python": ["3.11.2", "3.12.0"],
        "packages.torch": ["2.13.0", "2.12.0"],
        "threads": ["1", "2"],
        "git commit": ["unknown", "0123456789 and uncommitted changes"],
    }
    assert "Not run alike: python, packages.torch, threads, git commit differ." in outcome.out


def test_groups_of_all_train_runs(mlfound):
    made("zero"), made("half", SHIFTED, model__relu_shift=0.5), made("two", WIDER, model__relu_shift=0.2)
    outcome = mlfound("compare", "--group", "model.relu_shift")
    assert outcome.code == 0, outcome
    pairs = [(row["first"], row["second"]) for row in outcome.rows("comparisons")]
    assert pairs == [("relu_shift 0.0", "relu_shift 0.2"), ("relu_shift 0.0", "relu_shift 0.5")]


def test_single_seed_runs_of_a_group_are_pooled_and_the_newest_repeat_counts(mlfound):
    for seed in range(6):
        made(f"a{seed}", WRONG[seed : seed + 1], first_seed=seed, old=True, threads=1)
        made(f"b{seed}", WIDER[seed : seed + 1], first_seed=seed, old=True, model__hidden=[100])
    made("later", [500], first_seed=5, threads=2)
    outcome = mlfound("compare", "--group", "model.hidden")
    [row] = outcome.rows("comparisons")
    assert (row["seeds_first"], row["seeds_second"]) == ("6", "6")
    assert "hidden [50]: 1 of its seeds were trained again; the newest run of each counts." in outcome.out
    assert [row["test_wrong"] for row in outcome.rows("seeds")][5] == "500.0"


def test_runs_that_differ_in_more_than_the_group_are_not_lumped_together(mlfound):
    made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    made("c", WIDER, model__hidden=[100]), made("d", WRONG, model__hidden=[100], model__relu_shift=0.5)
    made("e", WIDER, epochs=3)
    made("other-data", WIDER, model__relu_shift=0.7, facts={"dataset": {"name": "mnist", "digest": 64 * "b"}})
    made("bad", status="diverged")
    (made("torn") / "config.yaml").write_text("seed: [")
    outcome = mlfound("compare", "--group", "model.relu_shift")
    rows = outcome.rows("comparisons")
    assert [row["family"] for row in rows] == ["hidden [50]", "hidden [100]"]
    assert [row["verdict"] for row in rows] == ["no difference seen", "worse"]
    assert (
        "Left out: 1 damaged, 1 diverged, 2 without a counterpart that differs in model.relu_shift alone."
        in outcome.out
    )
    assert {plot.name for plot in (outcome.path / "plots").iterdir()} == {
        "seeds-1.png", "seeds-2.png", "curves-1.png", "curves-2.png"
    }  # fmt: skip


def test_a_group_of_named_runs_only(mlfound):
    a, b = made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    made("c", WIDER, model__relu_shift=0.7)
    outcome = mlfound("compare", a, b, "--group", "model.relu_shift")
    assert len(outcome.rows("comparisons")) == 1


def test_a_repeat_compares_the_same_runs_again(mlfound):
    made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    first = mlfound("compare", "--group", "model.relu_shift")
    made("c", WIDER, model__relu_shift=0.7)
    again = mlfound("compare", first.path / "config.yaml")
    assert again.code == 0, again
    assert again.rows("comparisons") == first.rows("comparisons")
    assert mlfound("compare", "--group", "model.relu_shift").rows("comparisons") != first.rows("comparisons")


def test_a_key_that_is_younger_than_a_run_has_its_default(mlfound):
    a, b = made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    config = (a / "config.yaml").read_text()
    assert "  relu_shift: 0.0\n" in config
    (a / "config.yaml").write_text(config.replace("  relu_shift: 0.0\n", ""))
    assert "relu_shift 0.5 and relu_shift 0.0" in mlfound("compare", "--group", "model.relu_shift").out
    assert "relu_shift 0.5 and relu_shift 0.0" in mlfound("compare", a, b).out


def test_a_run_has_the_defaults_of_its_own_kind_only(mlfound):
    """Keys that are younger than a run have their defaults, but none that its optimizer lacks."""
    a, b = made("a"), made("b", SHIFTED, optimizer__name="adam", optimizer__weight_decay=0.005)
    config = (b / "config.yaml").read_text()
    (b / "config.yaml").write_text(config.replace("  beta2: 0.999\n", ""))
    rows = {row["key"]: list(row.values())[1:] for row in mlfound("compare", a, b).rows("settings")}
    assert rows["optimizer.momentum"] == ["0.9", "null"]
    assert rows["optimizer.beta2"] == ["null", "0.999"]
    assert "optimizer.weight_decay" not in rows
    made("c", SHIFTED, optimizer__name="adam", optimizer__weight_decay=0.005, optimizer__beta2=0.99)
    outcome = mlfound("compare", "--group", "optimizer.beta2")
    assert "between beta2 0.99 and beta2 0.999" in " ".join(outcome.out.split()), "adam's default comes first"


def test_runs_of_another_command_stand_side_by_side(mlfound):
    runs = [
        made(name, command="matmul-bench", impl=[impl]) for name, impl in (("a", "einsum"), ("b", "matmul"))
    ]
    for run, seconds in zip(runs, (1.0, 2.0), strict=True):
        (run / "summary.json").write_text(
            json.dumps({"metrics": {"median_s": seconds, "words": "no number"}})
        )
    outcome = mlfound("compare", *runs)
    assert outcome.code == 0, outcome
    [row] = outcome.rows("figures")
    assert list(row.values()) == ["median_s", "1.0", "2.0", "2.0"]
    assert "No verdict" in outcome.out
    assert "mlfound matmul-bench --compare RUN" in outcome.out


def test_hostile_names_and_values_do_no_harm(mlfound):
    a = made("a", model__relu_shift=0.5)
    b = made("b", SHIFTED, facts={"id": "<script>\x1b[31m$\\frac{", "device": "\x1b[2J"})
    outcome = mlfound("compare", a, b)
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


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("model.relu_shfit", ["--group model.relu_shfit", "unknown key", "did you mean 'model.relu_shift'"]),
        ("model", ["--group model", "unknown key 'model'"]),
        ("optimizer.beta2", ["--group optimizer.beta2", "sgd has no beta2; rmsprop, adam, adamw and lamb"]),
        ("seed", ["--group seed", "averages over"]),
        ("epochs", ["--group epochs", "no two of 2 runs of train differ in epochs and nothing else"]),
    ],
)
def test_groups_that_cannot_be(mlfound, group, words):
    made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    refused(mlfound("compare", "--group", group), *words)


def test_no_runs_at_all(mlfound):
    refused(mlfound("compare", "--group", "epochs"), "no two of 0 runs")
    refused(mlfound("compare", "--group", "epoch"), "did you mean 'epochs'")


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
    outcome = mlfound("compare", "--group", "model.relu_shift")
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
    refused(mlfound("compare", a, b), "no seed of", "test_accuracy")


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
