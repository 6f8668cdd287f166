"""The matmul ladder at one shape or several: each rung held against float64, then all timed side by side."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor

from mlfound import hardware
from mlfound.config.benches import MatmulBenchConfig
from mlfound.experiments.benches import TIMING, Measurement, duration_dots, machine_words, replicates
from mlfound.experiments.matmul.roofline import Machine
from mlfound.foundations.checks import matmul_error
from mlfound.foundations.matmul import MATMULS, Matmul, unavailable
from mlfound.results import Check, Column, Context, Picture, Result, Table
from mlfound.stats.timing import measure, timer_of

MAX_CALL_SECONDS = 60.0  # a rung whose single call would take longer is not run
TELLING_SECONDS = 0.05  # how long a shrunken product must take to say something about the whole
LAUNCH_SECONDS = 10e-6  # on a GPU, a kernel's launch takes about as long
LESSON_SHAPE = "5x784x10"
LESSON_SECONDS = {"loops": 0.606, "dot": 1.57e-3, "broadcast": 421e-6, "einsum": 47.7e-6, "matmul": 14e-6}


@dataclass(frozen=True, kw_only=True)
class RungMeasurement(Measurement):
    """One rung at one shape: why it was left out, or its error in units of the bound and its timing."""

    shape: str  # m x k x n: `5x784x10`
    flop: float  # a multiplication and an addition for each of m k n
    roofline: float  # FLOP/s that the machine allows if operands and result cross the memory bus once
    skipped: str = ""
    error: float | None = None

    @property
    def gflop_per_s(self) -> float | None:
        return self.flop / self.timing.median / 1e9 if self.timing else None

    @property
    def lesson_s(self) -> float | None:
        """What the lesson's text gives for this rung, on another machine."""
        return LESSON_SECONDS.get(self.impl) if self.shape == LESSON_SHAPE else None


def measure_ladder(
    config: MatmulBenchConfig, machine: Machine, a: Tensor, b: Tensor, context: Context
) -> list[RungMeasurement]:
    """All rungs at one shape: those that can run and are right are timed together, in interleaved rounds."""
    measurements = [check_rung(name, machine, a, b) for name in MATMULS if name in config.impl]
    right = [each.impl for each in measurements if each.error is not None and each.error <= 1]
    timings = measure(
        {impl: partial(MATMULS[impl], a, b) for impl in right},
        config.budget,
        timer=timer_of(a.device),
        on_progress=partial(context.recorder.progress, measurements[0].shape),
    )
    return [replace(each, timing=timings.get(each.impl)) for each in measurements]


def check_rung(impl: str, machine: Machine, a: Tensor, b: Tensor) -> RungMeasurement:
    """Whether a rung can run here at all, in time and in memory, and whether its product is right."""
    (m, k), n = a.shape, b.shape[1]
    flop = 2.0 * m * k * n
    roofline = machine.roofline(flop, (m * k + k * n + m * n) * a.element_size())
    rung = RungMeasurement(impl, shape=f"{m}x{k}x{n}", flop=flop, roofline=roofline)
    if reason := unavailable(impl, a.device, a.dtype):
        return replace(rung, skipped=reason)
    workspace = {"einsum-by-hand": m * k * n, "broadcast": k * n}.get(impl, k)  # beside operands and result
    if (needed := workspace * a.element_size()) > hardware.memory_bytes():
        return replace(rung, skipped=f"would hold {needed / 1e9:,.0f} GB at once")
    seconds = estimate(MATMULS[impl], a, b)
    if seconds > MAX_CALL_SECONDS:
        return replace(rung, skipped=f"one call would take about {seconds:,.0f} s (an estimate)")
    return replace(rung, error=matmul_error(MATMULS[impl](a, b), a, b))


def estimate(matmul: Matmul, a: Tensor, b: Tensor) -> float:
    """Seconds of one call: all three sizes are shrunk, then doubled until it takes TELLING_SECONDS, and so on."""
    before = math.inf
    for halvings in range(a.numel().bit_length(), -1, -1):
        m, k, n = (max(1, size >> halvings) for size in (*a.shape, b.shape[1]))
        start = perf_counter()
        matmul(a[:m, :k], b[:k, :n]).sum().item()  # a GPU is done only when a number is here
        seconds = perf_counter() - start
        if seconds > TELLING_SECONDS:
            growth = min(8.0, max(1.0, seconds / before))  # 8: the multiplications of a doubling
            return seconds * growth**halvings
        before = seconds
    return seconds


def report(config: MatmulBenchConfig, machine: Machine, measurements: Sequence[RungMeasurement]) -> Result:
    """The ladders of one run, all shapes; a rung whose product is wrong fails its check."""
    title = f"Matrix multiplication, {config.dtype}, {machine_words(config)}"
    errors, timed = defaultdict[str, list[float]](list), defaultdict[str, list[RungMeasurement]](list)
    for each in measurements:
        if each.error is not None:
            errors[each.shape].append(each.error)
        if each.timing:
            timed[each.shape].append(each)
    medians = {
        f"{each.impl}_{shape}_median_s": each.timed.median
        for shape, ladder in timed.items()
        for each in ladder
    }
    return Result(
        {**medians, "peak_gflop_per_s": machine.flop_per_s / 1e9, "gbyte_per_s": machine.bytes_per_s / 1e9},
        checks=[
            Check(f"{shape}: worst error in units of its bound", max(found) <= 1, max(found), 1.0)
            for shape, found in errors.items()
        ],
        findings=findings(config, machine, timed),
        tables=[
            ladder_table(title, config, machine, measurements),
            replicates(measurements, Column("impl"), Column("shape")),
        ],
        pictures=pictures(title, timed),
    )


def ladder_table(
    title: str, config: MatmulBenchConfig, machine: Machine, measurements: Sequence[RungMeasurement]
) -> Table:
    """A row for each rung at each shape; one that was not timed has its reason as its note."""
    loops = {each.shape: each.timing for each in reversed(measurements) if each.impl == "loops"}

    def speedup(each: RungMeasurement) -> float | None:
        slowest = loops.get(each.shape)
        return slowest.median / each.timing.median if slowest and each.timing else None

    def peak_share(each: RungMeasurement) -> float | None:
        return each.flop / each.timing.median / machine.flop_per_s if each.timing else None

    def note(each: RungMeasurement) -> str:
        if each.timing is None:
            return each.skipped or "wrong product: not timed"
        launch_bound = config.device.startswith("cuda") and each.timing.median < LAUNCH_SECONDS
        return ", ".join([*each.noisy, *(["launch-bound"] if launch_bound else [])])

    columns = (
        Column("impl", "rung"),
        Column("shape", rank=1),
        *TIMING,
        Column("speedup", "× loops", ",.0f", speedup),
        Column("gflop_per_s", "GFLOP/s", ".3g", rank=4),
        Column("peak_share", "of peak", ".2%", peak_share),
        Column("roofline_gflop_per_s", "roofline", ".3g", lambda each: each.roofline / 1e9, rank=5),
        Column("error", "error/bound", ".1e", rank=4),
        Column("lesson_s", "lesson", "duration", rank=3),
        Column("note", of=note, rank=3),
    )
    return Table.of("matmul", title, columns, measurements, shown="alone")


def findings(
    config: MatmulBenchConfig, machine: Machine, timed: Mapping[str, Sequence[RungMeasurement]]
) -> list[str]:
    """The machine's limits, and what the ladder teaches here."""
    sentences = [
        f"This machine does at most {machine.flop_per_s / 1e9:,.0f} GFLOP/s ({machine.source}) and moves "
        f"{machine.bytes_per_s / 1e9:,.0f} GB/s to and from memory, more where operands stay in a cache: the "
        "roofline's limits."
    ]
    if config.device.startswith("cuda"):
        allowed = torch.backends.cuda.matmul.allow_tf32
        sentences.append(f"TF32, which keeps 10 bits of float32's 23, is {'on' if allowed else 'off'}.")
    for shape, ladder in timed.items():
        at = {each.impl: each.timed.median for each in ladder}
        if "loops" in at and "python" in at:
            sentences.append(
                f"{shape}: the same three loops take {at['loops'] / at['python']:,.0f} times longer over tensors "
                "than over lists: most of that time goes into reaching single elements of a tensor."
            )
        if "matmul" in at and "onednn" in at and at["onednn"] < 0.9 * at["matmul"]:
            times = at["matmul"] / at["onednn"]
            sentences.append(
                f"{shape}: oneDNN is {times:.1f} times as fast as torch's own @ on this processor."
            )
    return sentences


def pictures(title: str, timed: Mapping[str, Sequence[RungMeasurement]]) -> list[Picture]:
    """The ladder of each shape as bars; with several shapes also speed against size, below the roofline."""
    drawn = []
    for shape, ladder in timed.items():
        dots = [(each.impl, each.timed, each.lesson_s) for each in ladder]
        drawn.append(duration_dots(f"ladder-{shape}", f"{title}, {shape}", dots))
    if len(timed) > 1:
        rates = [{each.impl: each.gflop_per_s for each in ladder} for ladder in timed.values()]
        firsts = [ladder[0] for ladder in timed.values()]
        data = {
            "title": title,
            "shapes": list(timed),
            "flop": [each.flop for each in firsts],
            "gflop_per_s": {impl: [rate.get(impl) for rate in rates] for rate in rates for impl in rate},
            "roofline": [each.roofline / 1e9 for each in firsts],
        }
        drawn.append(Picture("speeds", "speeds", data))
    return drawn
