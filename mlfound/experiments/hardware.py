"""What a config asks of the machine: device, threads, memory. Resolved by rule, so that a repeat repeats."""

import math
import os
from typing import Literal

import torch

from mlfound.errors import UserError
from mlfound.experiments import cgroups

# Multiplications of one product. Two threads save at most a third of the time of smaller ones, and take many times
# as long as one as soon as another program wants the second core: they wait for each other at every product.
WORTH_MORE_THREADS = 1e8

CPU = torch.device("cpu")


def resolve_device(name: str) -> torch.device:
    """`auto` is the first CUDA device where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError("this machine has no Apple GPU that torch can use; write cpu", key="device")
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            have = torch.cuda.device_count() or "no"
            raise UserError(f"torch sees {have} CUDA GPU here; write cpu, or auto", key="device")
        return torch.device("cuda", index)
    return torch.device(name)


def use_threads(threads: int | Literal["auto"], multiplications: float) -> int:
    """Let torch work with so many threads, and say how many.

    `auto` goes by the multiplications in the largest matrix product of a step: one thread below WORTH_MORE_THREADS,
    all `cores` above.
    """
    if not isinstance(threads, int):
        threads = cores() if multiplications >= WORTH_MORE_THREADS else 1
    torch.set_num_threads(threads)
    return threads


def cores() -> int:
    """How many this process may use: those of its affinity, and no more than its control group has time for."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return math.ceil(min(allowed, cgroups.cpu_quota()))


def require_memory(needed: float, key: str, what: str, device: torch.device = CPU) -> None:
    """Refuse before allocating: `needed` bytes against the memory that there is for them."""
    have = memory_bytes(device)
    if needed > have:
        where = "this GPU has" if device.type == "cuda" else "this process may use"
        size = f"about {needed / 1e9:,.0f} GB, and {where} {have / 1e9:,.0f} GB"
        raise UserError(f"{what} needs {size}; write less", key=key)


def memory_bytes(device: torch.device = CPU) -> float:
    """What this process may use of the machine's, or all of a CUDA device's; infinite where it cannot be asked."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if not hasattr(os, "sysconf"):
        return math.inf
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), cgroups.memory_limit())
