"""Training on every training row: no validation figure is made up, nothing is chosen, resuming keeps the bits."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mlfound import load_model
from mlfound.config.loading import load, parse_set
from mlfound.data.load import SPLITS, Split
from mlfound.data.load import load as load_splits
from mlfound.data.normalize import NORMALIZATIONS
from mlfound.data.registry import DATASETS
from mlfound.errors import UserError
from mlfound.experiments.train import learned_training
from mlfound.experiments.trained.history import curves
from mlfound.foundations.layers import Linear, Sequential, bound
from mlfound.report.alternatives import alternative
from mlfound.report.pictures import PICTURES
from mlfound.results import Context, Resumed
from mlfound.training.build import build
from mlfound.training.epochs import Epoch
from mlfound.training.inputs import prepare
from mlfound.training.plan import plan
from mlfound.training.resume import refuse_changes
from tests.support.commands import refused_at_once
from tests.support.recorders import Memory

QUICK = ("train", "data.dataset=mnist-sample", "data.split=published", "--no-plots", "threads=1")


def config_of(*changes):
    small = (
        "epochs=3",
        "batch_size=32",
        "threads=1",
        "device=cpu",
        "model.hidden=[8]",
        "checkpoint.seconds=0",
    )
    words = (*small, "data.dataset=mnist-sample", "data.split=published", "data.train_rows=210", *changes)
    return load("train", None, [parse_set(text) for text in words]).config


def context_of(recorder=None, resumed=None):
    environment = {"cpu": "", "cpu_id": "", "packages": {"mlfound": "1"}}
    return Context(recorder or Memory(), Path(), environment, None, resumed=resumed)


def trainer_of(config):
    splits = prepare(config.data, context_of()).splits
    return closing(build(plan(config, splits), splits))


def test_all_training_rows_are_trained_on_and_the_test_rows_are_the_same(tmp_path):
    lesson, published = (load_splits(DATASETS["mnist-sample"], tmp_path, split=split) for split in SPLITS)
    assert len(published.valid.y) == 0
    for name in ("x", "y"):
        both = torch.cat([getattr(lesson.train, name), getattr(lesson.valid, name)])
        assert torch.equal(getattr(published.train, name), both)
        assert torch.equal(getattr(published.test, name), getattr(lesson.test, name))
    assert published.digest == lesson.digest


def test_mean_and_std_are_those_of_all_training_rows(tmp_path):
    inputs = prepare(config_of("data.train_rows=null").data, context_of())
    x = load_splits(DATASETS["mnist-sample"], tmp_path, split="published").train.x
    mean, std = NORMALIZATIONS["global"](x)
    assert (inputs.mean, inputs.std) == (mean, std)
    assert mean != NORMALIZATIONS["global"](x[:5000])[0], "the lesson's rows would do as well"
    assert inputs.facts["rows"] == {"train": 6000, "valid": 0, "test": 1000}


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_run_has_no_validation_figures_and_says_so(mlfound, replicates):
    outcome = mlfound(*QUICK, "epochs=2", f"replicates={replicates}")
    assert outcome.code == 0, outcome
    assert "mnist-sample: 6,000 train, 1,000 test images" in outcome.err
    assert "valid" not in outcome.err, "an epoch's line has a figure that there is not"
    summary = outcome.json("summary.json")
    names = {
        name
        for name in summary["metrics"]
        if name.startswith("valid") or name in ("best_epoch", "overfitting")
    }
    assert not names
    assert (
        "No validation set (data.split: published): nothing was chosen by one, and overfitting is not judged."
        in (summary["findings"])
    )
    assert [check["name"] for check in summary["checks"]][1:] == [
        "training accuracy above that of the commonest class"
    ]
    rows = [json.loads(line) for line in (outcome.path / "metrics.jsonl").read_text().splitlines()]
    assert {(row["valid_loss"], row["valid_accuracy"]) for row in rows} == {(None, None)}
    for table, empty in (
        ("epochs", ("valid_loss",)),
        ("seeds", ("valid_loss", "valid_accuracy", "best_epoch")),
    ):
        assert {row[name] for row in outcome.rows(table) for name in empty} == {""}
    assert outcome.json("run.json")["dataset"]["rows"]["valid"] == 0


def test_its_pictures_show_no_validation():
    config = config_of("epochs=2", "replicates=2")
    rows = [
        Epoch(epoch, seed, 0.5 / epoch, None, None, 0.1, 0.9, 2.0, 0.1, 25_000.0)
        for epoch in (1, 2)
        for seed in (0, 1)
    ]
    loss, schedule = curves(plan(config, prepare(config.data, context_of()).splits), rows, 0.98)
    assert (loss.kind, schedule.kind) == ("loss_curves", "schedule_curves")
    assert alternative(loss).endswith(
        "A line over 2 epochs: training loss from 0.5 to 0.25. Below: the learning rate."
    )
    figure = PICTURES["loss_curves"](**loss.data)
    assert len(figure.axes[0].lines) == 1
    assert "no validation set" in [text.get_text() for text in figure.axes[0].texts]


def test_the_model_can_be_loaded_and_has_no_best_epoch(mlfound):
    path = mlfound(*QUICK, "epochs=2").path
    tested, last = (load_model(path, checkpoint=which)[0].layers[0].w for which in (None, "last"))
    assert torch.equal(tested, last)
    with pytest.raises(UserError, match=r'no epoch is the best one; write checkpoint="last"$'):
        load_model(path, checkpoint="best")
    manifests = [json.loads(each.read_text()) for each in (path / "checkpoints").glob("*.json")]
    assert manifests
    assert not any(each["best"] for each in manifests)


def test_one_that_learned_nothing_fails_by_its_training_images(mlfound):
    outcome = mlfound(*QUICK, "epochs=1", "optimizer.lr=1e-9")
    assert outcome.code == 1
    assert "% of the training images are right, always the commonest class makes" in outcome.out


def test_training_images_that_are_sorted_by_class_say_whether_it_learned():
    """The first ones would be of one class, and no network right more often than always that."""
    config = config_of("data.train_rows=null")
    inputs = prepare(config.data, context_of())
    y = torch.arange(10).repeat_interleave(600)
    taken_for = torch.where(torch.arange(6000) % 19 == 0, 9 - y, y)  # one in 19 is wrong
    inputs = replace(inputs, splits=replace(inputs.splits, train=Split(torch.eye(10)[taken_for], y)))
    planned = SimpleNamespace(recipe=SimpleNamespace(loss="cross-entropy"), seeds=[0])
    model = bound(Sequential(Linear(10, 10)), {"1.w": torch.eye(10), "1.b": torch.zeros(10)})
    [check] = learned_training(planned, inputs, [model]).checks
    assert check.passed
    assert check.value == pytest.approx(18 / 19, abs=0.01)
    assert check.bound < 0.13


def test_one_that_diverges_says_where(mlfound):
    outcome = mlfound(*QUICK, "epochs=1", "optimizer.lr=1e30")
    assert outcome.code == 1
    assert outcome.json("run.json")["status"] == "diverged"


@pytest.mark.parametrize("where", [(0, 4), (0, 7), (1, 0), (1, 5), (2, 7)])
@pytest.mark.parametrize("replicates", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupted_training_goes_on_to_the_same_bits(where, replicates, monkeypatch):
    """A check a step, seven steps an epoch: in its middle, before it is evaluated, at its beginning."""
    monkeypatch.setattr("mlfound.training.loop.MAX_STEPS_PER_CHECK", 1)
    config = config_of(f"replicates={replicates}", "model.dropout=0.3")
    with trainer_of(config) as trainer:
        assert trainer.run(context_of()) is None
        whole = [{name: p.clone() for name, p in network.items()} for network in trainer.engine.networks]
    begun, rest = Memory(), Memory()
    with trainer_of(config) as trainer:
        trainer.run(context_of(begun), lambda: (trainer.epoch, trainer.step) >= where)
    checkpoint, best = begun.checkpoints[-1]
    assert (checkpoint.facts["epoch"], checkpoint.facts["step"], best) == (*where, False)

    inputs = prepare(config.data, context_of())
    facts = {"dataset": inputs.facts, "environment": {"packages": {"mlfound": "1"}}, "bits": {}}
    written = replace(checkpoint, facts=json.loads(json.dumps(checkpoint.facts)))
    resumed = Resumed(written, json.loads(json.dumps(begun.rows)), facts)
    refuse_changes(plan(config, inputs.splits).config, inputs, {}, context_of(resumed=resumed))
    with trainer_of(config) as trainer:
        assert trainer.run(context_of(rest, resumed)) is None
        for network, wanted in zip(trainer.engine.networks, whole, strict=True):
            assert all(torch.equal(p, wanted[name]) for name, p in network.items())
    assert [row["epoch"] for row in begun.rows + rest.rows] == [
        e for e in (1, 2, 3) for _ in range(replicates)
    ]


def test_a_finished_run_can_be_trained_further(mlfound):
    constant = (*QUICK, "schedule=constant", "checkpoint.seconds=0")
    path, whole = mlfound(*constant, "epochs=1").path, mlfound(*constant, "epochs=2").path
    outcome = mlfound("train", "--no-plots", "--resume", path, "epochs=2")
    assert outcome.code == 0, outcome
    assert (path / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("early_stop.patience=3",),
            "data.split: this split has no validation loss to stop by; write early_stop: null",
        ),
        (("data.train_rows=6001",), "6,001 training rows are not available; write 1 to 6,000"),
        (("data.split=publshed",), "did you mean 'published'?"),
    ],
)
def test_what_cannot_be_is_refused(mlfound, words, says):
    refused_at_once(
        mlfound("train", *words, *[word for word in QUICK[1:] if word.split("=")[0] not in words[0]]), says
    )


def test_data_that_is_not_trained_on_has_no_such_key(mlfound):
    for command in ("normalize-check", "init-stats"):
        refused_at_once(mlfound(command, "data.split=published"), "unknown key 'data.split'")


def test_lr_find_looks_at_no_validation_rows(mlfound):
    outcome = mlfound("lr-find", *QUICK[1:], "steps=20")
    assert outcome.json("run.json")["dataset"]["rows"]["valid"] == 0
    assert outcome.code == 0, outcome


@pytest.mark.slow
def test_a_comparison_by_a_figure_that_there_is_not_names_it(mlfound):
    runs = [mlfound(*QUICK, "epochs=1", f"optimizer.lr={lr}", "replicates=3").path for lr in (0.1, 0.05)]
    outcome = mlfound("compare", *runs, "--no-plots")
    assert outcome.code == 2
    assert "has a valid_loss; name another metric" in outcome.err
    by_test = mlfound("compare", *runs, "--no-plots", "--metric", "test_loss")
    assert by_test.code == 0
    assert "valid" not in by_test.out
    listed = mlfound("runs", "--columns", "valid_loss,test_loss")
    assert listed.code == 2, "a figure that no run has"
    assert mlfound("runs", "show", runs[0]).code == 0


@pytest.mark.slow
def test_a_sweep_calls_no_setting_the_best(mlfound):
    options = ("data.train_rows=500", "epochs=1", "--jobs", 1, "--no-plots", "--seeds", "0-2")
    outcome = mlfound("sweep", *QUICK[1:3], *options, "optimizer.lr=0.1,0.05")
    assert outcome.code == 0, outcome
    assert "No setting is called the best: these cells have no validation data to choose by." in outcome.out
    assert not any(name.startswith("best") for name in outcome.json("summary.json")["metrics"])
    assert "valid_loss" not in outcome.rows("cells")[0]
