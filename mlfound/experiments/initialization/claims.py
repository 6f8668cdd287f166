"""What the parts say in the same way: the lesson's claims, a figure beside theory, what became of a signal."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from mlfound.results import Column, Result, Table
from mlfound.stats.estimates import Estimate, pooled_std

FACTOR = "signal out / in"  # as a claim's figure: of the root mean squares
KEPT_FACTOR = 1.1  # a factor up to this is called kept: ten layers make less than 2.6 of it


@dataclass(frozen=True)
class Claim:
    """One line of the table of claims: what was measured, what theory and the lesson have, whether it holds."""

    claim: str
    figure: str  # what was measured
    measured: Estimate | float
    theory: float | None
    holds: bool
    lesson: str = ""  # its figure


def claim_table(claims: Iterable[Claim]) -> Table:
    """The claims of a part; the front puts all parts' into one table."""
    columns = (
        Column("claim"),
        Column("figure", "what was measured"),
        Column("measured", "", ".4g", lambda claim: getattr(claim.measured, "value", claim.measured)),
        Column("half_width", "±", ".2g", lambda claim: getattr(claim.measured, "half", None)),
        Column("theory", format=".4g"),
        Column("lesson"),
        Column("holds", "holds?"),
    )
    return Table.of("claims", "The lesson's claims", columns, claims)


def with_one_claim_table(result: Result) -> Result:
    """The parts' tables of claims as one under the other tables, if anything was claimed."""
    claims = [table for table in result.tables if table.name == "claims"]
    tables = [table for table in result.tables if table.name != "claims"]
    if rows := [row for table in claims for row in table.rows]:
        tables.append(replace(claims[0], rows=rows))
    return replace(result, tables=tables)


class Theory(NamedTuple):
    """What the numbers that come out must have."""

    mean: float
    std: float


@dataclass(frozen=True)
class Outputs:
    """What a scheme gave: each draw's mean and mean square (draws,), float64, and theory for these rows."""

    init: str
    means: Tensor
    squares: Tensor
    theory: Theory | None  # None where the rows set the weights' size

    @property
    def mean(self) -> Estimate:
        return Estimate.mean(self.means)

    @property
    def std(self) -> Estimate:
        return pooled_std(self.means, self.squares)


def columns_beside_theory(name: str, label: str = "") -> list[Column]:
    """Of `Outputs` the estimate `name`, "mean" or "std": its value, half of its interval, the theory's."""
    return [
        Column(name, label, "z.4f", f"{name}.value"),
        Column(f"{name}_half_width", "±", ".4f", f"{name}.half"),
        Column(f"{name}_theory", "theory", "z.4f", in_theory(name)),
    ]


def in_theory(name: str) -> Callable[[Outputs], Any]:
    """For a column: the theory's `mean` or `std`; None where there is none."""
    return lambda outputs: outputs.theory and getattr(outputs.theory, name)


def finite_metrics(figures: Mapping[str, float]) -> dict[str, float]:
    """The finite ones, by names without spaces."""
    return {name.replace(" ", "_"): value for name, value in figures.items() if math.isfinite(value)}


def is_kept(factor: float) -> bool:
    return 1 / KEPT_FACTOR <= factor <= KEPT_FACTOR


def verdict(factor: float) -> str:
    """What happened to a signal: keeps, shrinks by x or grows by x."""
    if not math.isfinite(factor):
        return "overflows"
    if is_kept(factor):
        return "keeps"
    if factor == 0:
        return "vanishes"
    return f"grows by {factor:.3g}" if factor > 1 else f"shrinks by {1 / factor:.3g}"
