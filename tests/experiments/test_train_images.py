"""Networks that see images: trained in every engine, resumed, loaded back; and what they refuse."""

from pathlib import Path

import pytest
import torch

import mlfound as package
from mlfound import hardware
from mlfound.data import idx
from mlfound.data.load import load
from mlfound.data.registry import DATASETS, NAMES
from tests.support.commands import refused, refused_at_once

QUICK = ("train", "--no-plots", "data.dataset=mnist-sample", "epochs=2", "optimizer.lr=0.05", "threads=1")
MODELS = ("cnn", "lenet5")


def losses(outcome):
    assert outcome.code == 0, outcome
    return [float(row["test_loss"]) for row in outcome.rows("seeds")]


@pytest.mark.parametrize("model", ["cnn", pytest.param("lenet5", marks=pytest.mark.slow)])
def test_it_learns_the_same_in_every_engine(mlfound, model):
    """But for rounding, which decides at ReLU's corner and among equal pixels of a pool: up to 2% of the loss."""
    readable, fast = (mlfound(*QUICK, f"model.name={model}", f"engine={e}") for e in ("modules", "buffers"))
    assert losses(fast) == pytest.approx(losses(readable), rel=0.05)
    assert fast.json("summary.json")["metrics"]["test_accuracy"] > 0.75
    assert (
        fast.json("run.json")["network"]
        == {
            "cnn": "cnn 8-16-32-32-10",
            "lenet5": "lenet5 6-16-120-84-10",
        }[model]
    )


def test_replicates_on_processes_are_the_networks_that_they_are_alone(mlfound):
    options = (*QUICK, "model.name=cnn", "epochs=1")
    together = mlfound(*options, "threads=auto", "replicates=3", "seed=4")
    alone = [mlfound(*options, f"seed={seed}") for seed in (4, 5, 6)]
    if hardware.cores() > 1:
        assert together.json("run.json")["processes"] > 1
    assert losses(together) == [loss for outcome in alone for loss in losses(outcome)]


@pytest.mark.parametrize(("head", "network"), [("[]", "cnn 5-50-10"), ("[20]", "cnn 5-50-20-10")])
def test_linear_layers_may_see_all_places(mlfound, head, network):
    sizes = "model.channels=[5, 50]", "model.kernels=[5, 5]", "model.padding=0", "model.norm=batch"
    outcome = mlfound(*QUICK, "model.name=cnn", *sizes, f"model.head={head}")
    assert losses(outcome)[0] < 0.5
    assert outcome.json("run.json")["network"] == network
    named = package.load_model(outcome.path)[0].parameters
    [first] = [p for p in named.values() if p.shape[0] == 50 * 4 * 4]  # 28, 12, 4 pixels
    assert first.shape[1] in (10, 20)


@pytest.mark.parametrize("init", ["kaiming"])
def test_it_goes_on_from_a_checkpoint_to_the_same_bits(mlfound, init):
    options = (*QUICK, "model.name=cnn", f"model.init={init}", "schedule=constant")
    whole = mlfound(*options, "epochs=3")
    short = mlfound(*options, "--name", "short")
    further = mlfound("train", "--no-plots", "--resume", short.path, "epochs=3")
    assert further.code == 0, further
    assert losses(further) == losses(whole)


@pytest.mark.parametrize("model", MODELS)
def test_the_model_is_loaded_back(mlfound, model, tmp_path):
    outcome = mlfound(*QUICK, f"model.name={model}", "epochs=1")
    network, mean, std = package.load_model(outcome.path)
    test = load(DATASETS["mnist-sample"], tmp_path).test
    accuracy = (network((test.x - mean) / std).argmax(1) == test.y).double().mean().item()
    assert accuracy == pytest.approx(outcome.json("summary.json")["metrics"]["test_accuracy"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["model.kernels=[5,3,9,3]", "model.padding=0"],
            ["model.name", "28 x 28", "layer 6, Conv2d: a window of 9 x 9 is larger than 5 x 5", "write"],
        ),
        (["model.kernels=[5, 3]"], ["model.kernels", "4 layers have 2 kernels; write one for each"]),
        (["model.channels=[]", "model.kernels=[]"], ["model.channels", "1 to 100 layers"]),
        (["model.stride=0"], ["model.stride", "from 1"]),
        (["model.padding=-1"], ["model.padding", "from 0"]),
        (["model.padding=3"], ["model.padding", "kernels of 3", "nothing but zeros", "write 2 or less"]),
        (["model.head=[0]"], ["model.head", "null, or a list"]),
        (["model.hidden=[30]"], ["cnn has no hidden; mlp has it"]),
        (["model.channels=[10000, 10000]", "model.kernels=[99, 99]"], ["model.channels", "GB", "write less"]),
        (["replicates=100000"], ["replicates", "GB", "write less"]),
        (["model.activation=gelu", "model.ceiling=6"], ["model.ceiling", "relu, leaky and floor"]),
    ],
)
def test_what_a_cnn_refuses(mlfound, options, words):
    refused_at_once(mlfound(*QUICK, "model.name=cnn", *options), *words)


@pytest.mark.parametrize(
    ("model", "size", "words"),
    [
        (
            "lenet5",
            (9, 12),
            ["9 x 12", "layer 5, Conv2d: a window of 5 x 5 is larger than 4 x 6; write model.name: mlp"],
        ),
        ("lenet5", (1, 12), ["1 x 12", "a row of 12 numbers is no image"]),
        ("cnn", (12, 1), ["12 x 1", "a row of 12 numbers is no image"]),
        ("cnn", (5, 9), []),
        ("lenet5", (12, 17), []),
    ],
)
def test_images_of_other_sizes(mlfound, model, size, words):
    """Of one's own, not square; too small for a model; none at all."""
    own_images(Path("own"), size)
    outcome = mlfound(
        "train", "--no-plots", "data.dataset=./own", f"model.name={model}", "model.outputs=3", "epochs=1",
        "batch_size=8",
    )  # fmt: skip
    if words:
        refused_at_once(outcome, "model.name", *words)
    else:
        assert outcome.code in (0, 1), outcome  # noise: nothing can be learned from it
        assert outcome.json("run.json")["network"].startswith(model)


def test_a_step_is_timed_on_images_of_ones_own_size(mlfound):
    """A kernel that MNIST has no room for; and one that these have not names its line."""
    own_images(Path("own"), (40, 36))
    step = ("backprop-bench", "--workload", "step", "--dataset", "./own", "--budget", 0.01, "--no-plots")
    for kernel in (31, 37):
        section = f"model:\n  name: cnn\n  channels: [2]\n  kernels: [{kernel}]\n  padding: 0\n  outputs: 3\n"
        Path("own.yaml").write_text(f"{section}batch_size: 5\n")
        outcome = mlfound(*step, "--model", "own.yaml", "--impl", "modules", "--impl", "buffers")
        if kernel == 31:
            assert outcome.code == 0, outcome
        else:
            refused(outcome, "own.yaml:2: model.name: cnn cannot take 40 x 36 images", "37 x 37")


def own_images(folder, size):
    """Four files of noise as `data.dataset` takes them."""
    folder.mkdir()
    draws = torch.Generator().manual_seed(0)
    for name in NAMES:
        shape = (60, *size) if "images" in name else (60,)
        high = 256 if "images" in name else 3
        content = torch.randint(0, high, shape, generator=draws, dtype=torch.uint8)
        (folder / name).write_bytes(bytes(idx.encode(content)))
