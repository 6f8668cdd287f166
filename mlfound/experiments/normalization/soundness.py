"""Is the data what everything else takes it for? Each check counts what is wrong, so its bound is 0."""

from collections.abc import Callable

import torch
from torch import Tensor

from mlfound.data.load import LEVELS, Split, Splits
from mlfound.data.normalize import ROWS
from mlfound.results import Check


def by_name(splits: Splits) -> dict[str, Split]:
    """The three splits, in the order in which they are shown."""
    return {"train": splits.train, "valid": splits.valid, "test": splits.test}


def at_most(name: str, value: float, bound: float) -> Check:
    """A check that `value` is not above `bound`; nan never passes."""
    return Check(name, value <= bound, value, bound)


def content_checks(before: Splits, after: Splits) -> list[Check]:
    """Sizes, labels and values, `before` normalising and `after` it."""
    height, width = before.shape
    alone = sum(abs(len(split.x) - len(split.y)) for split in by_name(before).values())
    beside = sum(abs(split.x.shape[1] - height * width) for split in by_name(before).values())
    labels = [split.y for split in by_name(before).values()]
    images = [split.x for split in by_name(before).values()]
    outside = sum(int(((y < 0) | (y >= before.classes)).sum()) for y in labels)
    fractions = sum(count(x, lambda part: (part * LEVELS).frac() != 0) for x in images)
    infinite = sum(count(split.x, lambda part: ~part.isfinite()) for split in by_name(after).values())
    largest = torch.stack([x.max() for x in images]).max().item()
    return [
        at_most("images without a label, labels without an image", alone, 0),
        at_most(f"columns beside those of {height} x {width} pixels", beside, 0),
        at_most(f"labels outside 0 to {before.classes - 1}", outside, 0),
        at_most("values after that are not finite", infinite, 0),
        at_most(f"values before that are no whole number of {LEVELS}ths", fractions, 0),
        at_most(f"largest value before, {LEVELS - 1}/{LEVELS} at most", largest, (LEVELS - 1) / LEVELS),
    ]


def count(x: Tensor, condition: Callable[[Tensor], Tensor]) -> int:
    """How many values `condition` is true of; part by part, so that it stays in the processor's cache."""
    return sum(int(condition(part).sum()) for part in torch.split(x, ROWS))
