"""Networks with norms: trained in every engine, resumed with their state, loaded back, by batches of 2; refusals."""

from pathlib import Path

import pytest
import torch

import mlfound as package
from mlfound.data.load import load
from mlfound.data.registry import DATASETS
from mlfound.foundations.norms import NORMS
from tests.support.commands import refused_at_once

SAMPLE = ("train", "--no-plots", "data.dataset=mnist-sample", "threads=1")
SMALL = (*SAMPLE, "model.name=cnn", "model.channels=[4, 8]", "model.kernels=[5, 3]", "epochs=1")


def tensors(outcome):
    """Parameters and state of the trained network."""
    assert outcome.code == 0, outcome
    model, *_ = package.load_model(outcome.path)
    return {
        f"{number}.{name}": getattr(layer, name)
        for number, layer in enumerate(model.layers, 1)
        for name in (*layer.parameters, *layer.state)
    }


@pytest.mark.parametrize("norm", NORMS)
def test_it_learns_the_same_in_every_engine(mlfound, norm):
    readable, fast = (mlfound(*SMALL, f"model.norm={norm}", f"engine={e}") for e in ("modules", "buffers"))
    losses = [float(outcome.rows("seeds")[0]["test_loss"]) for outcome in (readable, fast)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert readable.json("run.json")["network"] == "cnn 4-8-10"
    assert f"cnn 4-8-10, {norm} norm, cross-entropy" in fast.err
    state = [name for name in tensors(fast) if name.split(".")[1] not in ("w", "b", "scale", "shift")]
    assert len(state) == {"batch": 2 * 2, "running-batch": 2 * 4}.get(norm, 0)


@pytest.mark.parametrize("norm", ["batch", "running-batch"])
def test_it_goes_on_from_a_checkpoint_to_the_same_bits_state_included(mlfound, norm):
    options = (*SAMPLE, f"model.norm={norm}", "schedule=constant", "optimizer.lr=0.05", "replicates=2")
    whole = mlfound(*options, "epochs=3")
    short = mlfound(*options, "epochs=2", "--name", "short")
    further = mlfound("train", "--no-plots", "--resume", short.path, "epochs=3")
    wanted, got = tensors(whole), tensors(further)
    assert any(name in wanted for name in ("2.mean", "2.sums"))
    assert wanted.keys() == got.keys()
    assert all(torch.equal(wanted[name], got[name]) for name in wanted)


def test_the_model_is_loaded_back_with_its_statistics(mlfound, tmp_path):
    outcome = mlfound(*SAMPLE, "model.norm=batch", "epochs=1")
    network, mean, std = package.load_model(outcome.path)
    test = load(DATASETS["mnist-sample"], tmp_path).test
    x = (test.x - mean) / std
    right = [network(x[rows]).argmax(1) == test.y[rows] for rows in (slice(0, 1000), slice(0, 1))]
    accuracy = right[0].double().mean().item()
    assert accuracy == pytest.approx(outcome.json("summary.json")["metrics"]["test_accuracy"])
    assert right[1] == right[0][:1], "an image is read the same alone: no statistics of its own"


@pytest.mark.slow
def test_batches_of_2_are_too_few_for_batch_norm_and_enough_for_running_batch_norm(mlfound):
    """Of two rows the higher becomes 1 and the lower -1, however far they are apart: 70% of the images are read."""
    options = (*SAMPLE, "epochs=2", "batch_size=2", "optimizer.lr=0.02")
    accuracy = {
        norm: mlfound(*options, f"model.norm={norm}").json("summary.json")["metrics"]["valid_accuracy"]
        for norm in ("batch", "running-batch")
    }
    assert accuracy["batch"] < 0.75
    assert accuracy["running-batch"] > 0.87


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["model.norm=bath"],
            ["model.norm: 'bath'", "did you mean 'batch'? (one of none, batch, running-batch,"],
        ),
        (["model.norm=instance"], ["model.norm", "one number a row", "write batch, running-batch or layer"]),
        (["model.norm=batch", "model.hidden=[]"], ["no hidden units to normalise; write norm: none"]),
        (
            ["model.name=lenet5", "model.norm=batch"],
            ["lenet5 has no norm; mlp, cnn, resnet and residual-mlp have it"],
        ),
        (
            ["model.norm=layer", "model.hidden=[9, 1]"],
            ["model.norm", "single number, which then becomes 0; write"],
        ),
        (
            ["model.name=cnn", "model.norm=instance", "model.stride=3"],
            ["model.norm", "single number", "write batch, running-batch or none"],
        ),
        (
            ["model.norm=batch", "batch_size=49", "data.train_rows=99"],
            [
                "batch_size",
                "of 99 rows in batches of 49 the last has one row",
                "write 50, or model.norm: running-batch",
            ],
        ),
        (
            ["model.norm=batch", "batch_size=1"],
            ["batch_size", "a batch has one row", "write 2, or model.norm"],
        ),
        (
            ["model.name=cnn", "model.stride=3", "model.norm=batch", "batch_size=7", "data.train_rows=8"],
            ["of 8 rows in batches of 7 the last has one row", "write 8, or"],
        ),
    ],
)
def test_bad_input(mlfound, arguments, words):
    refused_at_once(mlfound(*SAMPLE, "epochs=1", *arguments), *words)


def test_the_other_commands_refuse_it_too(mlfound):
    Path("own.yaml").write_text("model: {norm: batch}\nbatch_size: 1\n")
    sample = ("--no-plots", "data.dataset=mnist-sample")
    refused_at_once(mlfound("lr-find", "own.yaml", *sample), "own.yaml:2: batch_size", "write 2, or")
    refused_at_once(
        mlfound("init-stats", "--model", "own.yaml", "rows=1", *sample), "rows=1: rows", "one row"
    )
    step = (
        "backprop-bench",
        "--workload",
        "step",
        "--dataset",
        "mnist-sample",
        "--model",
        "own.yaml",
        "--no-plots",
    )
    refused_at_once(mlfound(*step), "own.yaml:2: batch_size", "one row")


def test_a_single_last_row_is_enough_where_a_channel_has_several_places(mlfound):
    assert mlfound(*SMALL, "model.norm=batch", "batch_size=33", "data.train_rows=100").code in (0, 1)
    assert (
        mlfound(*SAMPLE, "model.norm=running-batch", "batch_size=33", "data.train_rows=100", "epochs=1").code
        < 2
    )


def test_init_stats_of_a_model_with_norms(mlfound):
    """lsuv keeps its promise to layers with a norm behind them: what the first step left as state does not count."""
    Path("own.yaml").write_text("model: {name: cnn, channels: [4, 6], kernels: [5, 3], norm: batch}\n")
    outcome = mlfound(
        "init-stats",
        "data.dataset=mnist-sample",
        "--no-plots",
        "--model",
        "own.yaml",
        "--draws",
        2,
        "rows=32",
    )
    assert outcome.code == 0, outcome
    rows = {(row["init"], row["layer"]): row for row in outcome.rows("layers")}
    for init in ("kaiming", "lsuv"):
        assert float(rows[init, "3 BatchNorm"]["std"]) == pytest.approx(1, abs=1e-4)
    assert [row["layer"] for row in outcome.rows("model")] == ["2 Conv2d", "5 Conv2d", "9 Linear"]
