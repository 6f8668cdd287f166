"""How a duration is measured: everything side by side in interleaved rounds, so that all meet the same machine.

A sample is one block of calls, long enough for the clock. Before each a calibration kernel runs, about as long as
one call: the same work in every run, so that two runs can be compared though the machine's load has changed.
"""

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter
from typing import Any

Candidate = Callable[[], object]
Timer = Callable[[Candidate, int], float]  # seconds for so many calls

BLOCK_SECONDS = (
    1e-3  # on a shared machine most blocks this short run undisturbed, and the median is one of them
)
MAX_CALIBRATION_SECONDS = 0.1  # before a slow candidate
MIN_ROUNDS = 3  # where all take part in each: fewer have no interquartile range
NOISY_IQR = 0.1  # of the median


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
        """The lower and the upper quartile."""
        return quartiles(self.seconds)

    @property
    def iqr(self) -> float | None:
        """The width of the interquartile range; None for a single sample."""
        low, high = self.quartiles
        return high - low if self.n > 1 else None

    @property
    def noisy(self) -> bool:
        """Whether the interquartile range is wider than a tenth of the median."""
        return self.iqr is not None and self.iqr > NOISY_IQR * self.median

    def times_as_fast_as(self, other: "Timing") -> "Ratio":
        """How often this fits into `other`, which was timed in the same rounds."""
        return Ratio([theirs / own for own, theirs in zip(self.seconds, other.seconds, strict=True)])

    @property
    def relative(self) -> list[float]:
        """Sample by sample, in calibration kernels: what slowed a whole round down cancels out."""
        return [own / kernel for own, kernel in zip(self.seconds, self.calibration, strict=True)]


@dataclass(frozen=True)
class Ratio:
    """One candidate's seconds over another's, round by round: what slowed a round down has slowed down both."""

    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper quartile."""
        return quartiles(self.rounds)


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
    """The timer for a torch device: events on a CUDA GPU, the system's clock elsewhere."""
    return CudaTimer(device) if device.type == "cuda" else on_cpu


def prepared(timer: Timer) -> Timer:
    """`timer` for candidates that first set something up, which is not timed, and give back what is."""

    def after_setting_up(candidate: Callable[[], Any], calls: int) -> float:
        return sum(timer(candidate(), 1) for _ in range(calls))

    return after_setting_up


class CudaTimer:
    """Seconds by events on the GPU itself; what a call finds in the cache is only what it brings along."""

    FLUSH = 2**28  # bytes: more than any cache

    def __init__(self, device: Any) -> None:
        import torch

        self.torch, self.rubbish = torch, torch.empty(self.FLUSH, dtype=torch.int8, device=device)

    def __call__(self, candidate: Candidate, calls: int) -> float:
        event: Any = self.torch.cuda.Event
        events = []
        for _ in range(calls):
            self.rubbish.zero_()
            start, end = (event(enable_timing=True) for _ in range(2))
            start.record()
            candidate()
            end.record()
            events.append((start, end))
        self.torch.cuda.synchronize()
        return float(sum(start.elapsed_time(end) for start, end in events)) / 1000


def kernel() -> float:
    """The calibration kernel: a fixed piece of arithmetic in Python, some 0.3 ms, no memory to speak of."""
    total = 0.0
    for i in range(4_000):
        total += math.sqrt(i)
    return total


def measure(
    candidates: Mapping[str, Candidate],
    budget: float,
    block: float | None = BLOCK_SECONDS,
    timer: Timer = on_cpu,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Timing]:
    """Every candidate for about `budget` seconds of its own, in as many rounds as `block` seconds go into them.

    A quick candidate is called in blocks. One whose single call takes longer than a block sits out so many rounds,
    evenly spread, that its budget lasts; it runs once at least. With `block` None a block is as long as the slowest
    call: all take part in every round, so that ratios can be taken round by round. `on_progress` is called with the
    number of rounds done, and of all.
    """
    kernel_seconds = min(on_cpu(kernel, 1) for _ in range(20))
    once = {
        name: max(min(timer(call, 1) for _ in range(2)), 1e-9) for name, call in candidates.items()
    }  # warms up
    min_rounds = MIN_ROUNDS if block is None else 1
    block = block or max(once.values(), default=BLOCK_SECONDS)
    rounds = max(min_rounds, round(budget / block))
    calls = {name: max(1, round(block / seconds)) for name, seconds in once.items()}
    kernels = {
        name: max(1, round(min(seconds, MAX_CALIBRATION_SECONDS) / kernel_seconds))
        for name, seconds in once.items()
    }
    turns = {name: turns_of(min(1.0, block / seconds), rounds) for name, seconds in once.items()}
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    with no_garbage_collection():
        for number in range(rounds):
            # so that no candidate always follows the same neighbour
            for name in list(candidates)[:: 1 if number % 2 else -1]:
                if number in turns[name]:
                    calibration = on_cpu(kernel, kernels[name]) / kernels[name]
                    samples[name].append((timer(candidates[name], calls[name]) / calls[name], calibration))
            on_progress(number + 1, rounds)
    return {name: Timing(*zip(*pairs, strict=True)) for name, pairs in samples.items()}


def turns_of(frequency: float, rounds: int) -> set[int]:
    """The rounds, evenly spread, that a candidate takes part in: `frequency` of them, at least one."""
    count = max(1, round(frequency * rounds))
    return {(2 * turn + 1) * rounds // (2 * count) for turn in range(count)}


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Python's cycle collector off, as timeit has it: it would fall on whoever is running."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
