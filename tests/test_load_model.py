"""The weights of a run, loaded back."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

import mlfound
from mlfound import load_model
from mlfound.data.load import load
from mlfound.data.registry import DATASETS
from mlfound.errors import UserError
from mlfound.foundations.layers import Loss


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--set", "model.relu_shift=0.5", "--set", "data.normalize=pixel"),
        ("model.name=cnn", "model.channels=[4, 3]", "model.kernels=[5, 3]", "model.init=lsuv"),
    ],
)
def test_a_loaded_model_answers_as_the_trained_one_did(mlfound, tmp_path, options):
    outcome = mlfound(
        "train", "--no-plots", "--set", "data.dataset=mnist-sample", "--set", "epochs=2", *options, "--quiet"
    )
    counts = Path(outcome.out.strip(), "tables", "confusion.csv").read_text().splitlines()[1:]
    model, mean, std = load_model("runs/latest")
    test = load(DATASETS["mnist-sample"], tmp_path).test  # in the package: the folder is not looked at
    predicted = model((test.x - mean) / std).argmax(1)
    for digit, line in enumerate(counts):
        wanted = [int(cell) for cell in line.split(",")[1:]]
        assert torch.bincount(predicted[test.y == digit], minlength=10).tolist() == wanted


def test_one_of_several_networks_is_named_by_its_seed(mlfound):
    outcome = mlfound(
        "train", "--no-plots", "data.dataset=mnist-sample", "epochs=1", "--seed", 9, "--replicates", 3
    )
    several = {seed: load_model(outcome.path, seed)[0].layers[0].w for seed in (9, 10, 11)}
    alone = mlfound(
        "train", "--no-plots", "--set", "data.dataset=mnist-sample", "--set", "epochs=1", "--seed", 10
    )
    assert torch.equal(load_model(alone.path)[0].layers[0].w, several[10])
    assert torch.equal(load_model(outcome.path)[0].layers[0].w, several[9])
    with pytest.raises(UserError, match="12"):
        load_model(outcome.path, 12)


def test_the_file_says_what_it_holds(mlfound):
    """Enough to rebuild the network without anything else."""
    options = ("--set", "model.relu_shift=0.25", "--set", "model.hidden=[6, 5]", "--replicates", 2)
    path = mlfound(
        "train", "--no-plots", "--set", "data.dataset=mnist-sample", "--set", "epochs=1", *options
    ).path
    with safe_open(path / "model.safetensors", "pt") as file:
        about = json.loads(file.metadata()["mlfound"])
        names = set(file.keys())
    assert about["model"]["name"] == "mlp"
    assert (about["model"]["hidden"], about["model"]["relu_shift"]) == ([6, 5], 0.25)
    assert (about["loss"], about["seeds"]) == ("cross-entropy", [0, 1])
    assert {*about["normalize"].values()} <= names


@pytest.mark.parametrize("stops", [True, False])
def test_the_best_and_the_last_epoch(tmp_path, stops):
    """Their validation losses are those in the table, also where the best one was long before the last."""
    settings = {"replicates": 2, "seed": 3, "epochs": 8, "checkpoint.seconds": 0, "threads": 1}
    settings |= {"early_stop.patience": 5} if stops else {}
    run = mlfound.run("train", {"data.dataset": "mnist-sample", "data.train_rows": 500}, **HIGH, **settings)
    rows, best, last = run.table("epochs"), run.metrics["best_epoch"], run.metrics["epochs"]
    assert best < last - 2, "no test of the best epoch's own checkpoint"
    valid = load(DATASETS["mnist-sample"], tmp_path).valid

    def loss(seed, **checkpoint):
        model, mean, std = load_model(run, seed, **checkpoint)
        return Loss("cross-entropy")(model((valid.x - mean) / std), valid.y).item()

    wanted = {(row["epoch"], row["seed"]): pytest.approx(row["valid_loss"], rel=1e-6) for row in rows}
    for seed in (3, 4):
        assert loss(seed, checkpoint="best") == wanted[best, seed]
        assert loss(seed, checkpoint="last") == wanted[last, seed]
        assert loss(seed) == wanted[best if stops else last, seed]
    assert loss(None, checkpoint="best") == wanted[best, 3]
    assert loss(None, checkpoint="last") == wanted[last, 3]

    with pytest.raises(UserError, match='\'bst\' is not valid; write "last" or "best"'):
        load_model(run, checkpoint="bst")
    shutil.rmtree(run.path / "checkpoints")
    assert loss(3) == wanted[best if stops else last, 3]
    with pytest.raises(UserError, match="no checkpoint of epoch"):
        load_model(run, checkpoint="last" if stops else "best")


HIGH = {
    "schedule": "constant",
    "optimizer.lr": 0.3,
    "optimizer.weight_decay": 0,
}  # overfits after a few epochs
ABOUT = {
    "model": {"name": "mlp", "relu_shift": 0.0},
    "normalize": {"mean": "mean", "std": "std"},
    "seeds": [0],
}


@pytest.mark.parametrize("key", ABOUT)
@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [[]], {"name": "mlp"}, {"name": []}])
def test_an_odd_description(tmp_path, key, value):
    tensors = {"mean": torch.zeros(1), "std": torch.ones(1), "w1": torch.ones(2, 3), "b1": torch.ones(3)}
    metadata = {"mlfound": json.dumps({**ABOUT, key: value})}
    (tmp_path / "model.safetensors").write_bytes(save(tensors, metadata))
    with pytest.raises(UserError, match="no trained model"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all", b"\xff" * 100])
def test_a_folder_without_a_model(tmp_path, content):
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="no trained model"):
        load_model(tmp_path)
