"""What the lesson's task shows: a table and a picture for each pass, the memory, and how we stand to the library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlfound.config.models import BackpropBenchConfig
from mlfound.results import Column, Picture, Result, Table
from mlfound.stats.timing import Timing

FORWARD = "forward"
BACKWARD = "backward"
FULL_BACKWARD = "backward-with-input"
VALIDATION = "forward-validation"
TITLES = {
    FORWARD: "Forward",
    BACKWARD: "Backward to the weights",
    FULL_BACKWARD: "Backward to the weights and the input",
    VALIDATION: "Forward on the validation rows",
}

LESSON_ROWS = {FORWARD: 50_000, BACKWARD: 50_000, FULL_BACKWARD: 50_000, VALIDATION: 10_000}
# The lesson's own stages always take the gradient of the input, too; its library's row never does.
LESSON_SECONDS = {
    ("classes-outer", FORWARD): 59.6e-3,
    ("modules-einsum", FORWARD): 44.3e-3,
    ("modules-einsum", FULL_BACKWARD): 174e-3,
    ("modules", FORWARD): 45.8e-3,
    ("modules", FULL_BACKWARD): 158e-3,
    ("torch-nn", FORWARD): 40.5e-3,
    ("torch-nn", BACKWARD): 33.8e-3,
    ("functions", VALIDATION): 6.71e-3,
}
NOTEBOOK_SECONDS = {
    ("classes-outer", FORWARD): 70.7e-3,
    ("classes-outer", FULL_BACKWARD): 3.4,
    ("modules-einsum", FORWARD): 46.3e-3,
    ("modules-einsum", FULL_BACKWARD): 140e-3,
    ("modules", FORWARD): 46.4e-3,
    ("modules", FULL_BACKWARD): 140e-3,
    ("torch-nn", FORWARD): 46.3e-3,
    ("torch-nn", BACKWARD): 71.1e-3,
}

COLUMNS = (
    Column("impl", "stage"),
    Column("rows", format=","),
    Column("median_s", "median", "duration"),
    Column("iqr_s", "IQR", "duration"),
    Column("n", format=","),
    Column("lesson_s", "lesson", "duration"),
    Column("notebook_s", "notebook", "duration"),
    Column("note"),
)


@dataclass(frozen=True)
class Lap:
    """One pass of one stage over so many rows, and how long it took."""

    impl: str
    part: str
    rows: int
    timing: Timing


def report(config: BackpropBenchConfig, laps: Sequence[Lap], peaks: Mapping[str, int | None]) -> Result:
    """The laps of one run, and the memory's peaks in bytes by stage."""
    threads = "1 thread" if config.threads == 1 else f"{config.threads} threads"
    where = f"{config.device}, {threads}"
    by_part = [[lap for lap in laps if lap.part == part] for part in TITLES]
    seconds = {(lap.impl, lap.part): lap.timing.median for lap in laps}
    return Result(
        metrics={
            **{f"{impl}_{part}_median_s": value for (impl, part), value in seconds.items()},
            **ratios(seconds),
        },
        findings=findings(seconds),
        tables=[*(table(part, where) for part in by_part if part), memory(laps, peaks)],
        pictures=[picture(part, where) for part in by_part if part],
    )


def table(laps: Sequence[Lap], where: str) -> Table:
    """All stages in one pass."""
    return Table(laps[0].part, f"{TITLES[laps[0].part]}, {where}", COLUMNS, [row(lap, laps) for lap in laps])


def row(lap: Lap, laps: Sequence[Lap]) -> tuple[Any, ...]:
    """One stage beside the lesson's figures."""
    timing = lap.timing
    notes = [f"the others {most(laps):,} rows"] if lap.rows < most(laps) else []
    notes += ["noisy"] if timing.noisy else []
    return (
        lap.impl,
        lap.rows,
        timing.median,
        timing.iqr,
        timing.n,
        told(LESSON_SECONDS, lap, laps),
        told(NOTEBOOK_SECONDS, lap, laps),
        ", ".join(notes),
    )


def most(laps: Sequence[Lap]) -> int:
    return max(lap.rows for lap in laps)


def told(seconds: Mapping[tuple[str, str], float], lap: Lap, laps: Sequence[Lap]) -> float | None:
    """What the lesson has for a stage, on another machine, where its task is ours."""
    return seconds.get((lap.impl, lap.part)) if most(laps) == LESSON_ROWS[lap.part] else None


def memory(laps: Sequence[Lap], peaks: Mapping[str, int | None]) -> Table:
    """What forward and backward hold at once beside the images and the weights, the input's gradient included."""
    rows = {lap.impl: lap.rows for lap in laps if lap.part == FULL_BACKWARD}
    title = "Memory at the peak of forward and backward, beside images and weights"
    columns = (Column("impl", "stage"), Column("rows", format=","), Column("peak_mb", "MB", ",.0f"))
    return Table(
        "memory",
        title,
        columns,
        [(impl, rows[impl], None if peak is None else peak / 1e6) for impl, peak in peaks.items()],
    )


def ratios(seconds: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Our last stage against the library, forward and backward together, without and with the input's gradient."""
    if not {"modules", "torch-nn"} <= {impl for impl, _ in seconds}:
        return {}
    return {
        f"modules_over_torch_nn_{back}": (seconds["modules", FORWARD] + seconds["modules", back])
        / (seconds["torch-nn", FORWARD] + seconds["torch-nn", back])
        for back in (BACKWARD, FULL_BACKWARD)
    }


def findings(seconds: Mapping[tuple[str, str], float]) -> list[str]:
    """What the ladder teaches here."""
    said = []
    if ratio := ratios(seconds):
        weights, everything = ratio.values()
        said.append(
            f"Forward and backward, modules take {weights:.2f} times as long as torch-nn, "
            f"and {everything:.2f} times when both also take the gradient of the input."
        )
        share = 1 - seconds["modules", BACKWARD] / seconds["modules", FULL_BACKWARD]
        said.append(
            f"The gradient of the input, which nobody needs, is {share:.0%} of the whole backward pass. The lesson's "
            "stages take it and its library's row does not: much of why the library looked 2 to 5 times as fast."
        )
    return said


def picture(laps: Sequence[Lap], where: str) -> Picture:
    """All stages in one pass, as bars."""
    quarters = [lap.timing.quartiles for lap in laps]
    data = {
        "title": f"{TITLES[laps[0].part]}, {most(laps):,} rows, {where}",
        "names": [lap.impl if lap.rows == most(laps) else f"{lap.impl}, {lap.rows:,} rows" for lap in laps],
        "median_s": [lap.timing.median for lap in laps],
        "low_s": [low for low, _ in quarters],
        "high_s": [high for _, high in quarters],
        "lesson_s": [told(LESSON_SECONDS, lap, laps) for lap in laps],
    }
    return Picture(laps[0].part, "duration_bars", data)
