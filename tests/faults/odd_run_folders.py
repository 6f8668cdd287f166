"""A run folder in which one thing is not what a run leaves: every command that reads runs, beside two good ones.

A case puts something else in the place of one file or subfolder, and the original outside, where a link leads. The
command may refuse or do without, with a line. It may not hang, fill the memory, end in a traceback, write where the
link leads, or do anything to the other runs, which it lists and compares as before.
"""

import csv
import io
import json
import os
import random
import shutil
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tests.faults import shim
from tests.faults.commands import Commands, Ended
from tests.faults.report import Report

HUGE = 2**40  # bytes of a sparse file
TARGETS = (
    ".", "../latest", ".lock", "run.json", "config.yaml", "metrics.jsonl", "log.txt", "summary.json",
    "model.safetensors", "report.html", "tables", "plots", "checkpoints", "tables/seeds.csv", "tables/epochs.csv",
    "plots/loss.png", "checkpoints/000001.json", "checkpoints/000001.safetensors",
)  # fmt: skip
COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "runs": lambda odd, good: ["runs"],
    "runs --json": lambda odd, good: ["runs", "--json"],
    "show": lambda odd, good: ["runs", "show", odd.name],
    "export": lambda odd, good: ["runs", "export", odd.name, f"--tensorboard={odd.parent.parent / 'logs'}"],
    "report": lambda odd, good: ["report", str(odd)],
    "compare": lambda odd, good: ["compare", odd.name, good.name],
    "compare --group": lambda odd, good: ["compare", "--group=optimizer.lr"],
    "resume": lambda odd, good: ["train", f"--resume={odd}"],
    "resume --print-config": lambda odd, good: ["train", f"--resume={odd}", "--print-config"],
    "train its config": lambda odd, good: ["train", f"{odd / 'config.yaml'}"],
    "load_model": lambda odd, good: ["load_model", f"{odd}"],
}


def trial(count: int, seed: int, folder: Path) -> Report:
    """`count` of all things, kinds and commands, or each once; `seed` draws what another schema holds."""
    started = time.perf_counter()
    chance = random.Random(seed)
    cases = [(target, kind, command) for target in TARGETS for kind in KINDS for command in COMMANDS]
    chance.shuffle(cases)
    failures, codes, longest = [], Counter[int](), 0.0
    with Commands(folder, shim.build(folder), folder / "disk") as commands:
        names = make_runs(commands, folder / "whole")
        for each in cases[:count]:
            before = time.perf_counter()
            try:
                codes[case(commands, folder, names, chance, *each)] += 1
            except Exception as error:
                failures.append(f"{', '.join(each)}: {type(error).__name__}: {error}")
            longest = max(longest, time.perf_counter() - before)
    ended = ", ".join(f"{times:,} with {code}" for code, times in sorted(codes.items()))
    note = f"ended {ended}; the longest took {longest:.1f} s on the clock"
    tried = min(count, len(cases))
    return Report("odd-run-folders", tried, failures, seed, time.perf_counter() - started, note)


def make_runs(commands: Commands, runs: Path) -> list[str]:
    """The ids of three runs: that which will be odd, and two that differ in their learning rate."""
    options = ("data.dataset=mnist-sample", "epochs=2", "model.hidden=[4]", "schedule=constant", "threads=1")
    for name, rate in (("odd", 0.1), ("same", 0.1), ("other", 0.05)):
        settings = [f"--set={each}" for each in (*options, "checkpoint.seconds=0", f"optimizer.lr={rate}")]
        ended = commands.run("train", *settings, f"--runs-dir={runs}", f"--name={name}", "--quiet")
        assert ended.code == 0, ended.err
    [odd], [same], [other] = (
        [path.name for path in runs.glob(f"*-{name}")] for name in ("odd", "same", "other")
    )
    return [odd, same, other]


def case(
    commands: Commands,
    folder: Path,
    names: list[str],
    chance: random.Random,
    target: str,
    kind: str,
    command: str,
) -> int:
    """One command on runs of which the first is odd; its exit code."""
    place, outside = folder / "place", folder / "outside"
    for each in (place, outside):
        shutil.rmtree(each, ignore_errors=True)
    outside.mkdir()
    shutil.copytree(folder / "whole", place / "runs", symlinks=True)
    odd, *good = (place / "runs" / name for name in names)
    if command.startswith("resume"):
        interrupt(odd)
    spoil(Path(os.path.normpath(odd / target)), outside, kind, chance)
    before = [snapshot(each) for each in (outside, *good)]
    ended = commands.run(*COMMANDS[command](odd, good[0]), f"--runs-dir={place / 'runs'}", limited=True)
    check(ended, command, names[1:])
    if (target, kind) != (".", "link"):  # a run folder may lie elsewhere
        assert [snapshot(each) for each in (outside, *good)] == before, "written elsewhere"
    assert {each.name for each in place.iterdir()} <= {"runs", "logs"}, "written elsewhere"
    return ended.code


def interrupt(run: Path) -> None:
    """Back to the first of its two epochs."""
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"status": "interrupted"}))
    for path in (run / "checkpoints").glob("000002.*"):
        path.unlink()


def check(ended: Ended, command: str, good: list[str]) -> None:
    assert ended.code in (0, 1, 2), f"ended with {ended.code}: {ended.err[-500:]!r}"
    assert "Traceback" not in ended.err, ended.err[-500:]
    assert "not enough memory" not in ended.err, ended.err
    assert all(line.isprintable() for line in ended.err.splitlines()), f"{ended.err!r:.500}"
    if ended.code:
        assert ended.err, "nothing was said"
    if command in ("runs", "runs --json"):
        assert all(name in ended.out for name in good), f"not listed: {ended.out!r:.500} {ended.err!r:.500}"
    if command in ("runs", "runs --json", "compare --group"):
        assert ended.code == 0, ended.err


def spoil(path: Path, outside: Path, kind: str, chance: random.Random) -> None:
    """Another thing in the place of `path`."""
    away = outside / path.name
    if os.path.lexists(path):
        path.rename(away)
    KINDS[kind](path, away, chance)


def huge(path: Path, away: Path, chance: random.Random) -> None:
    path.touch()
    os.truncate(path, HUGE)


def other_schema(path: Path, away: Path, chance: random.Random) -> None:
    """Of the same format, where it has one, and not what a run writes."""
    if away.is_dir():
        path.mkdir()
        for name in ("=1+1.csv", "\x1b[31m.png", "000009.json", "x" * 200):
            (path / name).write_text("{}")
        (path / "a folder.csv").mkdir()
        (path / "a link.csv").symlink_to(away)
    else:
        path.write_bytes(SCHEMAS.get(path.suffix, odd_bytes)(away, chance))


def odd_json(away: Path, chance: random.Random) -> bytes:
    """One value of it replaced."""
    content = json.loads(away.read_bytes())
    places = list(inside(content))
    holder, key = chance.choice(places)
    holder[key] = chance.choice(ODD)
    if chance.random() < 0.2:
        content = chance.choice(({"schema": 2}, *ODD))
    return json.dumps(content).encode()


def inside(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in it: what holds it, and its key there."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from inside(value[key])


def odd_lines(away: Path, chance: random.Random) -> bytes:
    rows = [{"epoch": chance.choice(ODD), "train_seconds": chance.choice(ODD), "loss": each} for each in ODD]
    return "".join(f"{json.dumps(row)}\n" for row in (*rows, *ODD)).encode()


def odd_csv(away: Path, chance: random.Random) -> bytes:
    """A header or a cell replaced."""
    rows = list(csv.reader(io.StringIO(away.read_text())))
    row = chance.choice(rows)
    row[chance.randrange(len(row))] = str(chance.choice((*ODD, "1" * 400)))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def odd_yaml(away: Path, chance: random.Random) -> bytes:
    """The value of one key replaced."""
    lines = away.read_text().splitlines()
    number = chance.randrange(len(lines))
    lines[number] = f"{lines[number].partition(':')[0]}: {json.dumps(chance.choice(ODD))}"
    return "\n".join(lines).encode()


def odd_tensors(away: Path, chance: random.Random) -> bytes:
    """Any tensors, with a description of which one thing is odd."""
    names = ("input_mean", "input_std", "w1", "b1", "x.w1", "0.w1")
    about: dict[str, Any] = {
        "model": {"name": "mlp", "relu_shift": 0.0},
        "normalize": {"mean": "input_mean", "std": "input_std"},
        "seeds": [0],
    }
    about[chance.choice(list(about))] = chance.choice(ODD)
    tensors = {name: torch.ones(chance.randrange(3)) for name in chance.sample(names, 5)}
    return save(tensors, {"mlfound": json.dumps(about)})


def odd_bytes(away: Path, chance: random.Random) -> bytes:
    return chance.choice((b"\xff\0\x1b[31m=1+1\n", b"GIF89a" * 20, b"[" * 100_000, b"\n" * 100_000))


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All that is in it: of a file its mode and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        found[str(path.relative_to(folder))] = mode, path.read_bytes() if stat.S_ISREG(mode) else b""
    return found


ODD = (None, True, -1, 10**400, 1e400, "", "x", "\x1b[31m", "=1+1", [], {}, [[]], {"x": 1}, "9" * 5_000)
SCHEMAS = {
    ".json": odd_json, ".jsonl": odd_lines, ".csv": odd_csv, ".yaml": odd_yaml, ".safetensors": odd_tensors,
}  # fmt: skip
KINDS: dict[str, Callable[[Path, Path, random.Random], object]] = {
    "link": lambda path, away, chance: path.symlink_to(away),
    "loop": lambda path, away, chance: path.symlink_to(path.name),
    "endless": lambda path, away, chance: path.symlink_to("/dev/zero"),
    "pipe": lambda path, away, chance: os.mkfifo(path),
    "other kind": lambda path, away, chance: path.touch() if away.is_dir() else path.mkdir(),
    "empty": lambda path, away, chance: path.mkdir() if away.is_dir() else path.touch(),
    "huge": huge,
    **{f"schema {number}": other_schema for number in range(1, 5)},
}
