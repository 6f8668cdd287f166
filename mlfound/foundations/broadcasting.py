"""Broadcasting: how tensors of different shapes are combined element by element.

Axes are compared from the last one forward. They fit where their sizes are equal, or where one is 1 or missing:
that one is stretched to the other. Nothing is copied: with stride 0 the same element is read repeatedly.
"""

from collections.abc import Sequence

from torch import Tensor

Shape = Sequence[int]


def broadcast_shape(*shapes: Shape) -> tuple[int, ...]:
    """The common shape of all; a ValueError that shows the aligned axes where two do not fit."""
    rank = max(map(len, shapes), default=0)
    axes = zip(*([1] * (rank - len(shape)) + list(shape) for shape in shapes), strict=True)
    wanted = [set(sizes) - {1} for sizes in axes]  # of each axis: no size, one size, or a clash
    if any(len(sizes) > 1 for sizes in wanted):
        raise ValueError(clash(shapes, [len(sizes) > 1 for sizes in wanted]))
    return tuple(max(sizes, default=1) for sizes in wanted)


def clash(shapes: Sequence[Shape], clashes: Sequence[bool]) -> str:
    """The shapes below one another, last axes aligned, with a ^ under each axis that clashes."""
    rank = len(clashes)
    rows = [
        [f"  operand {n}", *[""] * (rank - len(shape)), *map(str, shape)] for n, shape in enumerate(shapes, 1)
    ]
    rows.append(["", *("^" if bad else "" for bad in clashes)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" ".join(map(str.rjust, row, widths)).rstrip() for row in rows]
    return "\n".join(["shapes do not fit: sizes on one axis must be equal, or 1", *lines])


def stretch(x: Tensor, shape: Shape) -> Tensor:
    """`x` as a view of a shape that it broadcasts to, with stride 0 where it is stretched."""
    missing = len(shape) - x.dim()
    axes = zip(x.shape, x.stride(), shape[missing:], strict=True)
    strides = [0] * missing + [stride if size == wanted else 0 for size, stride, wanted in axes]
    return x.as_strided(shape, strides)


def broadcast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Each tensor as a view of their common shape."""
    shape = broadcast_shape(*(x.shape for x in tensors))
    return tuple(stretch(x, shape) for x in tensors)
