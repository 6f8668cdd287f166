"""How much memory a piece of work takes while it runs, measured: not what its formula says."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes(work: Callable[[], object], device: torch.device) -> int | None:
    """How far memory rose above where it stood before: on a GPU torch's, else the process's resident memory.

    Best of work that was done before: what a library keeps after its first call is then not counted. None where the
    system (all but Linux) does not tell.
    """
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what is free but still held would be used again unseen
        RESET.write_text("5")  # the peak is now what it takes now
    except (OSError, AttributeError):
        return None
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes of resident memory: now (VmRSS), or at most since the peak was reset (VmHWM)."""
    [line] = (line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])
