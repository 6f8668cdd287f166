"""Augmentation: images warped, beside torch's grid_sample; what is drawn, beside its distribution; and faults."""

import math
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, special
from torch.nn import functional

from mlfound.foundations import augmentation as A  # noqa: N812
from mlfound.foundations import warping as W  # noqa: N812
from mlfound.foundations.randomness import generator
from tests.support.slips import slip, worst

pytestmark = pytest.mark.usefixtures("one_thread")

BOUND = 1e-10
SHAPES = {  # batch, channels, height, width
    "odd": (3, 1, 7, 9),
    "one tall image": (1, 1, 8, 3),
    "one wide image": (1, 2, 4, 11),
    "a square of channels": (2, 3, 6, 6),
    "one row": (2, 1, 1, 5),
    "one pixel": (2, 1, 1, 1),
}
ALL = {"shift": 2, "rotate": 40.0, "scale": 0.3, "shear": 0.4, "elastic": 20.0, "sigma": 2.0}


def draws(seed=0):
    return generator(seed, "augmentation")


def images_of(*shape, seed=0, dtype=torch.float64):
    """From 0 to 1."""
    return torch.rand(shape, dtype=dtype, generator=generator(seed, "test"))


def blobs(batch, size, std):
    """Gaussian bells in the middle of black squares."""
    bell = torch.exp(-(((torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / std) ** 2) / 2)
    return torch.outer(bell, bell).expand(batch, 1, size, size)


# The reference: matrices of the map forwards, for columns (x, y, 1), inverted; then torch's grid_sample


def homogeneous(a, b, c, d, x=0.0, y=0.0):
    return torch.tensor([[a, b, x], [c, d, y], [0, 0, 1]], dtype=torch.float64)


def forwards(move, angle, factor, slant):
    """Of one image: x to the right and y down, so that anticlockwise is the other way than in a book."""
    sin, cos = math.sin(angle), math.cos(angle)
    return (
        homogeneous(1, 0, 0, 1, x=move[1], y=move[0])
        @ homogeneous(cos, sin, -sin, cos)
        @ homogeneous(1, slant, 0, 1)
        @ homogeneous(factor[1], 0, 0, factor[0])
    )


def reference(images, parameters, displacements=None):
    """By torch: grid_sample's -1 and 1 are the outer edges of the outer pixels, hence align_corners=False."""
    height, width = images.shape[2:]
    to_centre = homogeneous(1, 0, 0, 1, x=-(width - 1) / 2, y=-(height - 1) / 2)
    maps = [forwards(*(p[row].tolist() for p in parameters)) for row in range(len(images))]
    backwards = torch.stack([torch.linalg.inv(to_centre) @ torch.linalg.inv(m) @ to_centre for m in maps])
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    new = torch.stack([x, y, torch.ones_like(x)]).flatten(1).expand(len(images), 3, -1).clone()
    if displacements is not None:
        new[:, :2] += displacements.flip(1)
    old = (backwards @ new)[:, :2].mT.unflatten(1, (height, width))
    grid = (2 * old + 1) / torch.tensor([width, height]) - 1
    return functional.grid_sample(images, grid, "bilinear", "zeros", align_corners=False)


def parameters_of(batch, seed=0):
    """moves, angles, factors, slants: well beyond what augmentation draws."""
    numbers = 2 * torch.rand(6, batch, dtype=torch.float64, generator=generator(seed, "parameters")) - 1
    return 4 * numbers[:2].T, math.pi * numbers[2], 1 + 0.8 * numbers[3:5].T, numbers[5]


def difference(found, wanted):
    """Images are of about 1, so absolute is relative."""
    assert found.shape == wanted.shape
    return (found - wanted).abs().max().item()


def warp_errors():
    for seed, shape in enumerate(SHAPES.values()):
        images, parameters = images_of(*shape), parameters_of(shape[0], seed)
        maps = W.inverse_maps(*parameters)
        yield difference(W.warp(images, maps), reference(images, parameters))
        bend = 6 * images_of(shape[0], 2, shape[2] * shape[3], seed=1) - 3
        yield difference(W.warp(images, maps, bend), reference(images, parameters, bend))


def recorded(images, **sizes):
    """What `distort` gives, and what it drew: the maps' parameters and the displacements."""
    with (
        patch.object(A, "inverse_maps", wraps=W.inverse_maps) as maps,
        patch.object(A, "warp", wraps=W.warp) as warp,
        patch.object(A, "CACHED", 1000),  # so that there are several parts
    ):
        found = A.distort(images, draws(), **sizes)
    assert warp.call_count > 1
    bends = [call.args[2] for call in warp.call_args_list]
    return found, maps.call_args.args, torch.cat(bends) if sizes.get("elastic") else None


def distort_errors():
    for shape in [(40, 1, 7, 9), (40, 2, 6, 5)]:
        images = images_of(*shape)
        for sizes in (ALL, {**ALL, "elastic": 0.0}):
            found, parameters, bend = recorded(images, **sizes)
            yield difference(found, reference(images, parameters, bend))


def unlike(values, cdf):
    """1 if they are from another distribution, by Kolmogorov and Smirnov's largest distance at 0.1%; else 0."""
    values = values.double().flatten().sort().values
    steps = torch.arange(len(values) + 1) / len(values)
    distance = max((steps[1:] - cdf(values)).max(), (cdf(values) - steps[:-1]).max())
    return float(distance > 1.95 / math.sqrt(len(values)))


def between(low, high):
    """The distribution function of uniform numbers; whoever has one beyond them is not like them: infinity."""
    return lambda x: ((x - low) / (high - low)).where((x >= low) & (x <= high), math.inf)


def dependent(*columns):
    """1 if any two have a correlation as 1 of 100,000 pairs without one; else 0."""
    found = torch.corrcoef(torch.stack([c.double().flatten() for c in columns])).fill_diagonal_(0)
    return float(not (found.abs() < 4.4 / math.sqrt(columns[0].numel())).all())


def draw_errors():
    """Of each image its own numbers, between the sizes given; the shift's are whole, and each as likely."""
    _, (moves, angles, factors, slants), _ = recorded(images_of(3000, 1, 1, 1), **{**ALL, "elastic": 0.0})
    for column in moves.T:
        values, counts = column.unique(return_counts=True)
        yield float(values.tolist() != [-2, -1, 0, 1, 2])
        yield float((counts - 600).abs().max() > 4.4 * math.sqrt(3000 * 0.2 * 0.8))
    yield unlike(angles, between(-math.radians(40), math.radians(40)))
    yield unlike(factors, between(0.7, 1.3))
    yield unlike(slants, between(-0.4, 0.4))
    yield dependent(*moves.T, angles, *factors.T, slants)


def noise_of(images):
    """What `displacements` smooths: with a sigma of next to nothing it stays as it is."""
    return A.displacements(images, 1.0, 1e-3, draws()).unflatten(2, images.shape[2:])


def elastic_errors():
    """The Gaussian by a direct convolution in two dimensions, and by scipy."""
    noise = noise_of(images_of(100, 1, 9, 7))
    yield unlike(noise, between(-1, 1))
    yield dependent(*noise.unbind(1))
    yield dependent(noise[..., 1:], noise[..., :-1])
    yield dependent(noise[1:], noise[:-1])
    for height, width, sigma in [(9, 7, 0.7), (8, 8, 2.0), (5, 12, 4.0), (1, 3, 1.0)]:
        images = images_of(3, 2, height, width)
        found = A.displacements(images, 10.0, sigma, draws()).unflatten(2, (height, width))
        noise, reach = noise_of(images), math.ceil(10 * sigma)
        bell = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
        kernel = torch.outer(bell, bell) / bell.sum() ** 2
        wanted = functional.conv2d(noise.flatten(0, 1)[:, None], kernel[None, None], padding=reach)
        yield difference(found, 10 * wanted.view_as(found))
        wanted = ndimage.gaussian_filter(noise.numpy(), sigma, mode="constant", truncate=9, axes=(2, 3))
        yield difference(found, 10 * torch.from_numpy(wanted))


def moved(images, moves):
    """By hand: pixel after pixel."""
    new = torch.zeros_like(images)
    height, width = images.shape[2:]
    for n, (down, across) in enumerate(moves.tolist()):
        for row in range(max(0, down), min(height, height + down)):
            for column in range(max(0, across), min(width, width + across)):
                new[n, :, row, column] = images[n, :, row - down, column - across]
    return new


def move_errors():
    """No rounding: 1 for a bit that differs, else 0. Moves are also larger than an image."""
    for dtype in (torch.float32, torch.float64):
        for shape in SHAPES.values():
            images = images_of(*shape, dtype=dtype)
            moves = torch.randint(-5, 6, (shape[0], 2), generator=draws())
            wanted = moved(images, moves)
            yield float(not torch.equal(W.move(images, moves, 5), wanted))
            zero = torch.zeros(shape[0])
            maps = W.inverse_maps(moves.float(), zero, torch.ones(shape[0], 2), zero).to(dtype)
            yield float(not torch.equal(W.warp(images, maps), wanted))


def erase_errors():
    """What became black is a rectangle in all channels, of the right size, form and place; no other pixel changed.

    Sizes are drawn so that all fit into the image. Rounding moves the distributions less than chance does.
    """
    images = 1 + images_of(3000, 2, 40, 60)
    found = A.erase(images, draws(), 0.2, smallest=0.05, probability=0.3)
    black = (found == 0).any(1)
    yield difference(found, images.where(~black[:, None], 0.0))
    hit = black.any((1, 2))
    yield float((hit.sum() - 900).abs() > 4.4 * math.sqrt(3000 * 0.3 * 0.7))
    rows, columns = black[hit].any(2), black[hit].any(1)
    yield float(not torch.equal(black[hit], rows[:, :, None] & columns[:, None]))
    height, width = rows.sum(1).double(), columns.sum(1).double()
    yield float(((height - 0.5) * (width - 0.5) > 0.2 * 2400).any())
    yield float(((height + 0.5) * (width + 0.5) < 0.05 * 2400).any())
    yield unlike((height * width / 2400).clamp(0.05, 0.2), between(0.05, 0.2))
    yield float(
        ((height - 0.5) / (width + 0.5) > 1 / 0.3).any() or ((width - 0.5) / (height + 0.5) > 1 / 0.3).any()
    )
    yield unlike(
        (height / width).log().clamp(math.log(0.3), -math.log(0.3)), between(math.log(0.3), -math.log(0.3))
    )
    for side, length in ((rows, height), (columns, width)):
        first, last = side.int().argmax(1), side.shape[1] - side.flip(1).int().argmax(1)
        yield float(not torch.equal(last - first, length))
        yield float(first.min() > 0 or last.max() < side.shape[1])
        room = side.shape[1] - length
        inside = room > 0
        place = first[inside] / room[inside]  # of variance at most 1/4
        yield float((place.mean() - 0.5).abs() > 4.4 * 0.5 / math.sqrt(inside.sum().clamp(1)))


def mixup_errors():
    for alpha in (0.2, 1.0, 5.0):
        images = images_of(3000, 1, 2, 3)
        mixed = A.mixup(images, draws(), alpha)
        share = mixed.share[:, None, None, None]
        yield difference(mixed.images, share * images + (1 - share) * images[mixed.partner])
        yield float(mixed.partner.sort().values.tolist() != list(range(3000)))
        yield unlike(
            mixed.share, lambda x, alpha=alpha: torch.from_numpy(special.betainc(alpha, alpha, x.numpy()))
        )
        yield dependent(mixed.partner, mixed.share)


def all_errors():
    for errors in (
        warp_errors, distort_errors, draw_errors, elastic_errors, move_errors, erase_errors, mixup_errors
    ):  # fmt: skip
        yield from errors()


@pytest.mark.parametrize(
    "errors",
    [warp_errors, distort_errors, draw_errors, elastic_errors, move_errors, erase_errors, mixup_errors],
)
def test_nothing_is_found_where_nothing_is_wrong(errors):
    assert worst(errors) <= BOUND


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_map_of_any_images_is_torchs(data):
    shape = [data.draw(st.integers(1, most)) for most in (3, 2, 9, 9)]
    seed = data.draw(st.integers(0, 2**31))
    images, parameters = images_of(*shape, seed=seed), parameters_of(shape[0], seed)
    bend = data.draw(st.sampled_from([0, 1, 30])) * (2 * images_of(shape[0], 2, shape[2] * shape[3]) - 1)
    found = W.warp(images, W.inverse_maps(*parameters), bend)
    assert difference(found, reference(images, parameters, bend)) <= BOUND


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_shift_is_a_copy(data):
    """Of the images' own bits, whatever they are."""
    batch, channels, height, width, margin = (data.draw(st.integers(1, most)) for most in (3, 2, 9, 9, 12))
    bits = torch.randint(-(2**31), 2**31 - 1, (batch, channels, height, width), generator=draws())
    images = bits.int().view(torch.float32)
    moves = torch.tensor([[data.draw(st.integers(-margin, margin)) for _ in range(2)] for _ in range(batch)])
    found = W.move(images, moves, margin)
    assert torch.equal(found.view(torch.int32), moved(images, moves).view(torch.int32))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_identity_changes_no_bit(shape, dtype):
    images = images_of(*SHAPES[shape], dtype=dtype)
    zero = torch.zeros(len(images))
    maps = W.inverse_maps(torch.zeros(len(images), 2), zero, torch.ones(len(images), 2), zero).to(dtype)
    assert torch.equal(W.warp(images, maps), images)
    assert torch.equal(A.distort(images, draws()), images)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 28])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarters_of_a_turn_are_torchs_rot90(size, quarters):
    """Anticlockwise. The cosine of a quarter is 1e-16, so a point is that far beside its pixel."""
    images = images_of(2, 3, size, size)
    angles = torch.full((2,), quarters * math.pi / 2, dtype=torch.float64)
    maps = W.inverse_maps(torch.zeros(2, 2).double(), angles, torch.ones(2, 2).double(), 0 * angles)
    assert difference(W.warp(images, maps), images.rot90(quarters, (2, 3))) <= 1e-13


def test_brightness_is_that_of_before():
    """Of a bell of 3 pixels in the middle of black, 5 of them from the edge.

    What is read between pixels has the pixels' sum as its integral, and a new image is a sum over places turned or
    stretched. Both are the same but for what lies at the places' own frequencies. Of one at a distance d from the
    pixels' n the bell leaves exp(-2 pi^2 3^2 d^2), bilinear weights (sin(pi d) / (pi (n - d)))^2: together at most
    0.0024 / n^2, in four directions, in all 4 * 0.0024 * pi^2 / 6. A scale multiplies the sum; a move mixes
    neighbours by weights of sum 1.
    """
    images = blobs(200, 31, 3.0)
    before = images.sum((1, 2, 3))
    after = A.rotate(images, draws(), 180.0).sum((1, 2, 3))
    assert ((after / before - 1).abs() <= 4 * 0.0024 * math.pi**2 / 6).all()
    moves, _, factors, _ = parameters_of(200)
    zero, one = torch.zeros(200).double(), torch.ones(200, 2).double()
    small = blobs(200, 31, 1.5)  # which stays inside: 4 pixels further off are 7 standard deviations
    after = W.warp(small, W.inverse_maps(moves, zero, one, zero)).sum((1, 2, 3))
    assert ((after / small.sum((1, 2, 3)) - 1).abs() <= 1e-10).all()
    factors = 1 + (factors - 1) / 4
    after = W.warp(images, W.inverse_maps(0 * moves, zero, factors, zero)).sum((1, 2, 3))
    assert ((after / before / factors.prod(1) - 1).abs() <= 4 * 0.0024 * math.pi**2 / 6).all()


def test_displacements_are_as_large_as_in_the_paper():
    """Uniform numbers have a variance of 1/3, and a Gaussian's squares the sum 1 / (4 pi sigma^2): 1.38 pixels.

    Of 4000 numbers the standard deviation is off by 1 / sqrt(8000), of which 4.4 are 5%.
    """
    bend = A.displacements(images_of(2000, 1, 41, 41), 34.0, 4.0, draws()).view(2000, 2, 41, 41)
    theory = 34 / (4 * math.sqrt(12 * math.pi))
    assert bend[:, :, 20, 20].std().item() == pytest.approx(theory, rel=0.05)


CALLS = {
    "shift": {"pixels": 2},
    "rotate": {"degrees": 20.0},
    "scale": {"share": 0.2},
    "shear": {"slope": 0.3},
    "elastic": {"alpha": 20.0, "sigma": 3.0},
    "erase": {"largest": 0.3},
    "mixup": {"alpha": 0.4},
}


def called(name, images, seed=0):
    found = A.AUGMENTATIONS[name](images, draws(seed), **CALLS[name])
    return found.images if isinstance(found, A.Mixed) else found


def test_every_augmentation_is_called_here():
    assert list(A.AUGMENTATIONS) == list(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_the_same_seed_gives_the_same_bits(name):
    images = images_of(50, 7, 9, dtype=torch.float32)
    before = images.clone()
    found = called(name, images)
    assert torch.equal(found, called(name, images))
    assert not torch.equal(found, called(name, images, seed=1))
    assert torch.equal(images, before), "a new tensor, not the old one changed"
    assert found.dtype == images.dtype


@pytest.mark.parametrize("name", CALLS)
def test_images_have_channels_or_none(name):
    """All channels are changed alike; memory may lie in another order."""
    images = images_of(50, 7, 9)
    wanted = called(name, images)
    assert torch.equal(called(name, images[:, None])[:, 0], wanted)
    found = called(name, images[:, None].expand(-1, 3, -1, -1))
    assert all(difference(channel, wanted) <= 1e-14 for channel in found.unbind(1))
    elsewhere = images.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(called(name, elsewhere), wanted)


@pytest.mark.parametrize("name", CALLS)
def test_no_images_and_one(name):
    assert called(name, images_of(0, 7, 9)).shape == (0, 7, 9)
    assert called(name, images_of(1, 7, 9)).shape == (1, 7, 9)


@pytest.mark.parametrize("name", CALLS)
def test_single_precision_draws_the_same(name):
    """A place is some 10 pixels to 7 digits, and brightness changes by at most 1 from pixel to pixel."""
    images = images_of(50, 7, 9)
    assert difference(called(name, images.float()).double(), called(name, images)) <= 1e-4


@pytest.mark.parametrize("name", CALLS)
def test_what_is_drawn_does_not_depend_on_the_threads(name):
    """The images are enough for torch to share them out. Rounding is the BLAS's affair."""
    images, states, found = images_of(400, 28, 28, dtype=torch.float32), [], []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        own = draws()
        made = A.AUGMENTATIONS[name](images, own, **CALLS[name])
        found.append(made.images if isinstance(made, A.Mixed) else made)
        states.append(own.get_state())
    torch.set_num_threads(1)
    assert torch.equal(*states)
    assert difference(*found) <= 1e-4


def test_each_rung_is_its_size_alone():
    images = images_of(20, 7, 9)
    for name in ("shift", "rotate", "scale", "shear"):
        [size] = CALLS[name].values()
        assert torch.equal(called(name, images), A.distort(images, draws(), **{name: size}))
    found = A.distort(images, draws(), elastic=20.0, sigma=3.0)
    assert torch.equal(called("elastic", images), found)


def test_a_shift_beside_a_rotation_of_nearly_nothing_is_the_same_shift():
    """Copied or read between pixels: the numbers are the same."""
    images = images_of(20, 7, 9)
    found = A.distort(images, draws(), shift=3, rotate=1e-9)
    assert difference(found, A.shift(images, draws(), 3)) <= 1e-8


def test_a_rectangle_that_does_not_fit_is_cut():
    found = A.erase(torch.ones(100, 3, 50), draws(), 1.0, smallest=1.0, probability=1.0)
    black = found == 0
    assert (black.any(2).sum(1) == 3).all(), "the whole height"
    assert torch.equal(black, black.all(1, keepdim=True).expand_as(black))


def test_losses_are_mixed_as_the_images_are():
    mixed = A.mixup(images_of(50, 2, 3), draws(), 0.5)
    y, out = torch.arange(50) % 4, images_of(50, 4, seed=1)
    own, partners = (
        functional.cross_entropy(out, labels, reduction="none") for labels in (y, y[mixed.partner])
    )
    share = mixed.share[:, None]
    labels = share * functional.one_hot(y, 4) + (1 - share) * functional.one_hot(y[mixed.partner], 4)
    wanted = functional.cross_entropy(out, labels, reduction="none")
    assert difference(mixed.share * own + (1 - mixed.share) * partners, wanted) <= 1e-12


FAULTS = {
    "map: degrees for radians": (A.distort, "math.radians(rotate)", "rotate"),
    "map: turned the other way": (W.inverse_maps, "angles.sin()], [-angles.sin()", "-angles.sin()], [angles.sin()"),
    "map: forwards scale": (W.inverse_maps, "[zero, 1 / factors[:, 1]]", "[zero, factors[:, 1]]"),
    "map: height for width": (W.inverse_maps, "[zero, 1 / factors[:, 1]]", "[zero, 1 / factors[:, 0]]"),
    "map: forwards shear": (W.inverse_maps, "-slants", "slants"),
    "map: sheared down": (W.inverse_maps, "[one, zero], [-slants, one]", "[one, -slants], [zero, one]"),
    "map: forwards move": (W.inverse_maps, "-a @", "a @"),
    "map: moved first": (W.inverse_maps, "-a @ moves[:, :, None]", "-moves[:, :, None].to(a)"),
    "map: composed in the other order": (
        W.inverse_maps, "unscale @ unshear @ unrotate", "unrotate @ unshear @ unscale"
    ),
    "map: matrices transposed": (W.matrices, "dim=-2", "dim=-1"),
    "warp: x and y exchanged": (W.warp, ".unbind(1)", ".flip(1).unbind(1)"),
    "warp: another centre": (W.warp, "(height - 1) / 2", "height / 2"),
    "warp: another centre of the new image": (W.from_centre, "(size - 1) / 2", "size // 2"),
    "warp: bent the other way": (W.warp, "+ displacements", "- displacements"),
    "warp: bent after the map": (
        W.warp,
        "torch.baddbmm(t, a, points.expand(len(images), -1, -1))",
        "(torch.baddbmm(t, a, (points - displacements).expand(len(images), -1, -1)) + displacements)",
    ),
    "sampling: below for above": (W.sample, "upper.lerp_(lower, down)", "lower.lerp_(upper, down)"),
    "sampling: left for right": (W.sample, "pixels(0).lerp_(pixels(1)", "pixels(1).lerp_(pixels(0)"),
    "sampling: weights exchanged": (W.sample, "pixels(1), across", "pixels(1), down"),
    "sampling: the nearest": (W.sample, "upper.lerp_(lower, down)", "upper.lerp_(lower, down.round())"),
    "sampling: the border repeated": (W.sample, "clamp_(0, height + 1)", "clamp_(1, height)"),
    "sampling: no pixel before": (W.sample, "clamp_(0, width + 1)", "clamp_(1, width + 1)"),
    "sampling: no pixel behind": (W.sample, "clamp_(0, width + 1)", "clamp_(0, width)"),
    "sampling: the first channel": (
        W.sample, "starts.view(batch, channels, 1)", "starts[::channels].view(-1, 1, 1).repeat(1, channels, 1)"
    ),
    "move: the other way": (W.move, "margin - moves", "margin + moves"),
    "move: x and y exchanged": (W.move, "corners = margin - moves", "corners = margin - moves.flip(1)"),
    "draws: one step is missing": (A.distort, "(-shift, shift + 1", "(-shift, shift"),
    "draws: only one way": (A.distort, "generator=generator) - 1", "generator=generator) / 2"),
    "draws: all images alike": (
        A.distort, "(4, len(old), generator=generator)", "(4, 1, generator=generator).expand(4, len(old))"
    ),
    "draws: height and width alike": (A.distort, "torch.stack(growths,", "torch.stack(growths[:1] * 2,"),
    "draws: a slant as the angle": (A.distort, "shear * slants", "shear * angles"),
    "parts: the first one's maps": (A.distort, "maps[some].to", "maps[: len(old[some])].to"),
    "elastic: sigma for its square": (A.gaussian, "(distances / sigma) ** 2", "distances**2 / sigma"),
    "elastic: another sigma": (A.gaussian, "** 2) / 2)", "** 2))"),
    "elastic: a sum of more than 1": (A.gaussian, "/ total", "/ total**0.5"),
    "elastic: a narrow sum": (A.gaussian, "9 * sigma", "2 * sigma"),
    "elastic: smoothed down alone": (A.displacements, "fields @ across", "fields"),
    "elastic: half the strength": (A.displacements, "2**15", "2**16"),
    "elastic: both fields alike": (A.displacements, "@ fields @", "@ fields[:, :1].expand(-1, 2, -1, -1) @"),
    "elastic: positive": (A.displacements, "random_(-(2**63)", "random_(0"),
    "elastic: all images alike": (A.displacements, "@ fields @", "@ fields[:1].expand_as(fields) @"),
    "erasing: the other images": (A.erase, "chance < probability", "chance > probability"),
    "erasing: form for its square": (A.erase, "** (2 * ratio - 1)", "** (4 * ratio - 2)"),
    "erasing: mostly tall": (A.erase, "0.3 ** (2 * ratio - 1)", "0.3 + (1 / 0.3 - 0.3) * ratio"),
    "erasing: too large": (A.erase, "(area * ratio).sqrt()", "(area * ratio) ** 0.6"),
    "erasing: a cross": (A.erase, "& columns", "| columns"),
    "erasing: not at the end": (A.interval, "lengths + 1", "lengths"),
    "erasing: over the edge": (A.interval, "size - lengths + 1", "size"),
    "mixup: shares exchanged": (A.Mixed.of, "old[self.partner], old, self", "old, old[self.partner], self"),
    "mixup: partners twice": (
        A.mixup, "torch.randperm(len(images),", "torch.randint(len(images), (len(images),),"
    ),
    "mixup: alpha for twice alpha": (A.mixup, "-1 / alpha", "-0.5 / alpha"),
    "mixup: without the angle": (A.mixup, " * cosine.square()", ""),
    "mixup: more than half": (A.mixup, "cosine.sign()", "1"),
}  # fmt: skip


@pytest.fixture
def empty_caches():
    """What a fault leaves there is not for others."""
    caches = A.gaussian, W.from_centre
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.slow  # a test of the tests
@pytest.mark.usefixtures("empty_caches")
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_caught(fault, monkeypatch):
    slip(monkeypatch, *FAULTS[fault])
    assert worst(all_errors) > 1e-3
