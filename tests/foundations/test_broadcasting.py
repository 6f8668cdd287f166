"""Broadcasting by hand against torch on random shapes, the lesson's examples, and what is said when shapes clash."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfound.foundations.broadcasting import broadcast, broadcast_shape
from mlfound.foundations.checks import test_eq

SIZES = st.integers(0, 4)
ANY_SHAPES = st.lists(st.lists(SIZES, max_size=4).map(tuple), max_size=4)


@st.composite
def fitting_shapes(draw):
    """Shapes made from one: leading axes left away, any axis shrunk to 1."""
    whole = draw(st.lists(SIZES, max_size=5))
    return [
        tuple(draw(st.sampled_from([1, size])) for size in whole[draw(st.integers(0, len(whole))) :])
        for _ in range(draw(st.integers(1, 4)))
    ]


def filled(shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=1000, deadline=None)
@given(fitting_shapes())
def test_shapes_values_and_strides_are_torchs(shapes):
    assert broadcast_shape(*shapes) == torch.broadcast_shapes(*shapes)
    tensors = [filled(shape, seed) for seed, shape in enumerate(shapes)]
    for x, got, want in zip(tensors, broadcast(*tensors), torch.broadcast_tensors(*tensors), strict=True):
        test_eq(got, want)
        assert got.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()  # a view, not a copy
        axes = zip(got.shape, got.stride(), want.stride(), strict=True)
        assert all(ours == theirs for size, ours, theirs in axes if size != 1)  # along a 1 no step is taken


@settings(max_examples=1000, deadline=None)
@given(ANY_SHAPES)
def test_what_torch_refuses_is_refused_and_nothing_else(shapes):
    try:
        want = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        with pytest.raises(ValueError, match="shapes do not fit"):
            broadcast_shape(*shapes)
    else:
        assert broadcast_shape(*shapes) == want


def test_strides_are_zero_where_stretched_and_only_there():
    column, row = broadcast(torch.arange(3)[:, None], torch.arange(2))
    assert (column.shape, column.stride()) == ((3, 2), (1, 0))
    assert (row.shape, row.stride()) == ((3, 2), (0, 1))


def test_views_of_views_keep_their_place():
    whole = filled((4, 6))
    part = whole[1:, ::2].T  # an offset, a step and a transpose
    (got, _) = broadcast(part, torch.zeros(2, 1, 1))
    test_eq(got, part.expand(2, 3, 3))


def test_the_lessons_examples():
    c, m = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    test_eq(sum(broadcast(c, m)), torch.tensor([[11.0, 22.0, 33.0], [14.0, 25.0, 36.0], [17.0, 28.0, 39.0]]))
    test_eq(
        sum(broadcast(c[:, None], m)),
        torch.tensor([[11.0, 12.0, 13.0], [24.0, 25.0, 26.0], [37.0, 38.0, 39.0]]),
    )
    row, column = broadcast(c[None], c[:, None])
    test_eq(row * column, torch.tensor([[100.0, 200.0, 300.0], [200.0, 400.0, 600.0], [300.0, 600.0, 900.0]]))
    assert broadcast_shape((256, 256, 3), (3,)) == (256, 256, 3)


def test_a_clash_is_lined_up_and_pointed_at():
    with pytest.raises(ValueError, match="fit") as caught:
        broadcast_shape((256, 256, 3), (2, 1), (16, 4))
    assert str(caught.value).splitlines() == [
        "shapes do not fit: sizes on one axis must be equal, or 1",
        "  operand 1 256 256 3",
        "  operand 2       2 1",
        "  operand 3      16 4",
        "                  ^ ^",
    ]
