"""One layer on rows that are short, long and alike: theory beside draws."""

import math

import pytest
import torch

from mlfound.foundations.activations import Floor, Identity, ReLU
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.randomness import generator
from mlfound.foundations.theory import pooled_moments, scatter_of_means

DRAWS, UNITS = 4000, 3


@pytest.fixture(scope="module")
def x():
    """30 rows of 40 with a common part, of lengths from 0 to 12, correlated along their columns."""
    g = generator(0, "rows")
    noise = torch.randn(30, 40, dtype=torch.float64, generator=g).cumsum(1) / 4
    common = torch.randn(40, dtype=torch.float64, generator=g)
    return (noise + common) * torch.linspace(0, 1.5, 30, dtype=torch.float64)[:, None]


def outputs(name, activation, x):
    w = INITIALIZATIONS[name]((40, UNITS), generator(0, "weights"), DRAWS).double()
    return activation(x @ w)


@pytest.mark.parametrize("activation", [Identity(), ReLU(), ReLU(shift=0.5), Floor(0.5), ReLU(0.2)], ids=str)
@pytest.mark.parametrize("name", ["kaiming", "torch-default"])
def test_the_pool_of_all_draws_has_these_moments(name, activation, x):
    v = INITIALIZATIONS[name].std((40, UNITS)) ** 2
    mean, std = pooled_moments(activation, x.square().sum(1), v)
    sample = outputs(name, activation, x).flatten(1)
    # uniform weights: the central limit theorem, good to a percent with 40 terms
    slack = 0.01 * std if name == "torch-default" else 0.0
    for power, want in ((1, mean), (2, mean**2 + std**2)):
        means = sample.pow(power).mean(1)
        error = means.std().item() / math.sqrt(DRAWS)
        assert abs(means.mean().item() - want) <= 4 * error + slack * want, power


@pytest.mark.parametrize(
    ("activation", "a"), [(Identity(), 1.0), (ReLU(), 0.0), (ReLU(shift=0.5), 0.0), (ReLU(0.2), 0.2)], ids=str
)
def test_a_single_draw_scatters_this_much(activation, a, x):
    v = INITIALIZATIONS["kaiming"].std((40, UNITS)) ** 2
    means = outputs("kaiming", activation, x).flatten(1).mean(1)
    deviations = (means - means.mean()).square()
    error = deviations.std().item() / math.sqrt(DRAWS)
    assert abs(deviations.mean().item() - scatter_of_means(x, v, UNITS, a) ** 2) <= 4 * error


def test_rows_in_parts_are_rows_at_once(x, monkeypatch):
    whole = scatter_of_means(x, 0.1, UNITS)
    monkeypatch.setattr("mlfound.foundations.theory.PAIRED_ROWS", 7)
    assert scatter_of_means(x, 0.1, UNITS) == pytest.approx(whole, rel=1e-12)


def test_more_equal_rows_tell_nothing_new_and_rows_at_right_angles_do():
    eye = torch.eye(16)
    alone = scatter_of_means(eye[:1], 1.0, UNITS)
    assert alone == pytest.approx(math.sqrt(0.5 - 0.5 / math.pi) / math.sqrt(UNITS), rel=1e-12)
    assert scatter_of_means(eye[:1].expand(16, 16), 1.0, UNITS) == pytest.approx(alone, rel=1e-6)
    assert scatter_of_means(eye, 1.0, UNITS) == pytest.approx(alone / 4, rel=1e-12)
