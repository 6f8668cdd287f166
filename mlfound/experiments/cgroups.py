"""What the control groups of Linux let this process have, as a container or a batch system sets them.

A group's limit binds all groups below it. Both versions are read: https://docs.kernel.org/admin-guide/cgroup-v1 and
https://docs.kernel.org/admin-guide/cgroup-v2.html; proc(5) has the two files that say where the groups are.
"""

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def cpu_quota(root: Path = ROOT) -> float:
    """CPUs' worth of time per second; infinite without a limit."""
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
    """Bytes; infinite, or more than any machine has, without a limit."""
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
