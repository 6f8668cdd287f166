"""How a duration is measured: everything side by side in interleaved rounds, so that all meet the same machine.

A sample is one block of calls, long enough for the clock. Before each a calibration kernel runs, about as long as
one call: the same work in every run, so that two runs can be compared though the machine's load has changed.
"""

import gc
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)
Candidate = Callable[[], object]
Timer = Callable[[Candidate, int], float]  # seconds for so many calls

BLOCK_SECONDS = 1e-3  # on a shared machine most blocks this short are undisturbed, the median too
MAX_CALIBRATION_SECONDS = 0.1  # before a slow candidate
MIN_ROUNDS = 3  # where all take part in each: fewer have no interquartile range
NOISY_IQR = 0.1  # of the median
FLUSHED_BYTES = 2**28  # more than any cache of a GPU


@dataclass(frozen=True)
class Timing:
    """What one candidate took: `seconds` per call, one per sample; `calibration`: the kernel's just before it."""

    seconds: Sequence[float]
    calibration: Sequence[float]

    @property
    def n(self) -> int:
        return len(self.seconds)

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        return quartiles(self.seconds)

    @property
    def iqr(self) -> float | None:
        """The width of the interquartile range; None for a single sample."""
        low, high = self.quartiles
        return high - low if self.n > 1 else None

    @property
    def noisy(self) -> bool:
        return self.iqr is not None and self.iqr > NOISY_IQR * self.median

    @property
    def relative(self) -> list[float]:
        """Sample by sample, in calibration kernels: what slowed a whole round down cancels out."""
        return [own / kernel for own, kernel in zip(self.seconds, self.calibration, strict=True)]

    def times_as_fast_as(self, other: "Timing") -> list[float]:
        """How often this fits into `other`, round by round: both are from one `measure` without a block."""
        return [theirs / own for own, theirs in zip(self.seconds, other.seconds, strict=True)]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper quartile; of a single value, that value twice."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def on_cpu(candidate: Candidate, calls: int) -> float:
    """Seconds for `calls` calls, by the system's finest clock."""
    start = perf_counter()
    for _ in range(calls):
        candidate()
    return perf_counter() - start


def timer_of(device: Any) -> Timer:
    """The timer for a torch device: events on a CUDA GPU, with its cache flushed before each call; else `on_cpu`."""
    if device.type != "cuda":
        return on_cpu
    import torch

    event: Any = torch.cuda.Event
    flushed = torch.empty(FLUSHED_BYTES, dtype=torch.int8, device=device)

    def on_gpu(candidate: Candidate, calls: int) -> float:
        events = []
        for _ in range(calls):
            flushed.zero_()
            start, end = event(enable_timing=True), event(enable_timing=True)
            start.record()
            candidate()
            end.record()
            events.append((start, end))
        torch.cuda.synchronize()
        return float(sum(start.elapsed_time(end) for start, end in events)) / 1000

    return on_gpu


def prepared(timer: Timer) -> Timer:
    """`timer` for candidates that first set something up, which is not timed, and give back what is."""

    def after_setting_up(candidate: Callable[[], Any], calls: int) -> float:
        return sum(timer(candidate(), 1) for _ in range(calls))

    return after_setting_up


def kernel() -> float:
    """The calibration kernel: a fixed piece of arithmetic in Python, some 0.3 ms, no memory to speak of."""
    total = 0.0
    for i in range(4_000):
        total += math.sqrt(i)
    return total


def measure(
    candidates: Mapping[Name, Candidate],
    budget: float,
    block: float | None = BLOCK_SECONDS,
    timer: Timer = on_cpu,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Name, Timing]:
    """Every candidate for about `budget` seconds of its own, in as many rounds as `block` seconds go into them.

    A quick candidate is called in blocks. One whose single call takes longer than a block sits out so many rounds,
    evenly spread, that its budget lasts; it runs once at least. With `block` None a block is as long as the slowest
    call: all take part in every round, so that ratios can be taken round by round. `on_progress` is called with the
    number of rounds done, and of all.
    """
    kernel_seconds = min(on_cpu(kernel, 1) for _ in range(20))
    once = {name: max(min(timer(call, 1), timer(call, 1)), 1e-9) for name, call in candidates.items()}
    min_rounds = MIN_ROUNDS if block is None else 1
    block = block or max(once.values(), default=BLOCK_SECONDS)
    rounds = max(min_rounds, round(budget / block))
    turns = {name: turns_of(min(1.0, block / seconds), rounds) for name, seconds in once.items()}
    samples: dict[Name, list[tuple[float, float]]] = {name: [] for name in candidates}
    collecting = gc.isenabled()
    gc.disable()  # as timeit does: it would run in whichever candidate's turn it is
    try:
        for number in range(rounds):
            # so that no candidate always follows the same neighbour
            for name in list(candidates)[:: 1 if number % 2 else -1]:
                if number in turns[name]:
                    calls = max(1, round(block / once[name]))
                    kernels = max(1, round(min(once[name], MAX_CALIBRATION_SECONDS) / kernel_seconds))
                    calibration = on_cpu(kernel, kernels) / kernels
                    samples[name].append((timer(candidates[name], calls) / calls, calibration))
            on_progress(number + 1, rounds)
    finally:
        if collecting:
            gc.enable()
    return {name: Timing(*zip(*pairs, strict=True)) for name, pairs in samples.items()}


def turns_of(frequency: float, rounds: int) -> set[int]:
    """The rounds, evenly spread, that a candidate takes part in: `frequency` of them, at least one."""
    count = max(1, round(frequency * rounds))
    return {(2 * turn + 1) * rounds // (2 * count) for turn in range(count)}
