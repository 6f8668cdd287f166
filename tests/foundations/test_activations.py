"""Each activation beside torch's, its closed forms beside samples, and the lesson's own numbers."""

import math

import pytest
import torch
from torch.nn import functional

from mlfound.foundations.activations import GELU, Activation, Floor, Identity, ReLU, Tanh
from mlfound.foundations.checks import relative_error
from mlfound.foundations.randomness import generator

SAMPLES = 10**6
TORCH = {
    Identity(): lambda x: x * 1,
    ReLU(): functional.relu,
    ReLU(shift=0.5): lambda x: functional.relu(x) - 0.5,
    Floor(0.5): lambda x: functional.threshold(x, -0.5, -0.5),  # gradient 0 at its corner; clamp's is 1
    ReLU(0.2): lambda x: functional.leaky_relu(x, 0.2),
    ReLU(0.2, 0.4, 0.7): lambda x: (functional.leaky_relu(x, 0.2) - 0.4).clamp(max=0.7),
    Tanh(): torch.tanh,
    GELU(): functional.gelu,
}
ROOT2 = math.sqrt(2)


def distances(activation, mu, sigma, z):
    """How many standard errors mean and std of activation(mu + sigma z) are from their closed forms."""
    sample = activation(mu + sigma * z)
    mean, std, n = sample.mean(), sample.std(), len(z)
    fourth = (sample - mean).pow(4).mean()
    errors = std / math.sqrt(n), ((fourth - std**4) / (4 * std**2 * n)).sqrt()
    wanted = activation.moments(mu, sigma)
    return [abs(got - want) / error for got, want, error in zip((mean, std), wanted, errors, strict=True)]


@pytest.fixture(scope="module")
def z():
    return torch.randn(SAMPLES, dtype=torch.float64, generator=generator(0, "samples"))


def test_the_ladder_is_tested_whole():
    ours = {kind for kind in Activation.__subclasses__() if kind.__module__.startswith("mlfound.")}
    assert {type(activation) for activation in TORCH} == ours


@pytest.mark.parametrize("activation", TORCH, ids=str)
def test_formula_and_gradient_are_torchs_at_the_corners_too(activation):
    x, dout = (torch.randn(5, 7, dtype=torch.float64, generator=generator(n, "test")) for n in range(2))
    x[2], x[3] = 0.0, -0.5
    leaf = x.clone().requires_grad_()
    out = TORCH[activation](leaf)
    assert relative_error(activation(x), out) <= 1e-15
    (wanted,) = torch.autograd.grad(out, leaf, dout)
    assert relative_error(activation.gradient(dout, x), wanted) <= 1e-15


@pytest.mark.parametrize("mu", [0.0, -0.7, 1.3])
@pytest.mark.parametrize("sigma", [0.5, 1.0, ROOT2])
@pytest.mark.parametrize("activation", TORCH, ids=str)
def test_closed_forms_are_within_four_standard_errors_of_samples(activation, mu, sigma, z):
    assert max(distances(activation, mu, sigma, z)) <= 4


def test_the_samples_tell_a_wrong_closed_form(z):
    """Four standard errors of a million samples are less than 5% of a shift."""

    class Wrong(Floor):
        def moments(self, mu, sigma):
            return Floor(self.shift * 1.05).moments(mu, sigma)

    assert max(distances(Wrong(0.5), 0.0, 1.0, z)) > 4


@pytest.mark.parametrize(
    ("activation", "sigma", "mean", "std"),
    [
        (Identity(), 1, 0.0, 1.0),
        (ReLU(), 1, 0.3989, 0.5838),
        (ReLU(), ROOT2, 0.5642, 0.8256),
        (ReLU(shift=0.5), ROOT2, 0.0642, 0.8256),
        (Floor(0.5), ROOT2, 0.3491, 0.9899),
        (Floor(0.5), 1, 0.1978, 0.7439),
    ],
    ids=str,
)
def test_the_lessons_numbers(activation, sigma, mean, std):
    got = [round(value.item(), 4) for value in activation.moments(0.0, sigma)]
    assert got == [mean, std]


def test_the_families_meet():
    mu, sigma = torch.tensor([-2.0, 0.0, 3.0]), torch.tensor([[0.5], [2.0]])
    relu, linear = ReLU().moments(mu, sigma), Identity().moments(mu, sigma)
    assert relu[0].shape == linear[1].shape == (2, 3)
    for one, wanted in [(ReLU(1.0), linear), (ReLU(0.0), relu), (Floor(0.0), relu), (ReLU(shift=0.0), relu)]:
        for got, want in zip(one.moments(mu, sigma), wanted, strict=True):
            assert relative_error(got, want) <= 1e-14


@pytest.mark.parametrize("activation", TORCH, ids=str)
def test_a_signal_that_does_not_vary_gives_its_own_value(activation):
    for mu in (-3.0, 0.0, 3.0):
        mean, std = activation.moments(mu, 0.0)
        assert mean.item() == pytest.approx(activation(torch.tensor(mu)).item(), abs=1e-7)
        assert std.item() <= 1e-13  # by the trapezoidal rule; closed forms give 0


def test_infinities_stay_infinite():
    """A signal that overflows must be seen to: 0 times infinity would be nan. A bounded function gives its bound."""
    for activation, wanted in TORCH.items():
        assert activation(torch.tensor(math.inf)).item() == wanted(torch.tensor(math.inf)).item()
