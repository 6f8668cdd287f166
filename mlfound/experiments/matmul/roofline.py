"""What this machine can do at best, measured in the same run: arithmetic and memory traffic, for the roofline.

Source: Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch

from mlfound.foundations.matmul import MATMULS, unavailable
from mlfound.native import limits
from mlfound.stats.timing import timer_of

SIDES = (512, 1024)  # of the products that are to reach the peak: 3 and 12 MB in float32
TRAFFIC = 2**26  # bytes copied to find the bandwidth: beyond any cache of a core
TRIES = 15
BACKENDS = ("matmul", "onednn")  # the rungs that lead out of torch


@dataclass(frozen=True)
class Machine:
    """The best seen of each: a bound is about what is possible, not about what is usual."""

    flop_per_s: float
    bytes_per_s: float  # from and to memory
    source: str  # of the operations a second
    reading: Callable[[float], float]  # bytes a second from where operands of so many bytes lie

    def roofline(self, flop: float, traffic: float) -> float:
        """FLOP/s that a kernel may reach whose operands and result are `traffic` bytes, each moved once."""
        return min(self.flop_per_s, flop / traffic * self.reading(traffic))


def measure_machine(device: torch.device, dtype: torch.dtype, threads: int) -> Machine:
    """By compiled loops where they can be, which nothing beats; else by the fastest product, and a large copy."""
    timer = timer_of(device)

    def best(work: Callable[[], object]) -> float:
        """The shortest of a few calls, in seconds, after one that is not counted."""
        return min([timer(work, 1) for _ in range(1 + TRIES)][1:])

    source = torch.ones(TRAFFIC // 4, device=device)
    target = torch.empty_like(source)
    copying = 2 * TRAFFIC / best(lambda: target.copy_(source))
    if unavailable("c-tiled", device, dtype) is None:
        work, flop = limits.multiply_adds(dtype)

        @cache
        def reading(size: float) -> float:
            read, count = limits.reading(size, dtype)
            return max(copying, threads * count / best(read))

        return Machine(threads * flop / best(work), copying, "multiply-adds in registers", reading)

    flop_per_s = dict[str, float]()
    for side in SIDES:
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        for name in BACKENDS:
            if unavailable(name, device, dtype) is None:
                flop_per_s[name] = max(
                    flop_per_s.get(name, 0.0), 2 * side**3 / best(partial(MATMULS[name], a, b))
                )
    backend = max(flop_per_s, key=lambda name: flop_per_s[name])
    return Machine(flop_per_s[backend], copying, f"a large product by {backend}", lambda size: copying)
