"""What a config asks of the machine: device, threads, memory. Resolved by rule, so that a repeat repeats."""

import math
import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

import torch

from mlfound.errors import UserError

# Multiplications of a product by torch. Two threads save at most a third of the time of smaller ones, and take many
# times as long as one as soon as another program wants the second core: they wait for each other at every product.
WORTH_MORE_THREADS = 1e8

CPU = torch.device("cpu")
ROOT = Path("/")


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


@cache
def cpu_kind(root: Path = ROOT) -> tuple[str, int]:
    """The processor's maker, "AuthenticAMD" or "GenuineIntel", and its family; else the architecture and 0."""
    with suppress(OSError):
        cpuinfo = (root / "proc/cpuinfo").read_text()
        if found := re.search(r"^vendor_id\s*: (\S+)\ncpu family\s*: (\d+)", cpuinfo, re.MULTILINE):
            return found[1], int(found[2])
    name = platform.processor() or platform.machine()
    # Windows: "AMD64 Family 25 Model 17 Stepping 1, AuthenticAMD"
    found = re.search(r"Family (\d+) .*, (\w+)", name)
    return (found[2], int(found[1])) if found else (name, 0)


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
    return math.ceil(min(allowed, cpu_quota()))


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
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), memory_limit())


def cpu_quota(root: Path = ROOT) -> float:
    """CPUs' worth of time per second that the control groups of Linux allow; infinite without a limit.

    A container or a batch system sets them, and a group's limit binds all groups below it. Sources:
    https://docs.kernel.org/admin-guide/cgroup-v1 and cgroup-v2.html, and proc(5) on where the groups are.
    """
    quotas = [math.inf]
    for group in groups("cpu", root):
        with suppress(OSError, ValueError):  # no such file, or "max"
            quota, period = (group / "cpu.max").read_text().split()
            quotas.append(int(quota) / int(period))
        with suppress(OSError, ValueError):
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(quota) > 0:  # -1: no limit
                quotas.append(int(quota) / int(period))
    return min(quotas)


def memory_limit(root: Path = ROOT) -> float:
    """Bytes that the control groups allow; infinite, or more than any machine has, without a limit."""
    limits = [math.inf]
    for group in groups("memory", root):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):
                limits.append(int((group / name).read_text()))
    return min(limits)


def groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's group and of those above it, as far up as can be seen from here."""
    try:
        own = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    paths: dict[str, PurePosixPath] = {}  # in version 2 the controllers have no names
    for line in own:
        _, names, path = line.split(":", 2)
        paths |= dict.fromkeys(names.split(","), PurePosixPath(path))
    for line in mounts:
        place, _, system = line.partition(" - ")
        top, mounted_at = place.split()[3:5]
        kind, *_, options = system.split()
        name = "" if kind == "cgroup2" else controller
        if not kind.startswith("cgroup") or name not in paths or name not in ("", *options.split(",")):
            continue
        group = paths[name]  # a container may see but its own, which is at the top
        below = group.relative_to(top) if group.is_relative_to(top) else PurePosixPath()
        mount = root / mounted_at.lstrip("/")
        yield from (mount / each for each in (below, *below.parents))
