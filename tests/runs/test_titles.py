"""What a page says first: a title for every command, and the settings that are not the defaults."""

import json

import pytest

from mlfound.config.loading import Override, dump, load
from mlfound.config.models import CONFIGS
from mlfound.report.views import view
from mlfound.runs.contents import read_contents
from mlfound.runs.reader import Run
from mlfound.runs.titles import TITLES, changed, title
from tests.support.run_folders import HOSTILE, SUMMARY, make_run, write_json


def a_run(tmp_path, command="train", settings=(), **facts):
    """A run with the config of a command, resolved, and other facts."""
    path = make_run(tmp_path, command=command, **facts)
    overrides = [Override(key, value, f"{key}={value}") for key, value in dict(settings).items()]
    (path / "config.yaml").write_text(dump(load(command, None, overrides).config))
    return Run(path, forgiving=True)


def measured(**metrics):
    return {**SUMMARY, "metrics": metrics}


TRAININGS = [
    ({}, "784-50-10 on MNIST, seed 0: 97.50%"),
    ({"seeds": [3]}, "784-50-10 on MNIST, seed 3: 97.50%"),
    ({"seeds": [0, 1, 2, 3, 4]}, "784-50-10 on MNIST: 97.50%, mean of 5 seeds"),
    ({"dataset": {"name": "mnist-sample"}}, "784-50-10 on the MNIST sample, seed 0: 97.50%"),
    ({"dataset": {"name": "/home/me/letters"}}, "784-50-10 on letters, seed 0: 97.50%"),
    ({"network": None}, "mlp 50 on MNIST, seed 0: 97.50%"),
    ({"network": "cnn 8-16-10"}, "cnn 8-16-10 on MNIST, seed 0: 97.50%"),
    ({"summary": measured(valid_loss=1)}, "784-50-10 on MNIST, seed 0"),
    ({"summary": measured(valid_loss=1), "seeds": [0, 1]}, "784-50-10 on MNIST, 2 seeds"),
]
OTHERS = [
    ("lr-find", {}, {"summary": measured(tenth_of_minimum_lr=0.00658)}, "784-50-10 on MNIST: 0.0066"),
    ("init-stats", {}, {}, "Signal and gradient by initialisation on MNIST"),
    ("init-stats", {"model": "own.yaml"}, {}, "Signal and gradient of 784-50-10 by initialisation on MNIST"),
    ("matmul-bench", {}, {"threads": 2}, "Matrix multiplication 5x784x10, float32, cpu, 2 threads"),
    (
        "conv-bench",
        {"shape": ["1x9x9-2x3x3"]},
        {"threads": 1},
        "Convolution 1x9x9-2x3x3, float32, cpu, 1 thread",
    ),
    ("backprop-bench", {}, {"threads": 1}, "Forward and backward by hand on MNIST, cpu, 1 thread"),
    ("backprop-bench", {"workload": "step"}, {"threads": 1}, "A training step on MNIST, cpu, 1 thread"),
    ("backprop-bench", {"check_only": True}, {}, "Gradients by hand against autograd"),
    ("normalize-check", {}, {}, "Pixels of MNIST before and after normalising"),
    ("compare", {"runs": ["a", "b"]}, {"compared": ["a", "b"]}, "Validation loss of a and b"),
    ("compare", {"group": "epochs"}, {"compared": ["a"] * 9}, "Validation loss by epochs, 9 runs"),
    ("download", {}, {}, "Files of MNIST"),
    ("remedies", {}, {"cells": 95}, "Remedies against overfitting on MNIST, 95 cells"),
    ("notebook-test", {}, {"notebooks": {"a.ipynb": "0"}}, "Test of a.ipynb"),
]


@pytest.mark.parametrize(("facts", "wanted"), TRAININGS)
def test_a_training_says_network_data_seeds_and_accuracy(tmp_path, facts, wanted):
    assert title(a_run(tmp_path, **facts)) == wanted


@pytest.mark.parametrize(("command", "settings", "facts", "wanted"), OTHERS)
def test_another_command_says_what_it_measured_on_what(tmp_path, command, settings, facts, wanted):
    assert title(a_run(tmp_path, command, settings, **facts)).endswith(wanted)


def test_every_command_has_a_title_and_an_unknown_one_its_id(tmp_path):
    assert set(TITLES) == {*CONFIGS, "sweep"}
    assert title(Run(make_run(tmp_path, "an id", command="sew"))) == "an id"


@pytest.mark.parametrize("nonsense", [HOSTILE, 7, [[HOSTILE]], {"name": {"a": 1}}, None])
@pytest.mark.parametrize("command", CONFIGS)
def test_a_run_that_says_nonsense_has_a_title_too(tmp_path, command, nonsense):
    names = ("network", "seeds", "dataset", "device", "threads", "compared", "notebooks")
    path = make_run(tmp_path, command=command, **dict.fromkeys(names, nonsense))
    keys = ("model", "shape", "dtype", "workload", "metric", "group", "seed", "data")
    (path / "config.yaml").write_text(json.dumps(dict.fromkeys(keys, nonsense)))
    write_json(path / "summary.json", measured(test_accuracy=nonsense, tenth_of_minimum_lr=nonsense))
    contents = read_contents(path)
    assert contents.title
    assert view(contents)["title"].isprintable()


def test_the_settings_that_are_not_the_defaults(tmp_path):
    settings = {
        "model.hidden": [100, 50],
        "optimizer.name": "adam",
        "optimizer.lr": 0.01,
        "early_stop.patience": 5,
    }
    resolved = {"device": "cpu", "threads": 1, "engine": "buffers", "product": "matmul"}
    assert changed(a_run(tmp_path, "train", settings | resolved)) == [
        ("model.hidden", "[100, 50]", "[50]"),
        ("optimizer.name", "adam", "sgd"),
        ("optimizer.lr", "0.01", "0.001"),
        ("early_stop.patience", "5", ""),
    ], "of adam its own defaults; what auto came to is nobody's choice"


@pytest.mark.parametrize("command", CONFIGS)
def test_no_default_counts_as_changed(tmp_path, command):
    assert changed(a_run(tmp_path, command)) == []


def test_where_the_config_cannot_be_read_nothing_is_said_of_its_settings(tmp_path):
    run = a_run(tmp_path, network=None)
    (run.path / "config.yaml").write_text("epochs: [")
    assert read_contents(run.path).changed is None
    (run.path / "config.yaml").unlink()
    contents = read_contents(run.path)
    assert contents.changed is None
    assert [problem for problem in contents.problems if "config.yaml" in problem] == contents.problems
    assert len(contents.problems) == 1, "it is said once"
