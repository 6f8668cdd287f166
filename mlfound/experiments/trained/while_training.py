"""What was seen inside a network while it trained: as tables, as curves, as histograms over the steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from mlfound.foundations.activations import Activation
from mlfound.results import Column, Picture, Result, Table
from mlfound.training.inside import BINS, LARGEST, Figures, Inside, Look, evenly

MAX_DRAWN = 8  # layers in a picture
# Of the histograms, equally far apart on the scale of log(1 + |x|)
EDGES = [
    math.copysign(math.expm1(abs(end)), end)
    for end in (math.log1p(LARGEST) * (2 * n / BINS - 1) for n in range(BINS + 1))
]


@dataclass(frozen=True)
class Seen:
    """One layer at one step."""

    step: int
    layer: str
    figures: Figures
    counts: Sequence[int]

    def count(self, n: int) -> int:
        """In one bin of the histogram."""
        return self.counts[n]


@dataclass(frozen=True)
class Course:
    """One layer over all steps."""

    layer: str
    seen: Sequence[Seen]
    is_activation: bool

    @property
    def first(self) -> Figures:
        return self.seen[0].figures

    @property
    def last(self) -> Figures:
        return self.seen[-1].figures

    @property
    def deadest(self) -> Seen:
        """Where most of what it gave was near zero."""
        return max(self.seen, key=lambda each: each.figures.near_zero)


COLUMNS = (
    Column("step"),
    Column("layer"),
    Column("mean", format=".4g", of="figures.mean"),
    Column("std", format=".4g", of="figures.std"),
    Column("near_zero", "near 0", ".1%", "figures.near_zero"),
    Column("gradient", "gradient's length", ".3g", "figures.gradient"),
    Column("weight_gradient", "weight gradient's length", ".3g", "figures.weight_gradient"),
)
SUMMARY = (
    Column("layer"),
    Column("std", "std at first", ".3g", "first.std"),
    Column("last_std", "at last", ".3g", "last.std"),
    Column("near_zero", "near 0 at first", ".0%", "first.near_zero", rank=3),
    Column("last_near_zero", "at last", ".0%", "last.near_zero"),
    Column("most_near_zero", "at most", ".0%", "deadest.figures.near_zero"),
    Column("gradient", "gradient at first", ".2g", "first.gradient", rank=4),
    Column("last_gradient", "at last", ".2g", "last.gradient", rank=4),
)


def while_training(inside: Inside | None, whose: str) -> Result:
    """Tables, pictures, and a sentence on the layer that gave most numbers near zero; without a look nothing."""
    looks = inside.looks if inside else []
    if inside is None or not looks:
        return Result()
    courses = [
        Course(name, [seen(look, name, n) for look in looks], isinstance(each.layer, Activation))
        for n, (name, each) in enumerate(zip(inside.names, inside.layers, strict=True))
    ]
    each, rows = [row for course in courses for row in course.seen], inside.rows
    title = f"Inside while it trained{whose}, {len(looks):,} looks at {rows} rows of a batch"
    bins = [Column(f"from_{edge:.3g}", of=partial(Seen.count, n=n)) for n, edge in enumerate(EDGES[:-1])]
    drawn = evenly([course for course in courses if course.is_activation] or courses, MAX_DRAWN)
    return Result(
        findings=[finding(courses)],
        tables=[
            Table.of("inside_layers", title, SUMMARY, courses),
            Table.of("inside", title, COLUMNS, each, shown="never"),
            Table.of("inside_histograms", title, [*COLUMNS[:2], *bins], each, shown="never"),
        ],
        pictures=[curves(drawn, whose), histograms(drawn, whose)],
    )


def seen(look: Look, layer: str, n: int) -> Seen:
    figures = Figures(*look.figures[n].tolist())
    return Seen(look.step, layer, figures, look.counts[n].long().tolist())


def finding(courses: Sequence[Course]) -> str:
    """Of the activations, where there are any, which was nearest to dead, and when."""
    activations = [course for course in courses if course.is_activation] or courses
    dying = max(activations, key=lambda course: course.deadest.figures.near_zero)
    worst = dying.deadest
    return (
        f"Inside: most near zero was what {dying.layer} gave, {worst.figures.near_zero:.0%} of it before step "
        f"{worst.step + 1:,} (at first {dying.first.near_zero:.0%}, at last {dying.last.near_zero:.0%})."
    )


def curves(courses: Sequence[Course], whose: str) -> Picture:
    """Mean, std, share near zero and gradient of each layer over the steps."""
    data = {
        name: {course.layer: [getattr(row.figures, name) for row in course.seen] for course in courses}
        for name in ("mean", "std", "near_zero", "gradient")
    }
    step = [row.step for row in courses[0].seen]
    return Picture(
        "inside", "inside_curves", {"title": f"Inside while it trained{whose}", "step": step, **data}
    )


def histograms(courses: Sequence[Course], whose: str) -> Picture:
    """Of each layer what it gave, a column a look."""
    data = {
        "title": f"What comes out of the layers while it trained{whose}",
        "layers": [course.layer for course in courses],
        "step": [row.step for row in courses[0].seen],
        "edges": EDGES,
        "counts": [[row.counts for row in course.seen] for course in courses],
    }
    return Picture("inside_histograms", "inside_histograms", data)
