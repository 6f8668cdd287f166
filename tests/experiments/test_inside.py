"""A look inside: which pictures which network has, and that they are of its own weights and maps."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from mlfound.data import idx
from mlfound.data.load import Split, Splits
from mlfound.data.registry import NAMES
from mlfound.experiments.trained.inside import MAX_LAYERS, MAX_MAPS, evenly, feature_maps, inside
from mlfound.foundations.activations import ReLU
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
    bound,
)
from mlfound.foundations.randomness import generator
from mlfound.training.evaluation import Score
from mlfound.training.inputs import Inputs
from tests.support.stacks import tensors_of

X = torch.randn(5, 63, dtype=torch.float64, generator=generator(0, "x"))
HEAD = [GlobalAveragePool(), Linear(3, 10)]
NETWORK = [
    Unflatten(1, 9, 7),
    Dropout(0.3),
    Conv2d(1, 20, 3),
    ReLU(),
    MaxPool(2, 2),
    Residual(Conv2d(20, 20, 3, padding=1), ReLU()),
    AveragePool(2, 1),
    MaxPool(1, 1),
    Conv2d(20, 3, 1),
    *HEAD,
]


def network(*layers):
    model = Sequential(*layers)
    return bound(model, tensors_of(model))


def pictures(*layers, whose="", kind="confidence", strength=0.5):
    """By name, of the network with these layers, on images of 9 by 7."""
    split = Split(X, torch.tensor([7, 1, 2, 3, 4]))
    inputs = Inputs(
        Splits(split, split, split, (9, 7), 10, "", {}, [f"class {n}" for n in range(10)]),
        torch.full((63,), 0.25, dtype=torch.float64),
        torch.full((63,), 2.0, dtype=torch.float64),
        {},
    )
    score = Score(0.1, 0.9, torch.tensor([4, 1, 2, 3, 4]), torch.full((5,), strength), kind, torch.zeros(5))
    return {picture.name: picture for picture in inside(network(*layers), inputs, score, whose).pictures}


def test_a_network_of_linear_layers_has_the_weights_of_its_first_layer():
    [picture] = pictures(Linear(63, 8), ReLU(), Linear(8, 10)).values()
    assert (picture.name, picture.kind) == ("weights", "weights")
    assert picture.data["weights"].shape == (63, 8)
    assert not pictures(Flatten(), Residual(Linear(63, 63)), Linear(63, 10)).keys() - {"weights"}


def test_a_network_of_convolutions_has_its_filters_and_one_image_on_its_way():
    found = pictures(*NETWORK, whose=", seed 3")
    assert list(found) == ["filters", "feature_maps"]
    filters, maps = (picture.data for picture in found.values())
    [w] = (p for name, p in tensors_of(Sequential(*NETWORK)).items() if name == "3.w")
    for n in range(20):
        assert torch.equal(filters["weights"][:, n].view(filters["shape"]), w[n, 0])
    assert (filters["title"], filters["of"]) == ("First-layer filters, seed 3", "channel")
    assert (
        maps["title"]
        == "The first test image through the network, seed 3: class 7, predicted class 4 (50.0%)"
    )
    torch.testing.assert_close(maps["image"], X[0].view(9, 7) * 2 + 0.25)
    assert maps["channels"] == [20, 20, 20, 20, 20, 3]
    assert [len(each) for each in maps["maps"]] == [MAX_MAPS] * 5 + [3]
    assert all(each.is_contiguous() for each in maps["maps"]), "no view of something larger"


@pytest.mark.parametrize(
    ("kind", "strength", "says"),
    [("confidence", 0.99951, ">99.9%"), ("confidence", 0.9989, "99.9%"), ("predicted_value", 4.236, "4.24")],
)
def test_how_sure_a_prediction_is(kind, strength, says):
    title = pictures(*NETWORK, kind=kind, strength=strength)["feature_maps"].data["title"]
    assert title.endswith(f"class 7, predicted class 4 ({says})")


def test_the_maps_are_what_comes_out_of_the_layers_after_their_activations():
    found = feature_maps(network(*NETWORK), X[:1])
    ends = {
        "convolution 1": 4,
        "max pooling 1": 5,
        "block 1": 6,
        "average pooling 1": 7,
        "max pooling 2": 8,
        "convolution 2": 9,
    }
    assert [name for name, _ in found] == list(ends)
    tensors = tensors_of(Sequential(*NETWORK))
    for name, maps in found:
        until = Sequential(*NETWORK[: ends[name]])
        own = {tensor: tensors[tensor] for tensor in until.parameters}
        assert torch.equal(maps, bound(until, own)(X[:1])[0]), name


def test_without_convolutions_there_are_no_maps():
    assert feature_maps(network(Unflatten(1, 9, 7), MaxPool(2, 2), Flatten(), Linear(12, 10)), X[:1]) == []


def test_of_a_deep_network_some_layers_are_shown_from_the_first_to_the_last():
    deep = [Conv2d(1, 3, 1), *(layer for _ in range(30) for layer in (ReLU(), Conv2d(3, 3, 1)))]
    layers = pictures(Unflatten(1, 9, 7), *deep, *HEAD)["feature_maps"].data["layers"]
    assert len(layers) == MAX_LAYERS
    assert (layers[0], layers[-1]) == ("convolution 1", "convolution 31")


@pytest.mark.parametrize("count", [1, 8, 16, 17, 32, 100, 10_000])
def test_evenly_chosen(count):
    chosen = evenly(range(count), 16)
    steps = {b - a for a, b in pairwise(chosen)}
    assert len(chosen) == min(count, 16)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert max(steps, default=0) - min(steps, default=0) <= 1


@pytest.mark.parametrize("name", ["cnn", "lenet5"])
def test_images_that_are_not_square_from_the_folder_to_the_pictures(mlfound, name):
    folder = Path("own")
    folder.mkdir()
    images = torch.randint(0, 256, (150, 13, 18), generator=generator(0, "images"))
    labels = torch.arange(150) % 4
    for file, tensor in zip(NAMES, (images[:120], labels[:120], images[120:], labels[120:]), strict=True):
        (folder / file).write_bytes(idx.encode(tensor.to(torch.uint8)))
    own = ("data.dataset=own/", f"model.name={name}", "model.outputs=4", "model.init=lsuv")
    outcome = mlfound("train", *own, "epochs=1", "batch_size=10", "optimizer.lr=0.01")
    assert outcome.code in (0, 1), outcome  # there is nothing to learn
    shown = outcome.json("summary.json")["pictures"]
    assert "5 by 5 weights for each channel" in shown["filters"]
    first = {"cnn": "convolution 1 (8 of 7 by 9)", "lenet5": "convolution 1 (6 of 13 by 18)"}
    assert first[name] in shown["feature_maps"]
    for picture in ("filters", "feature_maps"):
        assert (outcome.path / "plots" / f"{picture}.png").stat().st_size > 5000
