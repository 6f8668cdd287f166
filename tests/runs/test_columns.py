"""What the list says of the runs: what tells them apart, and what a user asks for."""

import json

import pytest

from mlfound.errors import UserError
from mlfound.runs.columns import chosen_columns, columns_of, differing, sorted_by
from mlfound.runs.listing import list_runs
from mlfound.runs.notes import Notes, write_notes
from mlfound.runs.query import Query, select
from tests.support.run_folders import SUMMARY, make_run, write_json

CONFIG = """data:
  dataset: mnist
model: {{name: mlp, hidden: [{hidden}], dropout: {dropout}}}
optimizer: {{lr: {lr}, momentum: 0.9}}
seed: {seed}
threads: {seed}
"""


def train(runs_dir, number, *, lr=0.1, hidden=50, dropout=0.0, seed=0, accuracy=0.9, **facts):
    """Run number `number`; the higher, the newer."""
    metrics = {
        "test_accuracy": accuracy,
        "test_accuracy_low": accuracy - 0.01,
        "test_accuracy_high": accuracy + 0.01,
    }
    summary = {**SUMMARY, "metrics": {**metrics, "test_loss": 1 - accuracy}}
    start = f"2026-11-23T04:00:{number:02}+00:00"
    path = make_run(runs_dir, f"{number}-train", (), (), summary, start=start, seeds=[seed], **facts)
    config = CONFIG.format(lr=lr, hidden=hidden, dropout=dropout, seed=seed)
    (path / "config.yaml").write_text(config)
    return path


def cells(runs, columns=None):
    """The columns by their labels."""
    return {each.label: list(each.cells) for each in columns or columns_of(runs)}


def test_the_settings_in_which_they_differ_are_columns_and_no_others(tmp_path):
    train(tmp_path, 1, lr=0.1)
    train(tmp_path, 2, lr=0.05, seed=1)
    train(tmp_path, 3, lr=0.05, accuracy=0.92, hidden="100, 50", seed=2)
    seen = cells(list_runs(tmp_path))
    assert seen["run"] == ["3-train", "2-train", "1-train"]
    assert seen["lr"] == ["0.05", "0.05", "0.1"]
    assert seen["model"] == ["mlp 100-50", "mlp 50", "mlp 50"]
    assert seen["seeds"] == ["2", "1", "0"]
    assert seen["data"] == ["mnist"] * 3
    assert seen["test accuracy"] == ["92.00%", "90.00%", "90.00%"]
    assert seen["95% interval"][0] == "91.00% to 93.00%"
    assert not {"momentum", "dropout", "seed", "tags", "note"} & set(seen)


@pytest.mark.parametrize(("network", "shown"), [("cnn 8-10", "cnn 8-10"), (None, "cnn.yaml")])
def test_the_model_of_a_run_that_names_its_file(tmp_path, network, shown):
    """Its network, or at least the file; and no second column with the path."""
    train(tmp_path, 1)
    path = make_run(tmp_path, "other", command="init-stats", network=network)
    (path / "config.yaml").write_text("model: /home/me/configs/cnn.yaml\n")
    seen = cells(list_runs(tmp_path))
    assert sorted(seen["model"]) == [shown, "mlp 50"]
    assert not [label for label, texts in seen.items() if "/home/me/configs/cnn.yaml" in texts]


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("{name: cnn, channels: [8, 16, 32], kernels: [5, 3, 3]}", "cnn 8-16-32"),
        ("{name: cnn, channels: [4], kernels: [5]}", "cnn 4"),
        ("{name: lenet5}", "lenet5"),
        ("{name: mlp, hidden: []}", "mlp"),
    ],
)
def test_a_model_is_its_kind_and_the_sizes_of_its_layers(tmp_path, section, says):
    for number in (1, 2):
        path = train(tmp_path, number)
    (path / "config.yaml").write_text(f"model: {section}\n")
    seen = cells(list_runs(tmp_path))
    assert seen["model"] == [says, "mlp 50"]
    assert not {"channels", "hidden", "model.channels"} & set(seen), "they stand in the column already"


def test_of_several_commands_what_one_lacks_is_no_difference(tmp_path):
    train(tmp_path, 1)
    make_run(tmp_path, "other", command="compare", summary={"metrics": {"p_value": 0.25}})
    (tmp_path / "other/config.yaml").write_text("group: model.dropout\n")
    runs = list_runs(tmp_path)
    assert differing(runs) == {}
    assert sorted(cells(runs)["key figure"]) == ["p value 0.25", "test accuracy 90.00%"]


def test_what_sets_most_of_them_apart_comes_first_and_housekeeping_last(tmp_path):
    for number in range(1, 5):
        train(tmp_path, number, lr=number, seed=number, dropout=0.5 if number == 4 else 0.0)
    runs = list_runs(tmp_path)
    assert list(differing(runs)) == ["optimizer.lr", "model.dropout", "threads"]
    ranks = {each.label: each.rank for each in columns_of(runs)}
    assert ranks["run"] == 0 < ranks["lr"] < ranks["95% interval"] < ranks["dropout"] < ranks["threads"]


def test_two_settings_of_one_last_word_have_their_whole_keys(tmp_path):
    for number in (1, 2):
        path = train(tmp_path, number)
        (path / "config.yaml").write_text(
            f"a: {{lr: {number}}}\nb: {{lr: {number}}}\nstatus: {number}\nc: {{status: {number}}}\n"
        )
    assert {"a.lr", "b.lr", "status", "c.status"} <= set(cells(list_runs(tmp_path)))


@pytest.mark.parametrize("status", ["interrupted", "diverged", "failed"])
def test_a_run_without_success_says_so_where_its_figure_would_be(tmp_path, status):
    train(tmp_path, 1, status=status)
    train(tmp_path, 2)
    expected = "failed, 90.00%" if status == "failed" else status
    assert cells(list_runs(tmp_path))["test accuracy"] == ["90.00%", expected]


@pytest.mark.parametrize(
    ("seeds", "shown"), [([0], "0"), ([3, 4, 5], "3-5"), ([0, 2], "0, 2"), (["x"], ""), ({}, "7"), (3, "")]
)
def test_seeds(tmp_path, seeds, shown):
    path = train(tmp_path, 1, seed=7)
    write_json(path / "run.json", {**json.loads((path / "run.json").read_text()), "seeds": seeds})
    assert cells(list_runs(tmp_path)).get("seeds", [""]) == [shown]


def test_chosen_columns(tmp_path):
    write_notes(train(tmp_path, 1, lr=0.5), Notes(("good", "old"), "see there"))
    train(tmp_path, 2, device=None)
    names = "test_loss, optimizer.lr,device,dataset.name,took,tags,note,optimizer"
    assert cells(None, chosen_columns(names, list_runs(tmp_path))) == {
        "run": ["2-train", "1-train"],
        "test_loss": ["0.1", "0.1"],
        "optimizer.lr": ["0.1", "0.5"],
        "device": ["", "cpu"],
        "dataset.name": ["mnist", "mnist"],
        "took": ["33 min 49 s", "33 min 50 s"],
        "tags": ["", "good old"],
        "note": ["", "see there"],
        "optimizer": ['{"lr": 0.1, "momentum": 0.9}', '{"lr": 0.5, "momentum": 0.9}'],
    }


def test_sorted_the_highest_first_and_what_lacks_it_last(tmp_path):
    for number, accuracy in enumerate([0.9, 0.95, 0.8], start=1):
        train(tmp_path, number, accuracy=accuracy)
    (train(tmp_path, 4, status="interrupted") / "summary.json").unlink()
    runs = list_runs(tmp_path)
    assert [run.id[0] for run in sorted_by("test_accuracy", runs)] == ["2", "1", "3", "4"]
    assert [run.id[0] for run in sorted_by("run", runs)] == ["1", "2", "3", "4"]
    assert [run.id[0] for run in sorted_by("took", runs)] == ["1", "2", "3", "4"], "the longest first"
    assert [run.id[0] for run in select(Query(sort="test_loss", reverse=True, limit=2), tmp_path)] == [
        "4",
        "2",
    ]
    assert "test_loss" in cells(runs, columns_of(runs, sort="test_loss")), "what it is sorted by is seen"


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (["optimizer.lr=0.05"], "2"),
        (["optimizer.lr=5e-2"], "2"),
        (["optimizer.lr=1"], "3"),
        (["optimizer.lr=true"], ""),
        (["optimizer.lr=0.05", "seed=0"], ""),
        (["optimizer.lr=0.05", "seed=1", "command=train"], "2"),
        (["model.hidden=[50]"], "321"),
        (["model.hidden=50", "status=completed"], "321"),
        (["data.dataset=mnist"], "321"),
        (["tags=good"], "1"),
        (["tags=bad"], ""),
        (["test_accuracy=0.9"], "321"),
    ],
)
def test_where(tmp_path, where, found):
    write_notes(train(tmp_path, 1), Notes(("good", "old")))
    train(tmp_path, 2, lr=0.05, seed=1)
    train(tmp_path, 3, lr=1.0)
    assert "".join(run.id[0] for run in select(Query(where=where), tmp_path)) == found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            Query(where=["optimizer.lrr=1"]),
            "^optimizer.lrr: no run in .* 'optimizer.lr'",
        ),
        (Query(where=["lr=1"]), "did you mean 'optimizer.lr'?"),
        (Query(where=["zzz=1"]), "write one of test_accuracy, "),
        (Query(where=["lr"]), "--where lr: write --where KEY=VALUE"),
        (Query(where=["=1"]), "write --where KEY=VALUE"),
        (Query(where=["seed=["]), "--where seed=.: not YAML"),
        (Query(where=["a\x1b[31m=1"]), r"a\\x1b\[31m: no run"),
        (Query(command="trian"), "--command trian: no such command; did you mean 'train'?"),
        (Query(sort="test_acuracy"), "--sort test_acuracy: no run has this; did you mean 'test_accuracy'?"),
        (Query(sort="tok"), "did you mean 'took'?"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(tmp_path, query, said):
    train(tmp_path, 1)
    with pytest.raises(UserError, match=said):
        select(query, tmp_path)


def test_a_typo_among_the_columns(tmp_path):
    train(tmp_path, 1)
    with pytest.raises(
        UserError, match=r"--columns optimizer\.l: no run has this; did you mean 'optimizer.lr'?"
    ):
        chosen_columns("test_loss,optimizer.l", list_runs(tmp_path))


def test_damaged_folders_stay_in_the_list(tmp_path):
    train(tmp_path, 1)
    (train(tmp_path, 2) / "run.json").write_text("{")
    (train(tmp_path, 3) / "config.yaml").write_text("a: b: c")
    seen = cells(list_runs(tmp_path))
    assert dict(zip(seen["run"], seen["status"], strict=True)) == {
        "1-train": "completed", "2-train": "damaged", "3-train": "completed"
    }  # fmt: skip
    assert sum("damaged" in note for note in seen["note"]) == 1
    assert sum("config.yaml:1: not YAML" in note for note in seen["note"]) == 1
