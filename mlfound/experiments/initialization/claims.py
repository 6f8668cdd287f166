"""What the parts say in the same way: the lesson's claims, a figure beside theory, what became of a signal."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from mlfound.results import Column, Result, Table
from mlfound.stats.estimates import Estimate

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

    @property
    def value(self) -> float:
        return self.measured.value if isinstance(self.measured, Estimate) else self.measured

    @property
    def half_width(self) -> float | None:
        """Half of the 95% interval; None of a single number."""
        return self.measured.half if isinstance(self.measured, Estimate) else None


def factor_claim(claim: str, factor: Estimate, theory: float, holds: bool, lesson: str = "") -> Claim:
    """Of the root mean square that comes out over that which went in."""
    return Claim(claim, "signal out / in", factor, theory, holds, lesson)


def claim_table(claims: Sequence[Claim]) -> list[Table]:
    """The claims of a part; no table where there are none."""
    columns = (
        Column("claim"),
        Column("figure", "what was measured"),
        Column("measured", format=".4g", of="value"),
        Column("half_width", "±", ".2g"),
        Column("theory", format=".4g"),
        Column("lesson"),
        Column("holds", "holds?"),
    )
    return [Table.of("claims", "The lesson's claims", columns, claims)] if claims else []


def with_one_claim_table(result: Result) -> Result:
    """The parts' tables of claims as one, under the other tables."""
    claims = [table for table in result.tables if table.name == "claims"]
    tables = [table for table in result.tables if table.name != "claims"]
    if claims:
        tables.append(replace(claims[0], rows=[row for table in claims for row in table.rows]))
    return replace(result, tables=tables)


class Theory(NamedTuple):
    """What the numbers that come out must have."""

    mean: float
    std: float


def columns_beside_theory(name: str, label: str = "") -> list[Column]:
    """Of records with an estimate `name`, "mean" or "std": its value, half of its interval, the theory's."""
    return [
        Column(name, label, "z.4f", f"{name}.value"),
        Column(f"{name}_half_width", "±", ".4f", f"{name}.half"),
        Column(f"{name}_theory", "theory", "z.4f", in_theory(name)),
    ]


def in_theory(name: str) -> Any:
    """For a column: the `mean` or `std` of a record's theory; None where it has none."""
    return lambda record: record.theory and getattr(record.theory, name)


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
