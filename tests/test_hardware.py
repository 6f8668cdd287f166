"""What `auto` comes to, by rule."""

import inspect
import os
import platform

import pytest
import torch

from mlfound import hardware
from mlfound.engines import ladder, products
from mlfound.errors import UserError
from mlfound.foundations import matmul
from mlfound.reference import libraries


@pytest.fixture(autouse=True)
def same_threads_after():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_small_products_get_one_thread_and_large_ones_all_cores():
    assert hardware.use_threads("auto", hardware.WORTH_MORE_THREADS - 1) == 1
    assert torch.get_num_threads() == 1
    assert hardware.use_threads("auto", hardware.WORTH_MORE_THREADS) == hardware.cores()
    assert hardware.use_threads(1, 1e12) == 1


@pytest.mark.parametrize(
    ("there", "name", "device"), [(0, "auto", "cpu"), (2, "auto", "cuda:0"), (2, "cuda:1", "cuda:1")]
)
def test_devices(monkeypatch, there, name, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    assert str(hardware.resolve_device(name)) == device


@pytest.mark.parametrize("name", ["cuda:2", "mps"])
def test_devices_that_are_not_there(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="write cpu") as caught:
        hardware.resolve_device(name)
    assert caught.value.key == "device"


def test_memory_is_asked_of_the_machine(monkeypatch):
    assert hardware.memory_bytes() > 10**8
    monkeypatch.setattr(hardware, "memory_bytes", lambda device=None: 8e9)
    hardware.require_memory(8e9, "shape", "it")
    with pytest.raises(UserError, match="it needs about 80 GB, and this process may use 8 GB; write less"):
        hardware.require_memory(80e9, "shape", "it")


def cpuinfo(root, text):
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(text)
    return root


ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel name\t: AMD EPYC\n\n"
ZEN_5 = ZEN_4.replace("25", "26")
INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel name\t: Intel(R) Xeon(R)\n\n"
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\n"


@pytest.mark.parametrize(
    ("text", "kind", "product"),
    [
        (ZEN_5 * 2, ("AuthenticAMD", 26), "onednn"),
        (ZEN_4 * 2, ("AuthenticAMD", 25), "matmul"),
        (INTEL * 2, ("GenuineIntel", 6), "matmul"),
        (ARM, ("aarch64", 0), "matmul"),
    ],
    ids=["Zen 5", "Zen 4", "Intel", "Arm"],
)
def test_the_cpu_decides_on_the_product(tmp_path, monkeypatch, text, kind, product):
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(
        torch.ops.mkldnn, "_linear_pointwise", None, raising=False
    )  # there, whatever torch this is
    assert hardware.cpu_kind(cpuinfo(tmp_path, text)) == kind
    assert matmul.fastest(kind, torch.device("cpu")) == product
    assert matmul.fastest(kind, torch.device("cuda")) == "matmul"
    assert matmul.fastest(kind, torch.device("cpu"), torch.float64) == "matmul"


@pytest.mark.parametrize(
    ("processor", "kind"),
    [
        ("AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD", ("AuthenticAMD", 25)),  # Windows
        ("Intel64 Family 6 Model 143 Stepping 8, GenuineIntel", ("GenuineIntel", 6)),
        ("arm", ("arm", 0)),  # macOS
    ],
)
def test_the_cpu_where_there_is_no_cpuinfo(tmp_path, monkeypatch, processor, kind):
    monkeypatch.setattr(platform, "processor", lambda: processor)
    assert hardware.cpu_kind(tmp_path) == kind


@pytest.fixture
def one_core():
    """This process may use one core of the machine."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system with CPU affinities")
def test_affinity_counts_and_not_the_machine(one_core):
    assert hardware.cores() == 1
    assert hardware.use_threads("auto", hardware.WORTH_MORE_THREADS) == 1


@pytest.mark.parametrize(("quota", "cores"), [(0.3, 1), (1.0, 1), (1.5, 2), (10_000.0, None)])
def test_a_quota_of_cpu_time_counts(monkeypatch, quota, cores):
    unlimited = hardware.cores()
    monkeypatch.setattr(hardware, "cpu_quota", lambda: quota)
    assert hardware.cores() == min(cores or unlimited, unlimited)


def test_a_limit_of_memory_counts(monkeypatch):
    monkeypatch.setattr(hardware, "memory_limit", lambda: 2e7)
    assert hardware.memory_bytes() == 2e7


@pytest.mark.parametrize(
    ("unavailable", "names"),
    [
        (matmul.unavailable, matmul.MATMULS),
        (matmul.unavailable, products.PRODUCTS),
        (ladder.unavailable, ladder.ENGINES),
        (libraries.unavailable, libraries.LIBRARIES),
    ],
)
def test_every_ladder_says_in_the_same_way_what_is_not_here(unavailable, names):
    """By name, device and dtype: a reason, or None."""
    assert [*inspect.signature(unavailable).parameters] == ["name", "device", "dtype"]
    for name in names:
        reason = unavailable(name, torch.device("cpu"))
        assert reason is None or (reason and "\n" not in reason)
    assert unavailable(next(iter(names)), torch.device("cpu"), torch.float64) is None
