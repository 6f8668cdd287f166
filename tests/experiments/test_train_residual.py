"""Networks of residual blocks: trained in every engine, resumed, loaded back, by fixup without norms; refusals."""

from pathlib import Path

import pytest

import mlfound as package
from mlfound.data.load import load
from mlfound.data.registry import DATASETS
from tests.support.commands import refused, refused_at_once

SAMPLE = ("train", "--no-plots", "data.dataset=mnist-sample", "threads=1")
RESNET = ("model.name=resnet", "model.stem=4", "model.stem_stride=3", "model.stages=[4, 8]")
DEEP = ("model.name=residual-mlp", "model.width=16", "model.blocks=20")
KINDS = {
    "resnet": (*RESNET, "epochs=8"),
    "resnet, fixup": (*RESNET, "model.norm=none", "model.init=fixup", "epochs=8"),
    "residual-mlp": (*DEEP, "epochs=2"),
    "residual-mlp, batch": (*DEEP, "model.norm=batch", "model.init=kaiming", "epochs=2"),
}


def losses(outcome):
    assert outcome.code == 0, outcome
    return [float(row["test_loss"]) for row in outcome.rows("seeds")]


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind != "residual-mlp"]


@pytest.mark.parametrize("kind", ["residual-mlp", *SLOW])
def test_it_learns_the_same_in_every_engine(mlfound, kind):
    """But for rounding, which decides at ReLU's corner."""
    readable, fast = (mlfound(*SAMPLE, *KINDS[kind], f"engine={engine}") for engine in ("modules", "auto"))
    assert losses(fast) == pytest.approx(losses(readable), rel=0.05)
    assert fast.json("summary.json")["metrics"]["test_accuracy"] > 0.75
    network = {"resnet": "resnet 4-4-8-10", "residual-mlp": "residual-mlp 21x16-10"}
    assert fast.json("run.json")["network"] == network[kind.partition(",")[0]]


@pytest.mark.slow
def test_it_goes_on_from_a_checkpoint_to_the_same_bits_in_several_networks(mlfound):
    options = (*SAMPLE, *RESNET, "replicates=2", "schedule=constant")
    whole = mlfound(*options, "epochs=2")
    short = mlfound(*options, "epochs=1", "--name", "short")
    further = mlfound("train", "--no-plots", "--resume", short.path, "epochs=2")
    assert losses(further) == losses(whole)


def test_the_model_is_loaded_back(mlfound, tmp_path):
    outcome = mlfound(*SAMPLE, *RESNET, "epochs=1")
    network, mean, std = package.load_model(outcome.path)
    test = load(DATASETS["mnist-sample"], tmp_path).test
    accuracy = (network((test.x - mean) / std).argmax(1) == test.y).double().mean().item()
    assert accuracy == pytest.approx(outcome.json("summary.json")["metrics"]["test_accuracy"])


@pytest.mark.slow
def test_a_thousand_layers_learn_by_fixup_and_not_by_kaiming(mlfound):
    """Zhang et al. 2019: without a norm a plain initialisation doubles the signal with every block."""
    deep = ("model.name=residual-mlp", "model.width=8", "model.blocks=500", "optimizer.lr=0.02")
    short = (*SAMPLE, *deep, "epochs=1", "data.train_rows=320")
    by_fixup, by_kaiming = (mlfound(*short, f"model.init={init}") for init in ("fixup", "kaiming"))
    assert by_kaiming.json("run.json")["status"] == "diverged"
    assert by_fixup.code in (0, 1)
    assert by_fixup.json("summary.json")["metrics"]["train_loss"] < 2.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            [*RESNET[:3], "model.stages=[4, 4, 4, 4, 4, 4]"],
            [
                "model.name",
                "28 x 28",
                "AveragePool: a window of 2 x 2 is larger than 1 x 1",
                "write fewer stages",
            ],
        ),
        (["model.name=resnet", "model.stages=[]"], ["model.stages", "1 to 20 stages", "as in [16, 32]"]),
        (["model.name=resnet", "model.kernel=4"], ["model.kernel", "write an odd size from 1 to 11"]),
        (["model.name=resnet", "model.stages=[10000]"], ["model.stages", "GB", "write less"]),
        (
            ["model.init=fixup"],
            ["model.init", "residual blocks, of which this model has none", "write kaiming"],
        ),
        (["model.name=cnn", "model.init=fixup"], ["model.init", "write kaiming, or model.name: resnet"]),
        (["model.name=resnet", "model.init=fixup"], ["model.init", "without norms; write model.norm: none"]),
        (["model.name=residual-mlp", "model.norm=batch"], ["model.init", "or model.init: kaiming"]),
        (
            ["model.name=residual-mlp", "model.norm=instance", "model.init=kaiming"],
            ["model.norm", "write batch, running-batch or layer"],
        ),
    ],
)
def test_bad_input(mlfound, arguments, words):
    refused_at_once(mlfound(*SAMPLE, "epochs=1", *arguments), *words)


def test_init_stats_takes_fixup_where_there_are_residual_blocks(mlfound):
    Path("own.yaml").write_text("model: {name: residual-mlp, width: 8, blocks: 3}\n")
    Path("cnn.yaml").write_text("model: {name: cnn}\n")
    few = ("init-stats", "--no-plots", "data.dataset=mnist-sample", "--draws", 2)
    outcome = mlfound(*few, "--model", "own.yaml", "rows=32")
    assert outcome.code == 0, outcome
    assert {row["init"] for row in outcome.rows("draws")} >= {"fixup", "torch-default", "lsuv"}
    refused(mlfound(*few, "--model", "cnn.yaml", "--init", "fixup"), "init", "residual blocks, of which")
