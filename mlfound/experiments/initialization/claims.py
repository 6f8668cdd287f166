"""What the parts share: claims of the lesson, a figure beside its theory, what became of a signal."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from mlfound.results import Column, Result, Table
from mlfound.stats.estimates import Estimate, pooled_std

OnProgress = Callable[
    [str, float], None
]  # the scheme that a part is at, and the share of the part that is done
FACTOR = "signal out / in"  # as a claim's figure: of the root mean squares
KEPT_FACTOR = 1.1  # a signal multiplied by this or less is kept: ten layers then make less than 2.6 of it


@dataclass(frozen=True)
class Claim:
    claim: str
    figure: str  # what was measured
    measured: Estimate | float
    theory: float | None
    holds: bool
    lesson: str = ""  # the lesson's figure
    said: bool = True  # by the lesson; what it never said shows what its claims are worth

    @property
    def kind(self) -> str:
        if self.said:
            return "claim"
        return "comparison" if self.holds else "counter-example"


CLAIM_COLUMNS = (
    Column("claim"),
    Column("kind", rank=3),
    Column("figure", "what was measured", rank=3),
    Column("measured", format=".4g", of=lambda claim: getattr(claim.measured, "value", claim.measured)),
    Column("half_width", "±", ".2g", lambda claim: getattr(claim.measured, "half", None), rank=5),
    Column("theory", format=".4g", rank=3),
    Column("lesson", rank=4),
    Column("holds", "holds?"),
)


def claim_table(claims: Iterable[Claim]) -> Table:
    return Table.of("claims", "The lesson's claims, and counter-examples", CLAIM_COLUMNS, claims)


def with_one_claim_table(result: Result) -> Result:
    """The parts' tables of claims as one, below the other tables; none if nothing is claimed."""
    rows = [row for table in result.tables if table.name == "claims" for row in table.rows]
    tables = [table for table in result.tables if table.name != "claims"]
    return replace(result, tables=[*tables, replace(claim_table([]), rows=rows)] if rows else tables)


class Theory(NamedTuple):
    """Mean and std of the outputs; None where the rows set the weights' size."""

    mean: float | None = None
    std: float | None = None


@dataclass(frozen=True)
class Outputs:
    """A scheme's outputs: each draw's mean and mean square (draws,), float64, and theory for these rows."""

    init: str
    means: Tensor
    squares: Tensor
    theory: Theory

    @property
    def mean(self) -> Estimate:
        return Estimate.mean(self.means)

    @property
    def std(self) -> Estimate:
        return pooled_std(self.means, self.squares)


def columns_beside_theory(name: str) -> list[Column]:
    """An estimate of `Outputs`, "mean" or "std": its value, half of its interval, its theory."""
    return [
        Column(name, format="z.4f", of=f"{name}.value"),
        Column(f"{name}_half_width", f"{name} ±", ".4f", f"{name}.half", rank=4),
        Column(f"{name}_theory", f"{name}, theory", "z.4f", f"theory.{name}", rank=3),
    ]


def finite_metrics(figures: Mapping[str, float]) -> dict[str, float]:
    return {name.replace(" ", "_"): value for name, value in figures.items() if math.isfinite(value)}


def is_kept(factor: float) -> bool:
    return 1 / KEPT_FACTOR <= factor <= KEPT_FACTOR


def verdict(factor: float) -> str:
    """What happened to a signal that was multiplied by `factor`."""
    if not math.isfinite(factor):
        return "overflows"
    if is_kept(factor):
        return "keeps"
    if factor == 0:
        return "vanishes"
    return f"grows {factor:.3g} times" if factor > 1 else f"shrinks to 1/{1 / factor:.3g}"
