"""What a climb of the matmul ladder shows: the table, the sentences, the pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mlfound.config.models import MatmulBenchConfig
from mlfound.experiments.machine import Machine
from mlfound.results import Check, Column, Picture, Result, Table
from mlfound.stats.timing import Timing

LESSON_SHAPE = (5, 784, 10)
LESSON_SECONDS = {"loops": 0.606, "dot": 1.57e-3, "broadcast": 421e-6, "einsum": 47.7e-6, "matmul": 14e-6}
LAUNCH_BOUND = 10e-6  # seconds: on a GPU, a kernel's launch takes about as long

COLUMNS = (
    Column("impl", "rung"),
    Column("shape"),
    Column("median_s", "median", "duration"),
    Column("iqr_s", "IQR", "duration"),
    Column("n", format=","),
    Column("speedup", "times loops", ",.0f"),
    Column("gflop_per_s", "GFLOP/s", ".3g"),
    Column("peak_share", "of peak", ".2%"),
    Column("roofline_gflop_per_s", "roofline", ".3g"),
    Column("error", "error/bound", ".1e"),
    Column("lesson_s", "lesson", "duration"),
    Column("note"),
)


@dataclass(frozen=True)
class Climb:
    """One rung at one shape (m, k, n): why it was left out, or its error in units of the bound and its timing."""

    impl: str
    shape: tuple[int, int, int]
    skipped: str = ""
    error: float | None = None
    timing: Timing | None = None

    @property
    def right(self) -> bool:
        """It ran, and its product is within what rounding may cost."""
        return self.error is not None and self.error <= 1

    @property
    def flop(self) -> float:
        """A multiplication and an addition for each of m k n."""
        return 2.0 * math.prod(self.shape)

    @property
    def gflop_per_s(self) -> float | None:
        return self.flop / self.timing.median / 1e9 if self.timing else None

    @property
    def lesson_seconds(self) -> float | None:
        """What the lesson's text gives for this rung, on another machine."""
        return LESSON_SECONDS.get(self.impl) if self.shape == LESSON_SHAPE else None


def report(config: MatmulBenchConfig, machine: Machine, climbs: Sequence[Climb]) -> Result:
    """The climbs of one run, all shapes; a rung whose product is wrong fails its check."""
    timed = [climb for climb in climbs if climb.timing]
    errors: dict[str, float] = {}
    for climb in climbs:
        if climb.error is not None:
            errors[label(climb)] = max(climb.error, errors.get(label(climb), 0.0))
    checks = [
        Check(f"{shape}: worst error in units of its bound", e <= 1, e, 1.0) for shape, e in errors.items()
    ]
    metrics = {f"{c.impl}_{label(c)}_median_s": c.timing.median for c in timed if c.timing}
    replicates = [
        (c.impl, label(c), seconds, kernel)
        for c in timed
        if c.timing
        for seconds, kernel in zip(c.timing.seconds, c.timing.calibration, strict=True)
    ]
    columns = [Column(name) for name in ("impl", "shape", "seconds", "calibration_s")]
    return Result(
        metrics={
            **metrics,
            "peak_gflop_per_s": machine.flop_per_s / 1e9,
            "gbyte_per_s": machine.bytes_per_s / 1e9,
        },
        checks=checks,
        findings=findings(config, machine, climbs),
        tables=[
            Table(
                "matmul", title(config), COLUMNS, [row(climb, machine, climbs, config) for climb in climbs]
            ),
            Table("replicates", "Replicates", columns, replicates, shown=False),
        ],
        pictures=pictures(config, machine, timed),
    )


def label(climb: Climb) -> str:
    return "x".join(map(str, climb.shape))


def title(config: MatmulBenchConfig) -> str:
    threads = "1 thread" if config.threads == 1 else f"{config.threads} threads"
    return f"Matrix multiplication, {config.dtype}, {config.device}, {threads}"


def row(
    climb: Climb, machine: Machine, climbs: Sequence[Climb], config: MatmulBenchConfig
) -> tuple[Any, ...]:
    """One line of the table; a rung that was not timed has its reason as its note."""
    timing, roofline = climb.timing, roofline_of(climb, machine, config) / 1e9
    if timing is None:
        note = climb.skipped or "wrong product: not timed"
        unknown = (None,) * 6
        return (climb.impl, label(climb), *unknown, roofline, climb.error, climb.lesson_seconds, note)
    loops = next((c.timing for c in climbs if c.impl == "loops" and c.shape == climb.shape), None)
    rate = climb.flop / timing.median
    notes = ["noisy"] if timing.noisy else []
    if config.device.startswith("cuda") and timing.median < LAUNCH_BOUND:
        notes.append("launch-bound")
    return (
        climb.impl,
        label(climb),
        timing.median,
        timing.iqr,
        timing.n,
        loops.median / timing.median if loops else None,
        rate / 1e9,
        rate / machine.flop_per_s,
        roofline,
        climb.error,
        climb.lesson_seconds,
        ", ".join(notes),
    )


def roofline_of(climb: Climb, machine: Machine, config: MatmulBenchConfig) -> float:
    """FLOP/s that the machine allows at this shape if operands and result cross the memory bus once."""
    m, k, n = climb.shape
    return machine.roofline(climb.flop, (m * k + k * n + m * n) * getattr(torch, config.dtype).itemsize)


def findings(config: MatmulBenchConfig, machine: Machine, climbs: Sequence[Climb]) -> list[str]:
    """The machine's limits, and what the ladder teaches here."""
    said = [
        f"This machine was seen to do {machine.flop_per_s / 1e9:,.0f} GFLOP/s (a large product, {machine.backend}) "
        f"and {machine.bytes_per_s / 1e9:,.0f} GB/s to and from memory: the roofline's two limits. "
        "What stays in the cache may pass the second."
    ]
    if config.device.startswith("cuda"):
        allowed = torch.backends.cuda.matmul.allow_tf32
        said.append(f"TF32, which keeps 10 bits of float32's 23, is {'on' if allowed else 'off'}.")
    seconds = {(c.impl, c.shape): c.timing.median for c in climbs if c.timing}
    for shape in dict.fromkeys(c.shape for c in climbs):
        at = {impl: value for (impl, its), value in seconds.items() if its == shape}
        where = "x".join(map(str, shape))
        if "loops" in at and "python" in at:
            times = at["loops"] / at["python"]
            said.append(
                f"{where}: the same three loops take {times:,.0f} times longer over tensors than over lists: "
                "most of that time goes into reaching single elements of a tensor."
            )
        if "matmul" in at and "onednn" in at and at["onednn"] < 0.9 * at["matmul"]:
            times = at["matmul"] / at["onednn"]
            said.append(f"{where}: oneDNN is {times:.1f} times as fast as torch's own @ on this processor.")
    return said


def pictures(config: MatmulBenchConfig, machine: Machine, timed: Sequence[Climb]) -> list[Picture]:
    """The ladder of each shape as bars; with several shapes also speed against size, below the roofline."""
    shapes = list(dict.fromkeys(climb.shape for climb in timed))
    drawn = [ladder(config, [climb for climb in timed if climb.shape == shape]) for shape in shapes]
    if len(shapes) > 1:
        rates = {(climb.impl, climb.shape): climb.gflop_per_s for climb in timed}
        one_each = [next(climb for climb in timed if climb.shape == shape) for shape in shapes]
        data = {
            "title": title(config),
            "shapes": [label(climb) for climb in one_each],
            "flop": [climb.flop for climb in one_each],
            "gflop_per_s": {
                impl: [rates.get((impl, shape)) for shape in shapes]
                for impl in dict.fromkeys(climb.impl for climb in timed)
            },
            "roofline": [roofline_of(climb, machine, config) / 1e9 for climb in one_each],
        }
        drawn.append(Picture("speeds", "speeds", data))
    return drawn


def ladder(config: MatmulBenchConfig, climbs: Sequence[Climb]) -> Picture:
    """One shape's rungs, in teaching order."""
    quarters = [climb.timing.quartiles for climb in climbs if climb.timing]
    data = {
        "title": f"{title(config)}, {label(climbs[0])}",
        "names": [climb.impl for climb in climbs],
        "median_s": [climb.timing.median for climb in climbs if climb.timing],
        "low_s": [low for low, _ in quarters],
        "high_s": [high for _, high in quarters],
        "lesson_s": [climb.lesson_seconds for climb in climbs],
    }
    return Picture(f"ladder-{label(climbs[0])}", "duration_bars", data)
