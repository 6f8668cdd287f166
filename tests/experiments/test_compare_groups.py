"""compare --group: which runs belong together, what stays apart, and sections of several kinds."""

from pathlib import Path

import pytest

from mlfound.config.keys import fields, section_of
from mlfound.config.training import TrainConfig
from mlfound.experiments.comparison.grouping import families
from mlfound.results import EarlierRun
from tests.support.commands import refused
from tests.support.trained_runs import RUNS, SHIFTED, WIDER, WRONG, compared, made

MNIST = {"name": "mnist", "digest": 64 * "a", "rows": {"train": 50_000, "valid": 10_000, "test": 10_000}}
SAMPLE = {"name": "mnist-sample", "digest": 64 * "b", "rows": {"train": 1_000, "valid": 500, "test": 500}}
# what a comparison averages over, what changes no more than rounding, and a name for what counts by its content
SAME = "seed", "replicates", "device", "threads", "engine", "product", "checkpoint", "data.dataset"
KEYS = [key for key, field in fields(TrainConfig).items() if not section_of(field)]


def trained(dataset=MNIST, **keys):
    """A run of train with these settings, without a folder: `optimizer__lr=0.2`."""
    config: dict = {}
    for key, value in keys.items():
        section, _, name = key.rpartition("__")
        (config.setdefault(section, {}) if section else config)[name] = value
    facts = {"id": str(keys), "command": "train", "dataset": dataset, "environment": {}}
    return EarlierRun(Path(f"{keys} {dataset}"), facts, config, {}, {})


def labels(key, *runs):
    return [[side.label for side in family] for family in families(key, runs)]


def test_groups_of_all_train_runs(mlfound):
    made("zero"), made("half", SHIFTED, model__relu_shift=0.5), made("two", WIDER, model__relu_shift=0.2)
    outcome = mlfound("compare", "--no-plots", "--group", "model.relu_shift")
    assert outcome.code == 0, outcome
    pairs = [(row["first"], row["second"]) for row in outcome.rows("comparisons")]
    assert pairs == [("relu_shift 0.0", "relu_shift 0.2"), ("relu_shift 0.0", "relu_shift 0.5")]


def test_single_seed_runs_of_a_group_are_pooled_and_the_newest_repeat_counts(mlfound):
    for seed in range(6):
        made(f"a{seed}", WRONG[seed : seed + 1], first_seed=seed, old=True, threads=1)
        made(f"b{seed}", WIDER[seed : seed + 1], first_seed=seed, old=True, model__hidden=[100])
    made("later", [500], first_seed=5, threads=2)
    outcome = mlfound("compare", "--no-plots", "--group", "model.hidden")
    [row] = outcome.rows("comparisons")
    assert (row["seeds_first"], row["seeds_second"]) == ("6", "6")
    assert "Seeds trained again, of which the newest run counts: 1 of hidden [50]." in outcome.out
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
    outcome = mlfound("compare", "--no-plots", a, b, "--group", "model.relu_shift")
    assert len(outcome.rows("comparisons")) == 1


def test_a_repeat_compares_the_same_runs_again(mlfound):
    made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    first = mlfound("compare", "--no-plots", "--group", "model.relu_shift")
    made("c", WIDER, model__relu_shift=0.7)
    again = mlfound("compare", "--no-plots", first.path / "config.yaml")
    assert again.code == 0, again
    assert again.rows("comparisons") == first.rows("comparisons")
    assert mlfound("compare", "--no-plots", "--group", "model.relu_shift").rows("comparisons") != first.rows(
        "comparisons"
    )


def test_a_key_that_is_younger_than_a_run_has_its_default(mlfound):
    a, b = made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    config = (a / "config.yaml").read_text()
    assert "  relu_shift: 0.0\n" in config
    (a / "config.yaml").write_text(config.replace("  relu_shift: 0.0\n", ""))
    assert (
        "relu_shift 0.5 and relu_shift 0.0"
        in mlfound("compare", "--no-plots", "--group", "model.relu_shift").out
    )
    assert "relu_shift 0.5 and relu_shift 0.0" in mlfound("compare", "--no-plots", a, b).out


def test_a_run_has_the_defaults_of_its_own_kind_only(mlfound):
    """Keys that are younger than a run have their defaults, but none that its optimizer lacks."""
    a, b = made("a"), made("b", SHIFTED, optimizer__name="adam", optimizer__weight_decay=0.005)
    config = (b / "config.yaml").read_text()
    (b / "config.yaml").write_text(config.replace("  beta2: 0.999\n", ""))
    rows = {
        row["key"]: list(row.values())[1:] for row in mlfound("compare", "--no-plots", a, b).rows("settings")
    }
    assert rows["optimizer.momentum"] == ["0.9", ""]
    assert rows["optimizer.beta2"] == ["", "0.999"]
    assert "optimizer.weight_decay" not in rows
    made("c", SHIFTED, optimizer__name="adam", optimizer__weight_decay=0.005, optimizer__beta2=0.99)
    outcome = mlfound("compare", "--no-plots", "--group", "optimizer.beta2")
    assert "between beta2 0.99 and beta2 0.999" in " ".join(outcome.out.split()), "adam's default comes first"


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("model.relu_shfit", ["--group model.relu_shfit", "unknown key", "did you mean 'model.relu_shift'"]),
        ("model", ["--group model", "unknown key 'model'"]),
        ("optimizer.beta2", ["--group optimizer.beta2", "sgd has no beta2; rmsprop, adam, adamw and lamb"]),
        ("seed", ["--group seed", "averages over"]),
        (
            "epochs",
            [
                "--group epochs",
                "no two of 2 runs of train differ in epochs and nothing else: all have epochs 10",
            ],
        ),
    ],
)
def test_groups_that_cannot_be(mlfound, group, words):
    made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    refused(mlfound("compare", "--group", group), *words)


def test_what_else_differs_is_said_where_nothing_can_be_grouped(mlfound):
    made("a"), made("b", SHIFTED, loss="mse", model__outputs=1)
    made("c", SHIFTED, loss="mse", model__outputs=1, facts={"dataset": SAMPLE}, epochs=3)
    ends = "20261123-1200-train-a and 20261123-1200-train-c differ in data, model.outputs, epochs too\n"
    assert mlfound("compare", "--no-plots", "--group", "loss").err.endswith(ends)
    refused(mlfound("compare", "--group", "data.dataset"), "figures of different data are not compared")


def test_no_runs_at_all(mlfound):
    refused(mlfound("compare", "--group", "epochs"), "no two of 0 runs")
    refused(mlfound("compare", "--group", "epoch"), "did you mean 'epochs'")


@pytest.mark.parametrize("key", KEYS)
def test_runs_that_differ_in_any_other_key_are_grouped_apart(key):
    """All keys but the seeds, and those that change no more than rounding: none may slip through."""
    grouped = "optimizer__lr" if key == "epochs" else "epochs"
    name, other = key.replace(".", "__"), {"data.train_rows": 1_000}.get(key, "other")
    runs = trained(), trained(**{name: other, grouped: 3})
    is_same = not {key, key.partition(".")[0]}.isdisjoint(SAME)
    assert bool(families(grouped.replace("__", "."), runs)) == is_same


def test_the_data_counts_by_its_content_and_by_its_split():
    moved = {**MNIST, "name": "/elsewhere/mnist"}
    split = {**MNIST, "rows": {"train": 55_000, "valid": 5_000, "test": 10_000}}
    first = trained(), trained(model__relu_shift=0.5, dataset=moved, data__dataset="/elsewhere/mnist")
    assert labels("model.relu_shift", *first) == [["relu_shift 0.0", "relu_shift 0.5"]]
    for other in (SAMPLE, split, {**MNIST, "digest": 64 * "c"}):
        assert not families("model.relu_shift", [trained(), trained(other, model__relu_shift=0.5)])
    fewer = trained({**MNIST, "rows": {**MNIST["rows"], "train": 5_000}}, data__train_rows=5_000)
    assert labels("data.train_rows", trained(), fewer) == [["train_rows null", "train_rows 5000"]]


def test_one_name_for_two_contents_is_told_apart():
    changed = {**MNIST, "digest": 64 * "c"}
    found = families("epochs", [trained(), trained(epochs=3), trained(changed), trained(changed, epochs=3)])
    assert [sides[0].family for sides in found] == ["mnist aaaaaaaa", "mnist cccccccc"]


def test_kinds_differ_in_the_keys_that_only_one_has_and_in_their_defaults():
    """adam has no momentum, sgd no beta2; and adam's lr is 0.001 where nothing is said."""
    sgd, adam = trained(), trained(optimizer__name="adam")
    assert labels("optimizer.name", adam, sgd) == [["sgd", "adam"]], "the default first"
    same_lr = trained(optimizer__name="adam", optimizer__lr=0.1, optimizer__weight_decay=0.005,
                      optimizer__decay="decoupled")  # fmt: skip
    assert labels("optimizer.name", sgd, same_lr) == [["sgd", "adam"]]
    assert labels("optimizer.name", same_lr, adam, sgd) == [
        ["sgd, lr 0.1, weight_decay 0.005, decay decoupled",
         "adam, lr 0.001, weight_decay 0.0, decay l2", "adam, lr 0.1, weight_decay 0.005, decay decoupled"]
    ]  # fmt: skip
    other_lr = trained(optimizer__name="adam", optimizer__lr=0.01)
    assert labels("optimizer.name", sgd, other_lr) == [], "it may be the learning rate"
    both = trained(optimizer__lr=0.01), other_lr
    assert labels("optimizer.name", sgd, adam, *both) == [["sgd", "adam"], ["sgd", "adam"]]
    assert [sides[0].family for sides in families("optimizer.name", [sgd, adam, *both])] == [
        "lr 0.1",
        "lr 0.01",
    ]


def test_two_settings_of_one_kind_are_two_sides():
    calm, adam = trained(optimizer__momentum=0.5), trained(optimizer__name="adam")
    found = families("optimizer.name", [trained(), adam, calm, trained(seed=1)])
    assert [[side.label for side in sides] for sides in found] == [
        ["sgd", "adam"],
        ["sgd, momentum 0.5", "adam"],
    ]
    assert [len(sides[0].runs) for sides in found] == [2, 1]
    assert [sides[0].family for sides in found] == ["momentum 0.9", "momentum 0.5"]
    slow = trained(optimizer__name="adam", optimizer__beta2=0.9999)
    assert labels("optimizer.name", trained(), slow, adam) == [
        ["sgd", "adam, beta2 0.999", "adam, beta2 0.9999"]
    ]


def test_a_model_of_another_kind():
    convolutional = trained(model={"name": "cnn", "channels": [8, 16]})
    assert labels("model.name", convolutional, trained()) == [["mlp", "cnn, channels [8, 16]"]]
    assert labels("model.name", convolutional, trained(epochs=3)) == []


def test_schedules_in_words():
    down = {"name": "linear", "from": 1.0, "to": 0.0, "share": 1.0, "power": None}
    up = {"name": "cosine", "from": 0.1, "to": 1.0, "share": 0.25}
    level = {"name": "constant", "from": 1.0, "to": None, "share": 1.0}
    runs = [
        trained(schedule=schedule)
        for schedule in ("constant", [down], [up, {**down, "share": 0.75}], [level], [up] * 4, ["odd"])
    ]
    assert labels("schedule", trained(), *runs) == [[
        "schedule one-cycle", 'schedule ["odd"]', "schedule of 4 pieces",
        "schedule cosine 0.1 to 1 (25%), linear 1 to 0 (75%)", "schedule constant 1",
        "schedule linear 1 to 0", "schedule constant",
    ]]  # fmt: skip


def test_kinds_by_the_command(mlfound):
    made("a"), made("b", WIDER, optimizer__name="adam")
    outcome = mlfound("compare", "--no-plots", "--group", "optimizer.name")
    assert outcome.code == 0, outcome
    assert "adam is better than sgd: validation loss lower by" in outcome.out
    assert "adam differs in 4 settings: optimizer.name, optimizer.lr" in outcome.out
    named = mlfound("compare", "--no-plots", *sorted(RUNS.glob("*-train-[ab]")))
    assert "adam is better than sgd: validation loss lower by" in named.out


def test_a_demo_on_the_sample_changes_nothing_that_is_said_of_real_data():
    a, b = made("a"), made("b", SHIFTED, model__relu_shift=0.5)
    keys = {"group": "model.relu_shift", "metric": "valid_accuracy"}
    _, alone = compared(a, b, **keys)
    for name, shift in (("c", 0.0), ("d", 0.5), ("e", 0.2)):
        made(name, WIDER, facts={"dataset": SAMPLE}, data__dataset="mnist-sample", model__relu_shift=shift)
    result, beside = compared(*sorted(RUNS.iterdir(), reverse=True), **keys)  # by name, as a repeat does
    [row], [first, *others] = alone["comparisons"], beside["comparisons"]
    assert {name: first[name] for name in row} == row
    assert [each["family"] for each in (first, *others)] == ["dataset mnist", *["dataset mnist-sample"] * 2]
    assert [each["p"] for each in beside["metrics"][:4]] == [each["p"] for each in alone["metrics"]]
    verdict = "dataset mnist: relu_shift 0.5: no difference seen (-0.07 to +0.09), p = 0.81; 13 seeds would show 0.1."
    holm = "p by Holm over the 2 comparisons on the same data; each interval agrees with it."
    assert {verdict, holm} <= {*result.findings}
    assert sorted(map(str, compared(**keys)[1]["comparisons"])) == sorted(map(str, beside["comparisons"]))
