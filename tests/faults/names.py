"""Hostile names where a user may write one: exit code 2 and one printable line, nothing written anywhere."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from unittest.mock import patch

from tests.faults.report import Report
from tests.support.commands import mlfound, refused, without_git

NAMES = (
    "", " ", ".", "..", "../elsewhere", "../../../../canary", "a/../../canary", "a/b", "a\\b", "..\\canary", "/",
    "/tmp/canary", "//server/share", "C:\\canary", "~root/canary", "~", "-rf", "--", "*", "$(touch canary)",
    "`touch canary`", "; touch canary", "| touch canary", "%s%s%n", "{0.__class__}", "<script>alert(1)</script>",
    "'\"", "a\nb", "a\r\nb", "a\tb", "a\x00b", "\x1b[2J", "\x1b]0;owned\x07", "\x1b[31mred", "\x9b2J", "\x7f",
    "\x08\x08\x08", "\u202egnp.exe", "\u200f", "\u2066a", "\ufeff", "\u2028", "\u2029", "\u200b", "\udcff",
    "a\udc80b", "\U000e0001", "\ue000", "naïve", "😀", "ﬁ", "n" * 65, "n" * 10_000, "../" * 3_000, "é" * 300,
    "file:///etc/passwd", "http://127.0.0.1:9/",
)  # fmt: skip
PLACES: Mapping[str, Callable[[str], list[str]]] = {
    "run": lambda name: ["train", "--set", "data.dataset=mnist-sample", f"--name={name}"],
    "dataset": lambda name: ["train", "--set", f"data.dataset={quoted(name)}"],
    "dataset, unquoted": lambda name: ["train", "--set", f"data.dataset={name}"],
    "dataset to download": lambda name: ["download", f"--dataset={name}"],
    "source": lambda name: ["download", f"--from={name}"],
    "key": lambda name: ["train", "--set", f"{name}=3"],
    "key in a section": lambda name: ["train", "--set", f"optimizer.{name}=3"],
    "value": lambda name: ["train", "--set", f"epochs={name}"],
    "setting": lambda name: ["train", "--set", name],
    "config": lambda name: ["train", "--", name],
    "device": lambda name: ["train", f"--device={name}"],
    "rung": lambda name: ["matmul-bench", f"--impl={name}"],
    "earlier run": lambda name: ["matmul-bench", f"--compare={name}"],
}


def trial(count: int, seed: int, folder: Path) -> Report:
    """Every name in every place, or so many of these as are asked for."""
    started = time.perf_counter()
    home = Path.cwd()
    inside = folder / "inside"
    inside.mkdir()
    cases = [(place, name) for place in PLACES for name in NAMES if (place, "\0" in name) != ("config", True)]
    cases = Random(seed).sample(cases, min(count, len(cases)))
    try:
        os.chdir(inside)
        with patch.dict(os.environ, {"MLFOUND_DATA_DIR": str(folder / "data")}), without_git():
            failures = [line for place, name in cases if (line := failure(place, name, folder))]
    finally:
        os.chdir(home)
    return Report("names", len(cases), failures, seed, time.perf_counter() - started)


def failure(place: str, name: str, folder: Path) -> str | None:
    arguments = PLACES[place](name)
    try:
        with patch.object(sys, "argv", ["mlfound", *arguments]):
            outcome = mlfound(*arguments)
        refused(outcome)
        written = [str(path) for path in folder.rglob("*") if path.name != "inside"]
        assert not written, f"written: {written}"
    except Exception as error:
        return f"{place} {name[:60]!r}: {type(error).__name__}: {error}"
    return None


def quoted(name: str) -> str:
    """As a YAML string, so that it arrives whatever is in it."""
    return "'" + name.replace("'", "''") + "'"
