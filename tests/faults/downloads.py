"""Mirrors that lie, stall and end early: the next source is tried, and only what is right gets into the cache."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from unittest.mock import patch

from mlfound.data import download
from mlfound.data.fetch import fetch
from mlfound.data.registry import NAMES
from mlfound.errors import UserError
from tests.faults.report import Report
from tests.support.commands import check_line
from tests.support.made import Made, made_up
from tests.support.mirror import FAULTS, Mirror

SLOW = {"drip", "drip in headers", "silence", "slow"}  # each costs a second or two: drawn less often
PATIENCE = {"CONNECT_S": 2.0, "MAX_PAUSE_S": 1.0, "GRACE_S": 2.0, "MIN_BYTES_PER_S": 1e9}
IN_FLIGHT = 8_000_000  # bytes an answer: what the sockets' buffers hold, unread
AT_ONCE = 8  # cases: most of their time they wait


def trial(count: int, seed: int, folder: Path) -> Report:
    """Each case has one to three mirrors, a fault a file in each, and mostly a good one behind them."""
    started = time.perf_counter()
    made, crashes = made_up(), []
    with (
        patch.multiple(download, **PATIENCE),
        patch(
            "threading.excepthook", lambda crash: crashes.append(f"a thread ended with {crash.exc_value!r}")
        ),
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        words = list(pool.map(lambda number: outcome(made, seed, number, folder), range(count)))
    failures = [word for word in words if word not in ("whole", "refused")] + crashes
    note = ", ".join(f"{n} {word}" for word, n in Counter(words).items() if word not in failures)
    return Report("downloads", count, failures, seed, time.perf_counter() - started, note)


def outcome(made: Made, seed: int, number: int, folder: Path) -> str:
    rng = Random(f"{seed}-{number}")
    good = rng.random() < 0.7
    mirrors = [faulty(made, rng) for _ in range(rng.randint(1, 3))] + ([Mirror(made)] if good else [])
    for mirror in mirrors:
        mirror.start()
    try:
        return attempt(made, mirrors, good, rng, folder / str(number))
    except Exception as error:
        faults = [list(mirror.faults.values()) for mirror in mirrors]
        return f"{number} {faults}: {type(error).__name__}: {error}"
    finally:
        for mirror in mirrors:
            mirror.stop()


def faulty(made: Made, rng: Random) -> Mirror:
    """A mirror with a fault for each file, which may be none."""
    mirror = Mirror(made)
    weights = [0.2 if fault in SLOW else 6.0 if fault is None else 1.0 for fault in FAULTS]
    mirror.faults = dict(zip(mirror.files, rng.choices(list(FAULTS), weights, k=len(NAMES)), strict=True))
    return mirror


def attempt(made: Made, mirrors: list[Mirror], good: bool, rng: Random, folder: Path) -> str:
    dataset = made.at(*(mirror.url for mirror in mirrors), gz_known=rng.random() < 0.5)
    cache = folder / dataset.name
    before = found_before(made, rng, cache)
    word, reason = "whole", ""
    try:
        fetch(dataset, folder)
    except UserError as error:
        word, reason = "refused", str(error)
        check_line(reason)
    assert not (good and reason), f"refused in spite of a good mirror: {reason}"
    there = {path.name: path.read_bytes() for path in cache.iterdir() if path.name != ".lock"}
    for name, content in there.items():
        kept = word == "refused" and content == before.get(name)  # as bad as before
        assert content == made.raws.get(name) or kept, f"{name} with other bytes is in the cache"
    assert word == "refused" or set(there) == set(NAMES), "files are missing"
    for mirror in mirrors:
        assert len(set(mirror.asked)) == len(mirror.asked), "a file was asked for twice"
        assert mirror.sent <= IN_FLIGHT * len(mirror.asked), f"{mirror.sent:,} bytes were sent"
    return word


def found_before(made: Made, rng: Random, cache: Path) -> dict[str, bytes]:
    """What earlier runs and an accident left in the cache: often nothing, else right or damaged files, debris."""
    cache.mkdir(parents=True)
    left = {}
    for name, raw in made.raws.items():
        match rng.randrange(12):
            case 0:
                left[name] = raw
            case 1:
                left[name] = raw[: rng.randrange(len(raw))]
            case 2:
                left[f".{name}-x7k2m4qz"] = raw[:100]
    for name, content in left.items():
        (cache / name).write_bytes(content)
    return {name: content for name, content in left.items() if name in made.raws}
