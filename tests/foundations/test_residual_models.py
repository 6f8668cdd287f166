"""Models of residual blocks: their layers by shape, what a block gives at first, and fixup by the paper's rule."""

from itertools import pairwise, product

import pytest
import torch

from mlfound.config.networks import ResidualMLPConfig, ResNetConfig
from mlfound.foundations.initialization import INITIALIZATIONS, kaiming
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    GlobalAveragePool,
    Linear,
    Residual,
    bound,
    leaves,
)
from mlfound.foundations.model_initialization import fixup, initial
from mlfound.foundations.models import MODELS
from mlfound.foundations.norms import NORMS, Norm
from mlfound.foundations.randomness import generator

IMAGE = 13, 12  # not square, and odd: the means leave a row out


def made(config):
    return MODELS[config.name](config.model_dump(), IMAGE)


def resnet(**keys):
    return made(ResNetConfig(**{"stem": 4, "stages": (4, 6), "blocks": 2, "norm": "none", **keys}))


def deep(**keys):
    return made(ResidualMLPConfig(**{"width": 7, "blocks": 5, **keys}))


def outputs(model, tensors, rows=3):
    """What comes out of the layers, one by one."""
    x, found = torch.randn(rows, 156, generator=generator(0, "x")), []
    for layer in bound(model, tensors).layers:
        x = layer(x)
        found.append(x)
    return found


def test_a_stage_after_the_first_halves_the_image_and_its_first_block_has_a_projection():
    model = resnet()
    tensors = initial(model, INITIALIZATIONS["kaiming"], generator(0, "w"))
    shapes = [tuple(out.shape[1:]) for out in outputs(model, tensors)]
    large, small = (4, 13, 12), (6, 6, 6)
    stem, first, second = [(1, 13, 12), large, large], [large] * 4, [(4, 6, 6), *[small] * 4]
    assert shapes == [*stem, *first, *second, (6,), (10,)]
    blocks = [layer for layer in model.layers if isinstance(layer, Residual)]
    assert [[type(leaf) for leaf in leaves(block.layers[1])] for block in blocks] == [[], [], [Conv2d], []]
    assert [type(layer) for layer in model.layers if isinstance(layer, AveragePool | GlobalAveragePool)] == [
        AveragePool, GlobalAveragePool,
    ]  # fmt: skip
    assert model.parameters["4.1.1.w"].shape == (4, 4, 3, 3)
    assert model.parameters["9.2.1.w"].shape == (6, 4, 1, 1)


@pytest.mark.parametrize(
    ("make", "norm"), [*product([resnet], NORMS), *product([deep], sorted(NORMS.keys() - {"instance"}))]
)
def test_before_a_norm_no_layer_has_a_bias_and_the_last_scale_of_a_block_starts_at_0(make, norm):
    model = make(norm=norm, init="kaiming")
    layers = [*leaves(model)]
    pairs = [(layer, after) for layer, after in pairwise(layers) if isinstance(after, Norm)]
    assert len(pairs) == sum(isinstance(layer, Conv2d | Linear) for layer in layers) - 1
    assert all("b" not in layer.parameters for layer, _ in pairs)
    for block in (layer for layer in model.layers if isinstance(layer, Residual)):
        *inner, last = [leaf for each in block.layers[:1] for leaf in leaves(each) if isinstance(leaf, Norm)]
        of_shortcut = [leaf for leaf in leaves(block.layers[1]) if isinstance(leaf, Norm)]
        assert last.parameters["scale"].start == 0.0
        assert all(each.parameters["scale"].start == 1.0 for each in (*inner, *of_shortcut))


def passes_through(model, tensors):
    """Whether at first every block without a projection gives what comes in."""
    out = outputs(model, tensors)
    blocks = [
        n
        for n, layer in enumerate(model.layers)
        if isinstance(layer, Residual) and not [*leaves(layer.layers[1])]
    ]
    assert blocks
    return all(torch.equal(out[n], out[n - 1]) for n in blocks)


@pytest.mark.parametrize(
    "model", [resnet(norm="batch"), deep(norm="batch", init="kaiming"), resnet(), deep()]
)
def test_at_first_a_block_gives_what_comes_in(model):
    has_norms = any(isinstance(leaf, Norm) for leaf in leaves(model))
    kaiming = initial(model, INITIALIZATIONS["kaiming"], generator(0, "w"))
    assert passes_through(model, kaiming) == has_norms, "without norms it takes fixup"
    assert has_norms or passes_through(model, fixup(model, generator(0, "w")))


@pytest.mark.parametrize("model", [resnet(), deep()])
def test_fixup_is_the_papers_rule(model):
    """Zhang et al. 2019, section 3: with m = 2 layers in L branches L^(-1/2) times the first, the last 0."""
    drawn, fixed = (
        initial(model, INITIALIZATIONS["kaiming"], generator(0, "w")),
        fixup(model, generator(0, "w")),
    )
    names = [name for name in drawn if name.endswith("w")]
    branches = [name for name in names if name.count(".") == 3 and name.split(".")[1] == "1"]
    blocks = len(branches) // 2
    assert blocks == sum(isinstance(layer, Residual) for layer in model.layers)
    for name in names:
        of_first, of_last = name in branches[::2], name in branches[1::2] or name == names[-1]
        factor = 0.0 if of_last else blocks**-0.5 if of_first else 1.0
        torch.testing.assert_close(fixed[name], drawn[name] * factor, rtol=1e-6, atol=0)
    assert all(not fixed[name].any() for name in fixed if name.endswith("b"))


def test_each_stage_of_the_default_has_the_std_that_its_fans_give():
    model = made(ResNetConfig(stages=(16, 64)))
    w = initial(model, INITIALIZATIONS["kaiming"], generator(0, "w"))["8.1.4.w"]
    assert w.std().item() == pytest.approx(kaiming((64, 64, 3, 3)), rel=0.01)
