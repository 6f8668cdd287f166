"""Normalisation: each rung against float64, fitted on the training rows alone."""

import math
from pathlib import Path

import pytest
import torch

from mlfound.data.load import Split, Splits, load
from mlfound.data.normalize import NORMALIZATIONS, normalized
from mlfound.data.registry import DATASETS


@pytest.fixture(scope="module")
def splits():
    return load(DATASETS["mnist-sample"], Path("nowhere"))


AXES = {"global": None, "pixel": 0}


@pytest.mark.parametrize(("how", "axis"), AXES.items(), ids=AXES)
def test_mean_and_std_are_those_of_the_training_rows(splits, how, axis):
    _, mean, std = normalized(splits, how)
    x = splits.train.x.double()
    wanted_mean, wanted_std = x.mean(axis), x.std(axis, correction=0)
    wanted_std = torch.where(wanted_std > 0, wanted_std, 1.0)
    assert mean.dtype == std.dtype == torch.float32
    torch.testing.assert_close(mean.double(), wanted_mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(std.double(), wanted_std, rtol=1e-6, atol=0)


@pytest.mark.parametrize("how", AXES)
def test_mean_and_std_are_exact_but_for_their_rounding(splits, how):
    """By whole numbers of Python, which have no largest."""
    few = splits.first(500)
    pixels = (few.train.x * 256).long()
    columns = (pixels if how == "pixel" else pixels.view(-1, 1)).T.tolist()
    sums = [(len(ks), sum(ks), sum(k * k for k in ks)) for ks in columns]
    stds = [math.sqrt(n * squares - total**2) / (256 * n) for n, total, squares in sums]
    _, mean, std = normalized(few, how)
    assert mean.view(-1).tolist() == torch.tensor([total / (256 * n) for n, total, _ in sums]).tolist()
    assert std.view(-1).tolist() == torch.tensor([each or 1.0 for each in stds]).tolist()


@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_every_split_is_shifted_and_scaled_alike_and_the_given_ones_stay(splits, how):
    before = splits.train.x.clone()
    after, mean, std = normalized(splits, how)
    for name in ("train", "valid", "test"):
        ours, theirs = getattr(after, name), getattr(splits, name)
        torch.testing.assert_close(ours.x, (theirs.x - mean) / std)
        assert ours.y is theirs.y
    assert torch.equal(splits.train.x, before)
    assert (after.shape, after.classes, after.digest) == (splits.shape, splits.classes, splits.digest)


def test_global_gives_mean_0_and_std_1_and_pixel_gives_it_for_each(splits):
    x = normalized(splits, "global")[0].train.x.double()
    assert abs(x.mean().item()) < 1e-6
    assert x.std().item() == pytest.approx(1, abs=1e-6)
    x = normalized(splits, "pixel")[0].train.x.double()
    changes = splits.train.x.std(0) > 0
    assert 500 < changes.sum() < 784
    assert x.mean(0).abs().max() < 1e-5
    assert torch.allclose(x.std(0, correction=0)[changes], torch.ones(()).double(), atol=1e-5)
    assert torch.all(x[:, ~changes] == 0)


def test_none_leaves_the_numbers_as_they_are(splits):
    after, mean, std = normalized(splits, "none")
    assert (mean, std) == (0, 1)
    assert torch.equal(after.test.x, splits.test.x)


@pytest.mark.parametrize("how", ["global", "pixel"])
@pytest.mark.parametrize("rows", [1, 7, 70_001])
def test_pixels_that_never_change_are_not_blown_up(how, rows):
    """253/256 many times: a float32 sum would round, and the std be a tiny number instead of 0."""
    same = Split(torch.full((rows, 2), 253 / 256), torch.zeros(rows, dtype=torch.int64))
    after, mean, std = normalized(Splits(same, same, same, (1, 2), 1, "", {}, ["one"]), how)
    assert torch.all(std == 1)
    assert torch.all(mean == 253 / 256)
    assert torch.all(after.train.x == 0)
