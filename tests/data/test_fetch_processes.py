"""Many processes at one cache: one downloads while the others wait; a killed one leaves nothing in the way."""

import subprocess
import sys
import time

import filelock
import pytest

from mlfound.data import fetch as fetching
from mlfound.data.fetch import fetch
from mlfound.errors import UserError

SCRIPT = """
import os, sys
from pathlib import Path
from mlfound.data.fetch import fetch
from mlfound.data.registry import Dataset, File
if sys.argv[3] == "dies while writing":
    os.fsync = lambda _: os.kill(os.getpid(), 9)
print("ready", flush=True)
sys.stdin.readline()
print(*[arrival.road for arrival in fetch(eval(sys.argv[1]), Path(sys.argv[2]))])
"""


@pytest.fixture
def start():
    """Starts a process that says `ready` and fetches `dataset` when it hears a line."""
    processes = []

    def start(dataset, folder, how="well"):
        command = [sys.executable, "-c", SCRIPT, repr(dataset), str(folder), how]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def go(process):
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def test_one_of_four_downloads_and_all_find_the_cache_filled(made, mirrors, tmp_path, start):
    mirror = mirrors("slow")
    processes = [start(made.at(mirror.url), tmp_path) for _ in range(4)]
    for process in processes:
        go(process)
    roads = sorted(process.communicate(timeout=60)[0].split() for process in processes)
    assert roads == sorted([[mirror.url[7:-1]] * 4] + [["cache"] * 4] * 3)
    assert len(mirror.asked) == 4
    assert {a.road for a in fetch(made.dataset, tmp_path)} == {"cache"}


def test_killed_holder_leaves_no_dead_lock(made, mirrors, tmp_path, start):
    hung, good = mirrors("drip"), mirrors()
    process = start(made.at(hung.url), tmp_path)
    go(process)
    while not hung.asked:
        time.sleep(0.01)
    with pytest.raises(filelock.Timeout):  # so it does hold the lock
        filelock.FileLock(tmp_path / "made" / ".lock", timeout=0).acquire()
    process.kill()
    process.wait()
    assert {a.road for a in fetch(made.at(good.url), tmp_path)} == {good.url[7:-1]}


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill with 9")
def test_process_that_dies_while_writing_leaves_nothing_bad(made, mirrors, tmp_path, start):
    mirror = mirrors()
    process = start(made.at(mirror.url), tmp_path, "dies while writing")
    go(process)
    assert process.wait(60) == -9
    left = [path.name for path in (tmp_path / "made").iterdir() if path.name != ".lock"]
    assert len(left) == 1  # its temporary file
    assert left[0].startswith(".train-images")
    assert {a.road for a in fetch(made.at(mirror.url), tmp_path)} == {mirror.url[7:-1]}
    assert left[0] not in {path.name for path in (tmp_path / "made").iterdir()}


def test_lock_that_is_held_too_long_is_one_line(made, mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "LOCK_S", 0.1)
    (tmp_path / "made").mkdir()
    with (
        filelock.FileLock(tmp_path / "made" / ".lock"),
        pytest.raises(UserError, match=r"another process has held .*\.lock for 0\.1 s; end it first"),
    ):
        fetch(made.at(mirrors().url), tmp_path)
