"""What this machine can do at best, measured in the same run: arithmetic and memory traffic, for the roofline.

Source: Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from mlfound.foundations.matmul import MATMULS, unavailable
from mlfound.stats.timing import timer_of

SIDES = (512, 1024)  # of the products that are to reach the peak: 3 and 12 MB in float32
TRAFFIC = 2**26  # bytes copied to find the bandwidth: beyond any cache of a core
TRIES = 15
BACKENDS = ("matmul", "onednn")  # the rungs that lead out of torch


@dataclass(frozen=True)
class Machine:
    """The best seen of each: a bound is about what is possible, not about what is usual."""

    flop_per_s: float
    bytes_per_s: float
    backend: str  # the rung that reached the peak

    def roofline(self, flop: float, traffic: float) -> float:
        """FLOP/s that a kernel may reach which moves `traffic` bytes to and from memory once."""
        return min(self.flop_per_s, flop / traffic * self.bytes_per_s)


def measure_machine(device: torch.device, dtype: torch.dtype) -> Machine:
    """The fastest large product of any back-end, and the fastest large copy, by the threads that torch uses now."""
    timer = timer_of(device)

    def best(work: Callable[[], object]) -> float:
        """The shortest of a few calls, in seconds, after one that is not counted."""
        return min([timer(work, 1) for _ in range(1 + TRIES)][1:])

    flop_per_s = {}
    for side in SIDES:
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        for name in BACKENDS:
            if unavailable(name, device, dtype) is None:
                flop_per_s[name, side] = 2 * side**3 / best(partial(MATMULS[name], a, b))
    backend, _ = fastest = max(flop_per_s, key=lambda run: flop_per_s[run])
    source = torch.ones(TRAFFIC // 4, device=device)
    target = torch.empty_like(source)
    return Machine(flop_per_s[fastest], 2 * TRAFFIC / best(lambda: target.copy_(source)), backend)
