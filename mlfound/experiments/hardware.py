"""What a config asks of the machine: device, threads, memory. Resolved by rule, so that a repeat repeats."""

import os
from typing import Literal

import torch

from mlfound.errors import UserError


def resolve_device(name: str) -> torch.device:
    """`auto` is the first CUDA device where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError("this machine has no Apple GPU that torch can use; write cpu", key="device")
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            have = torch.cuda.device_count()
            seen = f"has {have} CUDA GPU{'s' * (have != 1)} that torch can use" if have else "has no CUDA GPU that torch can use"
            raise UserError(f"{name!r} is not here: this machine {seen}; write cpu", key="device")
        return torch.device("cuda", index)
    return torch.device(name)


def use_threads(threads: int | Literal["auto"], products: float) -> int:
    """Let torch work with so many threads, and say how many.

    `auto` goes by the multiplications of the largest product of a step: below WORTH_TWO two threads wait for
    each other longer than they work.
    """
    if threads == "auto":
        threads = min(os.cpu_count() or 1, 4) if products >= WORTH_TWO else 1
    torch.set_num_threads(threads)
    return threads


def require_memory(needed: float, key: str, what: str) -> None:
    """Refuse before allocating: `needed` bytes against the memory of the machine."""
    if not hasattr(os, "sysconf"):
        return
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > have:
        raise UserError(
            f"{what} needs about {needed / 1e9:,.0f} GB, this machine has {have / 1e9:,.0f} GB; write less", key=key
        )


WORTH_TWO = 20e6
