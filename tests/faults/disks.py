"""Disks that are full or read-only, files where folders should be: one line, and the next start works."""

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from unittest.mock import patch

from mlfound.data import registry
from mlfound.data.registry import TRAIN_IMAGES
from tests.faults.report import Report
from tests.support.commands import mlfound, refused, without_git
from tests.support.made import made_up
from tests.support.mirror import Mirror

COMMANDS = ("download --dataset made --quiet", "normalize-check --set data.dataset=made --quiet")

# Puts something in the way of FOLDER/runs or FOLDER/data, gives what takes it away; the stack ends mounts.
Obstacle = Callable[[Path, ExitStack], Callable[[], object]]


def trial(count: int, seed: int, folder: Path) -> Report:
    """Every obstacle once, then `count` disks with little room; mounting takes root."""
    started = time.perf_counter()
    obstacles = {**FILES, **READ_ONLY}
    rng = Random(seed)
    for number in range(count):
        options, where = little_room(rng)
        obstacles[f"{number}: {where} on a disk with {options}"] = partial(full, where, options)
    words = []
    mirror = Mirror(made_up()).start()
    with (
        patch.dict(registry.DATASETS, {"made": made_up().at(mirror.url)}),
        without_git(),
    ):
        for name, obstacle in obstacles.items():
            own = folder / str(len(words))
            own.mkdir()
            words.append(outcome(name, obstacle, rng.choices(COMMANDS, (3, 1))[0], own))
    mirror.stop()
    failures = [word for word in words if word not in WORDS]
    note = ", ".join(f"{n} {word}" for word, n in Counter(words).items() if word in WORDS)
    tried = len(words) - words.count(NO_MOUNT)
    return Report("disks", tried, failures, seed, time.perf_counter() - started, note)


REFUSED, FITTED, NO_MOUNT = "one line", "had room enough", "left out: this machine lets nobody mount"
WORDS = {REFUSED, FITTED, NO_MOUNT}


def outcome(name: str, obstacle: Obstacle, command: str, own: Path) -> str:
    line = (*command.split(), "--runs-dir", str(own / "runs"), "--data-dir", str(own / "data"))
    with ExitStack() as stack:
        try:
            mend = obstacle(own, stack)
            first = mlfound(*line)
            word = FITTED if first.code == 0 else REFUSED
            if first.code:
                refused(first, codes=(1, 2))
            mend()
            again = mlfound(*line)
            assert again.code == 0, f"the next start: exit code {again.code}: {again.err!r:.300}"
        except NoMountError:
            assert not os.environ.get("CI"), "CI must be able to mount"
            return NO_MOUNT
        except Exception as error:
            return f"{name}, {command}: {type(error).__name__}: {error}"
    return word


def file_at(where: str, own: Path, stack: ExitStack) -> Callable[[], object]:
    (own / where).parent.mkdir(parents=True, exist_ok=True)
    (own / where).write_text("")
    return (own / where).unlink


def folder_at(where: str, own: Path, stack: ExitStack) -> Callable[[], object]:
    """Not empty, so that nothing can be put in its place."""
    (own / where / "inside").mkdir(parents=True)
    return partial(shutil.rmtree, own / where)


def link_at(where: str, target: str, own: Path, stack: ExitStack) -> Callable[[], object]:
    (own / where).symlink_to(target)
    return (own / where).unlink


def read_only(where: str, own: Path, stack: ExitStack) -> Callable[[], object]:
    mount(own / where, stack, "--bind", str(own / where))
    mount(own / where, stack, "-o", "remount,bind,ro")
    return partial(mount, own / where, stack, "-o", "remount,bind,rw")


def full(where: str, options: str, own: Path, stack: ExitStack) -> Callable[[], object]:
    mount(own / where, stack, "-t", "tmpfs", "-o", options, "tmpfs")
    return partial(mount, own / where, stack, "-o", "remount,size=64m,nr_inodes=1000")


def little_room(rng: Random) -> tuple[str, str]:
    """Room for a few pages or a few files: what is written first may fit."""
    where = rng.choice(("runs", "runs", "runs", "data"))
    pages = round(2 ** rng.uniform(0, 6.5 if where == "runs" else 2.5))
    files = rng.choice((1000, 1000, 1 + round(2 ** rng.uniform(0, 4))))
    return f"size={4 * pages}k,nr_inodes={files}", where


class NoMountError(Exception):
    """This machine does not let us mount."""


def mount(point: Path, stack: ExitStack, *options: str) -> None:
    """Mount at `point`, or change the mount there."""
    point.mkdir(exist_ok=True)
    command = ["mount", *options, str(point)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        raise NoMountError
    if not any("remount" in option for option in options):
        stack.callback(subprocess.run, ["umount", "--lazy", point], check=True)


FILES: dict[str, Obstacle] = {
    "runs is a file": partial(file_at, "runs"),
    "data is a file": partial(file_at, "data"),
    "data/made is a file": partial(file_at, "data/made"),
    "the lock is a folder": partial(folder_at, "data/made/.lock"),
    "the images are a folder": partial(folder_at, f"data/made/{TRAIN_IMAGES}"),
    "runs leads nowhere": partial(link_at, "runs", "nowhere/at/all"),
    "data leads nowhere": partial(link_at, "data", "nowhere/at/all"),
    "runs leads to itself": partial(link_at, "runs", "runs"),
    "data leads to itself": partial(link_at, "data", "data"),
}
READ_ONLY: dict[str, Obstacle] = {
    "runs is read-only": partial(read_only, "runs"),
    "data is read-only": partial(read_only, "data"),
}
