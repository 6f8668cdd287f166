"""Limits of control groups: a real group where one may be made, and the files of every other arrangement."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlfound import hardware

V1_CPU = "33 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
V1_MEMORY = "36 31 0:32 {top} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
V2 = "31 23 0:28 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
OTHERS = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n37 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
NO_LIMIT = "9223372036854771712"


def machine(root, own, mounts, files):
    """The files that a process finds below `root`."""
    files = {"proc/self/cgroup": own, "proc/self/mountinfo": OTHERS + mounts, **files}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content.rstrip()}\n")
    return root


def v1(root, path, top, cpu, memory):
    own = f"12:pids:/x\n5:cpu,cpuacct:{path}\n4:memory:{path}\n1:name=systemd:/y\n0::/z"
    files = {}
    for folder, (quota, period) in cpu.items():
        files[f"sys/fs/cgroup/cpu,cpuacct{folder}/cpu.cfs_quota_us"] = quota
        files[f"sys/fs/cgroup/cpu,cpuacct{folder}/cpu.cfs_period_us"] = period
    for folder, limit in memory.items():
        files[f"sys/fs/cgroup/memory{folder}/memory.limit_in_bytes"] = limit
    return machine(root, own, V1_CPU.format(top=top) + V1_MEMORY.format(top=top), files)


def v2(root, path, top, cpu, memory):
    files = {f"sys/fs/cgroup{folder}/cpu.max": line for folder, line in cpu.items()}
    files |= {f"sys/fs/cgroup{folder}/memory.max": line for folder, line in memory.items()}
    return machine(root, f"0::{path}", V2.format(top=top), files)


V1_NONE, V1_TWO, V1_HALF = ("-1", "100000"), ("200000", "100000"), ("25000", "50000")
V2_NONE, V2_TWO, V2_HALF = "max 100000", "200000 100000", "25000 50000"


@pytest.mark.parametrize(
    ("path", "top", "limited"),
    [
        ("/job/step", "/", "/job/step"),  # a batch system: its own group
        ("/job/step", "/", "/job"),  # one above
        (
            "/docker/ab12",
            "/docker/ab12",
            "",
        ),  # a container that sees the host's names, and its own group only
        ("/docker/ab12/inner", "/docker/ab12", "/inner"),
        ("/", "/", ""),  # a container with a namespace of its own
        ("/../other", "/", ""),  # moved out of it since
        ("/docker/ab12", "/another", ""),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_the_own_group_or_of_one_above(tmp_path, version, path, top, limited):
    make, none, two = (v1, V1_NONE, V1_TWO) if version == 1 else (v2, V2_NONE, V2_TWO)
    folders = {"", *(str(each) for each in Path(limited).parents if str(each) not in "/."), limited, "/alien"}
    cpu = dict.fromkeys(folders, none) | {limited: two, "/alien": two}
    memory = dict.fromkeys(folders, NO_LIMIT if version == 1 else "max") | {limited: "4096", "/alien": "1"}
    root = make(tmp_path, path, top, cpu, memory)
    assert hardware.cpu_quota(root) == 2
    assert hardware.memory_limit(root) == 4096


def test_the_smallest_along_the_way_counts(tmp_path):
    one = v1(
        tmp_path / "1", "/a/b", "/", {"/a/b": V1_TWO, "/a": V1_HALF}, {"/a/b": "100", "/a": "50", "": "70"}
    )
    two = v2(
        tmp_path / "2", "/a/b", "/", {"/a/b": V2_HALF, "/a": V2_TWO}, {"/a/b": "50", "/a": "max", "": "70"}
    )
    for root in (one, two):
        assert hardware.cpu_quota(root) == 0.5
        assert hardware.memory_limit(root) == 50


def test_both_versions_at_once(tmp_path):
    root = v1(tmp_path, "/a", "/", {"/a": V1_TWO}, {"/a": NO_LIMIT})
    with (root / "proc/self/mountinfo").open("a") as file:
        file.write(V2.format(top="/").replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified "))
    (root / "sys/fs/cgroup/unified/z").mkdir(parents=True)
    (root / "sys/fs/cgroup/unified/z/memory.max").write_text("4096\n")
    assert (hardware.cpu_quota(root), hardware.memory_limit(root)) == (2, 4096)


def test_no_groups_and_no_limits(tmp_path):
    assert (hardware.cpu_quota(tmp_path), hardware.memory_limit(tmp_path)) == (math.inf, math.inf)
    root = v2(tmp_path, "/a", "/", {"/a": V2_NONE}, {"/a": "max"})
    assert (hardware.cpu_quota(root), hardware.memory_limit(root)) == (math.inf, math.inf)
    assert hardware.memory_limit() > 10**8, "of this machine"


@pytest.fixture
def own_group():
    """A real group below this process's own, for CPU time; it is empty again when the test ends."""
    for parent in hardware.groups("cpu", Path("/")):
        group = parent / f"mlfound-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / "cpu.cfs_quota_us").exists() or (group / "cpu.max").exists():
            yield group
            group.rmdir()
            return
        group.rmdir()
    pytest.skip("needs the right to make a control group with a CPU quota")


@pytest.mark.slow
def test_a_real_quota(own_group):
    if (own_group / "cpu.max").exists():
        (own_group / "cpu.max").write_text("30000 50000")
    else:
        (own_group / "cpu.cfs_period_us").write_text("50000")
        (own_group / "cpu.cfs_quota_us").write_text("30000")
    code = (
        f"import os; open({str(own_group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        "from mlfound import hardware; print(hardware.cpu_quota())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 0.6
