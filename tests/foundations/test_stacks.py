"""Deep stacks beside autograd; what lsuv and fixup promise; where kaiming's residual signal overflows."""

import math
from itertools import pairwise

import pytest
import torch

from mlfound.foundations.activations import Floor, Identity, ReLU
from mlfound.foundations.checks import relative_error
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.randomness import generator
from mlfound.foundations.stacks import fixup, lsuv, plain, plain_gradients, residual, residual_gradients

BOUND = 1e-10
ALL = [Identity(), ReLU(), ReLU(shift=0.5), Floor(0.5), ReLU(0.2)]
SIZES = [
    7,
    5,
    11,
    6,
    9,
]  # enough that some unit of each layer is above 0: at 0 autograd's ReLU has a gradient


@pytest.fixture(autouse=True)
def one_thread():
    """Thousands of small products: threads would wait for one another longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed, "test"))


def weights(sizes, scheme="kaiming"):
    draws = generator(0, "weights")
    return [INITIALIZATIONS[scheme](shape, draws).double() for shape in pairwise(sizes)]


@pytest.mark.parametrize("activation", ALL, ids=str)
def test_plain_gradients_are_autograds_layer_by_layer(activation):
    ws, x, dout = weights(SIZES), normal(6, 7), normal(6, 9, seed=1)
    zs = [z for z, _ in plain(x, ws, activation)]
    ours = list(plain_gradients(dout, ws, zs, activation))

    inputs = [x.requires_grad_()]
    for w in ws:
        inputs.append(activation(inputs[-1] @ w))
    wanted = torch.autograd.grad(inputs[-1], inputs[:-1], dout)
    assert torch.equal(list(plain(x, ws, activation))[-1][1], inputs[-1])
    for layer, (got, want) in enumerate(zip(ours, reversed(wanted), strict=True)):
        assert relative_error(got, want) <= BOUND, f"layer {len(ws) - layer}"


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("activation", ALL, ids=str)
def test_residual_gradients_are_autograds_block_by_block(activation, layers):
    branches = [weights([7, *[5] * (layers - 1), 7]) for _ in range(4)]
    x, dout = normal(6, 7), normal(6, 7, seed=1)
    xs = [x, *residual(x, branches, activation)]
    ours = list(residual_gradients(dout, branches, xs[:-1], activation))

    inputs = [x.requires_grad_()]
    for branch in branches:
        h = inputs[-1]
        for w in branch:
            h = activation(h) @ w
        inputs.append(inputs[-1] + h)
    wanted = torch.autograd.grad(inputs[-1], inputs[:-1], dout)
    assert relative_error(xs[-1], inputs[-1].detach()) <= BOUND
    for block, (got, want) in enumerate(zip(ours, reversed(wanted), strict=True)):
        assert relative_error(got, want) <= BOUND, f"block {len(branches) - block}"


def test_the_lessons_hundred_products_overflow_vanish_and_last():
    draws = generator(0, "products")
    x = torch.randn(512, 512, generator=draws)
    raw = torch.randn(512, 512, generator=draws)
    stds = [x.std().item() for x, _ in plain(x, [raw] * 40, Identity())]
    assert 27 <= next(n for n, std in enumerate(stds, 1) if not math.isfinite(std)) <= 30
    assert list(plain(x, [raw * 0.01] * 100, Identity()))[-1][1].std() == 0
    fresh = (INITIALIZATIONS["xavier"]((512, 512), draws) for _ in range(100))
    assert all(0.5 < x.std() < 2 for x, _ in plain(x, fresh, Identity()))


def test_fan_in_holds_the_forward_and_fan_out_the_backward_signal():
    """In a stack that narrows eightfold the other direction changes by a factor of eight in variance."""
    sizes = [400] + [50] * 3
    x, dout = normal(500, 400), normal(500, 50, seed=1)
    for scheme, forward, backward in (("kaiming", 1, 1 / 8), ("kaiming-fan-out", 8, 1)):
        ws = weights(sizes, scheme)
        layers = list(plain(x, ws, ReLU()))
        *_, dx = plain_gradients(dout, ws, [z for z, _ in layers], ReLU())
        assert layers[-1][0].square().mean().item() / 2 == pytest.approx(forward, rel=0.5), scheme
        assert dx.square().mean().item() == pytest.approx(backward, rel=0.5), scheme


@pytest.mark.parametrize("activation", ALL, ids=str)
def test_lsuv_gives_every_layer_unit_variance_on_its_batch(activation):
    x, ws = 3 + 5 * normal(100, 7), weights(SIZES, "orthogonal")
    scaled = list(lsuv(x, ws, activation))
    for (z, _), w, before in zip(plain(x, scaled, activation), scaled, ws, strict=True):
        assert z.std(correction=0).item() == pytest.approx(1, rel=1e-12)
        factor = (w / before).flatten()
        assert relative_error(factor, factor[:1].expand_as(factor)) <= 1e-12  # only its size has changed


def test_lsuv_treats_each_draw_by_itself():
    x, draws = normal(100, 7), INITIALIZATIONS["orthogonal"]((7, 5), generator(0, "test"), 4).double()
    draws *= torch.tensor([1.0, 2.0, 0.1, 30.0])[:, None, None]
    (together,) = lsuv(x, [draws], ReLU())
    for w, draw in zip(together, draws, strict=True):
        (alone,) = lsuv(x, [draw], ReLU())
        assert relative_error(w, alone) <= 1e-12


def test_fixup_is_the_papers_rule():
    branch = [normal(5, 5, seed=n) for n in range(3)]
    first, second, last = fixup(branch, 16)
    assert relative_error(first, branch[0] / 2) <= 1e-15  # 16^(-1 / (2 * 3 - 2)) = 1/2
    assert relative_error(second, branch[1] / 2) <= 1e-15
    assert not last.any()
    assert torch.equal(fixup(branch, 16, zero_last=False)[-1], branch[-1])


def stds_of_10_000_layers(scaled):
    """The signal's std after each of 5,000 blocks of two layers, over its std before."""
    draws, kaiming = generator(0, "deep"), INITIALIZATIONS["kaiming"]
    x = torch.randn(256, 64, generator=draws)
    branches = (scaled(list(kaiming((64, 64), draws, 2))) for _ in range(5000))
    return [(out.std() / x.std()).item() for out in residual(x, branches, ReLU())]


def test_fixup_leaves_the_signal_of_10_000_layers_as_it_is():
    assert set(stds_of_10_000_layers(lambda branch: fixup(branch, 5000))) == {1.0}


def test_fixups_factor_alone_keeps_the_signal_of_10_000_layers():
    stds = stds_of_10_000_layers(lambda branch: fixup(branch, 5000, zero_last=False))
    assert all(0.5 < std < 2 for std in stds)
    assert stds[-1] == pytest.approx(math.sqrt(math.e), rel=0.1)


def test_kaiming_doubles_at_each_block_and_overflows():
    stds = stds_of_10_000_layers(lambda branch: branch)
    assert stds[19] == pytest.approx(2**10, rel=0.5)
    block = next(n for n, std in enumerate(stds, 1) if not math.isfinite(std))
    assert 230 <= block <= 270  # sqrt(2)^256 is the largest float32
    assert not any(map(math.isfinite, stds[block:]))


def test_the_first_gradients_under_fixup_reach_the_last_layers_only():
    """Why zeros can learn: the last layer of a branch sees its input and the loss, those before it see a zero."""
    branch = fixup([normal(5, 5), normal(5, 5, seed=1)], 10)
    first, last = (w.requires_grad_() for w in branch)
    (x,) = residual(normal(6, 5), [[first, last]], ReLU())
    dfirst, dlast = torch.autograd.grad(x.square().sum(), [first, last])
    assert not dfirst.any()
    assert dlast.any()
