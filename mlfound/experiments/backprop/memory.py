"""How much memory a piece of work takes while it runs, measured: not what its formula says."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes(work: Callable[[], object], device: torch.device) -> int | None:
    """How far memory rose above where it stood before: on a GPU torch's, else the process's resident memory.

    Work that was done before is best: what a library keeps after its first call is then no part of it. None
    where the system (all but Linux) cannot say.
    """
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what is free but still held would be used again unseen
        RESET.write_text("5")  # the highest mark is now where we stand
    except (OSError, AttributeError):
        return None
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes of resident memory: now (VmRSS), or at most since the mark was reset (VmHWM)."""
    lines = STATUS.read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith(field))
    return 1024 * int(kilobytes)
