"""Every scheme beside torch.nn.init: the same moments, the same shape of distribution, the right fan."""

import math

import pytest
import torch
from torch.nn import init

from mlfound.foundations.checks import relative_error
from mlfound.foundations.initialization import (
    INITIALIZATIONS,
    fans,
    gain,
    gram_schmidt_,
    kaiming,
    mlp_parameters,
    standard_normal,
    torch_default,
    uniform,
)
from mlfound.foundations.randomness import generator

DRAWS = 300
LINEAR, WIDENING, KERNELS = (37, 11), (5, 24), (8, 3, 5, 3)
TORCH = {
    "normal": lambda w, g: init.normal_(w, generator=g),
    "small": lambda w, g: init.normal_(w, std=0.01, generator=g),
    "xavier": lambda w, g: init.kaiming_normal_(w, nonlinearity="linear", generator=g),
    "glorot-normal": lambda w, g: init.xavier_normal_(w, generator=g),
    "glorot-uniform": lambda w, g: init.xavier_uniform_(w, generator=g),
    "kaiming": lambda w, g: init.kaiming_normal_(w, nonlinearity="relu", generator=g),
    "kaiming-uniform": lambda w, g: init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "kaiming-fan-out": lambda w, g: init.kaiming_normal_(w, mode="fan_out", generator=g),
    "torch-default": lambda w, g: init.kaiming_uniform_(w, a=math.sqrt(5), generator=g),
    "orthogonal": lambda w, g: init.orthogonal_(w, generator=g),
}


def torchs_shape(shape):
    """torch stores a linear weight as (out, in)."""
    return shape[::-1] if len(shape) == 2 else shape


def moment(weights, power):
    """The mean of weight^power and its standard error, from the spread of the draws' own means."""
    means = weights.double().pow(power).flatten(1).mean(1)
    return means.mean().item(), means.std().item() / math.sqrt(len(means))


def test_every_scheme_has_its_counterpart():
    assert set(INITIALIZATIONS) == set(TORCH)


@pytest.mark.parametrize("shape", [LINEAR, WIDENING, KERNELS])
@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_moments_are_torchs_within_the_sampling_interval(name, shape):
    ours = INITIALIZATIONS[name](shape, generator(0, "ours"), DRAWS)
    draws = generator(0, "theirs")
    theirs = torch.stack([TORCH[name](torch.empty(torchs_shape(shape)), draws) for _ in range(DRAWS)])
    assert ours.shape == (DRAWS, *shape)
    for power in (1, 2, 4):  # the fourth tells a uniform from a Gaussian of the same std
        (got, error), (want, other_error) = moment(ours, power), moment(theirs, power)
        assert abs(got - want) <= 4 * math.hypot(error, other_error) + 1e-7, (power, got, want)


@pytest.mark.parametrize("shape", [LINEAR, WIDENING, KERNELS])
@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_the_std_in_theory_is_that_of_the_draws(name, shape):
    scheme = INITIALIZATIONS[name]
    square, error = moment(scheme(shape, generator(1, "ours"), DRAWS), 2)
    want = scheme.std(shape) ** 2
    assert abs(square - want) <= 4 * error + 1e-6 * want


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_draws_are_independent_and_each_has_the_std(name):
    scheme = INITIALIZATIONS[name]
    w = scheme((784, 50), generator(0, "draws"), 5).flatten(1).double() / scheme.std((784, 50))
    n = w.shape[1]
    spread = w.square().mean(1) - 1
    assert spread.abs().max() <= 5 * math.sqrt(2 / n)
    correlations = w @ w.T / n - torch.eye(5)
    assert correlations.fill_diagonal_(0).abs().max() <= 5 / math.sqrt(n)


@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_one_draw_repeats_by_seed_is_float32_and_lies_in_one_piece(name):
    one, again, other = (INITIALIZATIONS[name](LINEAR, generator(seed, "test")) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == LINEAR
    assert one.dtype == torch.float32
    assert one.is_contiguous()  # as the file format of saved models wants it


@pytest.mark.parametrize("shape", [(16,), (784, 50), (3, 100, 8, 2)])
def test_normal_numbers_are_torchs_but_for_rounding(shape):
    """torch rounds an angle of up to 2 pi to float32, and may be off by a bit or two more; a radius is below 5.8."""
    ours, theirs = (
        standard_normal(shape, generator(0, "test")),
        torch.randn(shape, generator=generator(0, "test")),
    )
    assert (ours - theirs).abs().max() <= 5.8 * 2**-20
    assert ours.dtype == torch.float32


@pytest.mark.parametrize("count", [0, 1, 15, 17, 500])
def test_any_count_of_normal_numbers(count):
    more = standard_normal((512,), generator(0, "test"))
    assert torch.equal(standard_normal((count,), generator(0, "test")), more[:count])


def test_no_library_can_round_a_normal_number_otherwise():
    """All 2^24 uniform numbers: a float64 has 29 bits more than a float32, which changes where they are 2^28."""
    for first in range(0, 2**24, 2**20):
        u = torch.arange(first, first + 2**20).double() / 2**24
        radius, angle = (1 - u).log().mul(-2).sqrt(), u * (2 * math.pi)
        for values in (radius, angle.cos(), angle.sin()):
            beyond = values.view(torch.int64) % 2**29
            assert (beyond - 2**28).abs().min() >= 11


def test_fan_in_is_the_first_axis_and_torch_must_be_told():
    """The lesson's trap: torch reads an array (784, 50) as 784 outputs of 50 inputs."""
    draws = generator(0, "trap")
    w = torch.empty(784, 50)
    se = 1 / math.sqrt(2 * w.numel())  # of a sampled std, relative
    wanted = INITIALIZATIONS["kaiming"].std((784, 50))
    assert wanted == pytest.approx(math.sqrt(2 / 784), rel=1e-15)
    assert init.kaiming_normal_(w, mode="fan_out", generator=draws).std().item() == pytest.approx(
        wanted, rel=4 * se
    )
    assert init.kaiming_normal_(w, mode="fan_in", generator=draws).std().item() == pytest.approx(
        math.sqrt(2 / 50), rel=4 * se
    )


@pytest.mark.parametrize("shape", [(784, 50), (8, 3, 5, 5), (1, 32, 3, 3), (4, 2, 1, 3)])
def test_fans_are_torchs(shape):
    assert fans(shape) == init._calculate_fan_in_and_fan_out(torch.empty(torchs_shape(shape)))


@pytest.mark.parametrize("a", [0.0, 0.01, 1.0, math.sqrt(5)])
def test_gain_is_torchs(a):
    assert gain(a) == pytest.approx(init.calculate_gain("leaky_relu", a), rel=1e-15)
    assert kaiming((784, 50), a) == pytest.approx(gain(a) / 28, rel=1e-15)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [((784, 50), torch.nn.Linear(784, 50)), ((32, 8, 5, 5), torch.nn.Conv2d(8, 32, 5))],
    ids=["linear", "convolution"],
)
def test_torchs_own_layers_are_uniform_within_one_over_the_root_of_fan_in(shape, layer):
    """sqrt(5) in one line: gain 1/sqrt(3), and a uniform's bound is sqrt(3) times its std. Biases too."""
    bound = 1 / math.sqrt(fans(shape)[0])
    assert math.sqrt(3) * torch_default(shape) == pytest.approx(bound, rel=1e-14)
    w = INITIALIZATIONS["torch-default"](shape, generator(0, "test"))
    for weights in (layer.weight.detach(), w):
        assert 0.99 * bound <= weights.abs().max() <= bound * (1 + 1e-6)
    assert w.std().item() == pytest.approx(layer.weight.std().item(), rel=0.03)
    ours = uniform((5000,), torch_default(shape), generator(0, "bias"))
    assert 0.99 * bound <= ours.abs().max() <= bound * (1 + 1e-6)
    assert layer.bias.abs().max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(
    "shape", [(784, 50), (50, 784), (64, 64), (1, 7), (1, 1), (8, 3, 5, 3), (64, 3, 3, 3)]
)
def test_orthogonal_is_orthonormal_along_its_shorter_side(shape):
    w = INITIALIZATIONS["orthogonal"](shape, generator(0, "test"), 20).flatten(2).double()
    rows, columns = w.shape[1:]
    product = w @ w.mT if rows <= columns else w.mT @ w
    eye = torch.eye(min(rows, columns), dtype=torch.float64)
    assert (product - eye).abs().max() <= 1e-6  # a few roundings of float32


def test_orthogonal_survives_bad_draws():
    """Among 500 square Gaussian matrices some are nearly singular: one round of Gram-Schmidt is off by 1e-4."""
    shape = (500, 24, 24)
    w = INITIALIZATIONS["orthogonal"](shape[1:], generator(0, "test"), 500)
    once = standard_normal(shape, generator(0, "test")).double() / math.sqrt(24)
    gram_schmidt_(once)
    eye = torch.eye(24)
    assert (once @ once.mT - eye).abs().max() > 1e-5
    assert (w @ w.mT - eye).abs().max() <= 2e-6


def test_orthogonal_mirrors_as_often_as_it_rotates():
    signs = torch.linalg.det(INITIALIZATIONS["orthogonal"]((3, 3), generator(0, "test"), 2000)).sign()
    assert abs(signs.mean().item()) <= 4 / math.sqrt(2000)


def test_gram_schmidt_is_the_q_of_qr():
    a = torch.randn(4, 5, 9, dtype=torch.float64, generator=generator(0, "test")) / 3
    q, r = torch.linalg.qr(a.mT)
    want = (q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]).mT  # ours has no negative lengths
    gram_schmidt_(a)
    assert relative_error(a, want) <= 1e-6  # of numbers with 24 binary places


def test_mlp_parameters_of_any_depth():
    parameters = mlp_parameters([7, 5, 3, 2], INITIALIZATIONS["xavier"], generator(0, "test"))
    shapes = {name: tuple(p.shape) for name, p in parameters.items()}
    assert shapes == {"w1": (7, 5), "b1": (5,), "w2": (5, 3), "b2": (3,), "w3": (3, 2), "b3": (2,)}
    assert not any(parameters[f"b{n}"].any() for n in (1, 2, 3))
