"""Damaged checkpoints: the newest that is byte for byte what was written is loaded, or a line says why none is."""

import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mlfound.errors import UserError
from mlfound.runs.checkpoints import Checkpoints, encode
from tests.faults.report import Report
from tests.faults.states import same, state

GENERATIONS = 4


def trial(count: int, seed: int, folder: Path) -> Report:
    """Some damages at a time, few or many, to the checkpoints of a run, beside those of another."""
    started = time.perf_counter()
    for run in range(2):
        store = Checkpoints(folder / f"run-{run}", f"run-{run}")
        for step in range(1, GENERATIONS + 1):
            store.write(state(step, run), keep=GENERATIONS, best=step == 2)
    failures, seen = [], Counter[str]()
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")
        shutil.copytree(folder / "run-0", folder / "copy")
        damages = chance.choices(list(DAMAGES), k=chance.choice([1, 1, 2, 3, 20]))
        try:
            for name in damages:
                DAMAGES[name](folder / "copy", folder / "run-1", chance)
            seen[check(folder / "copy", folder / "run-0")] += 1
        except Exception as error:
            failures.append(f"case {number} ({', '.join(damages[:3])}): {type(error).__name__}: {error}")
        shutil.rmtree(folder / "copy")
    note = ", ".join(f"{times:,} {what}" for what, times in seen.most_common())
    return Report("checkpoints", count, failures, seed, time.perf_counter() - started, note)


def check(damaged: Path, original: Path) -> str:
    """What a store makes of the damaged folder; raises where that is not what it must make of it."""
    whole = [
        step
        for step in range(1, GENERATIONS + 1)
        if all(intact(damaged / f"{step:06}.{kind}", original) for kind in ("json", "safetensors"))
    ]
    told: list[str] = []
    try:
        found = Checkpoints(damaged, "run-0").newest(told.append)
    except UserError as error:
        if whole or "no checkpoint in it is whole" not in str(error):
            raise
        return "refused"
    assert all("passed over" in line for line in told), told
    if found is None:
        assert not list(damaged.glob("??????.json")), "none is said to be there"
        return "without any"
    assert whole, f"wrong load: {found.facts}, and none is whole"
    assert same(found, state(whole[-1])), f"wrong load: {found.facts}, whole are {whole}"
    return "went back" if whole[-1] < GENERATIONS else "untouched"


def intact(path: Path, original: Path) -> bool:
    return path.is_file() and path.read_bytes() == (original / path.name).read_bytes()


def any_file(folder: Path, chance: random.Random) -> Path:
    """Mostly of the newest generations: those are the ones that are looked at."""
    files = sorted(folder.iterdir())
    return chance.choices(files, [2**n for n in range(len(files))])[0]


def flip_bits(folder: Path, _: Path, chance: random.Random) -> None:
    path = any_file(folder, chance)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 2, 100]) if content else 0):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(folder: Path, _: Path, chance: random.Random) -> None:
    path = any_file(folder, chance)
    os.truncate(path, chance.randint(0, path.stat().st_size))


def extend(folder: Path, _: Path, chance: random.Random) -> None:
    path = any_file(folder, chance)
    path.write_bytes(path.read_bytes() + chance.choice([b"\0", b" ", b"\n", chance.randbytes(1000)]))


def zeros(folder: Path, _: Path, chance: random.Random) -> None:
    """What a power cut may leave where a file was long enough and not yet written."""
    path = any_file(folder, chance)
    kept = chance.randint(0, path.stat().st_size)
    path.write_bytes(path.read_bytes()[:kept] + b"\0" * (path.stat().st_size - kept))


def swap_files(folder: Path, _: Path, chance: random.Random) -> None:
    one, other = any_file(folder, chance), any_file(folder, chance)
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])


def swap_generations(folder: Path, _: Path, chance: random.Random) -> None:
    one, other = (any_file(folder, chance).stem for _ in range(2))
    for kind in ("json", "safetensors"):
        for source, target in (
            (f"{one}.{kind}", "x"),
            (f"{other}.{kind}", f"{one}.{kind}"),
            ("x", f"{other}.{kind}"),
        ):
            if (folder / source).exists():
                os.replace(folder / source, folder / target)


def file_of_another_run(folder: Path, other: Path, chance: random.Random) -> None:
    path = any_file(other, chance)
    shutil.copy(path, folder / path.name)


def generation_of_another_run(folder: Path, other: Path, chance: random.Random) -> None:
    stem = any_file(other, chance).stem
    for kind in ("json", "safetensors"):
        shutil.copy(other / f"{stem}.{kind}", folder / f"{chance.choice([stem, '000009'])}.{kind}")


def edit_manifest(folder: Path, _: Path, chance: random.Random) -> None:
    """Valid JSON, as our writer would put it down, with another number in it."""
    path = any_file(folder, chance).with_suffix(".json")
    try:
        content = json.loads(path.read_bytes())
        sections = [each for each in (content, *content.values()) if isinstance(each, dict) and each]
        section = chance.choice(sections)
    except (OSError, ValueError, LookupError, AttributeError, RecursionError):
        return  # already damaged
    key = chance.choice(list(section))
    values = [
        0,
        1,
        -1,
        2**70,
        1e300,
        "x",
        None,
        [],
        {},
        True,
        content.get("generation"),
        content.get("bytes"),
    ]
    section[key] = section[key] + 1 if isinstance(section[key], int) else chance.choice(values)
    path.write_bytes(encode(content))


def delete(folder: Path, _: Path, chance: random.Random) -> None:
    for path in folder.iterdir() if chance.random() < 0.1 else [any_file(folder, chance)]:
        path.unlink()
    if not list(folder.iterdir()):
        (folder / "notes").write_text("left")


def rename(folder: Path, _: Path, chance: random.Random) -> None:
    path = any_file(folder, chance)
    path.rename(folder / f"{chance.randint(1, 12):06}{path.suffix}")


def junk(folder: Path, _: Path, chance: random.Random) -> None:
    path = any_file(folder, chance)
    path.write_bytes(
        chance.choice([b"", b"{}", b"null", b"[" * 5000, b"\x80\x04.", b"<html>", b'{"bytes": 1e999}'])
    )


DAMAGES: dict[str, Callable[[Path, Path, random.Random], None]] = {
    "bits flipped": flip_bits,
    "cut short": truncate,
    "made longer": extend,
    "zeros": zeros,
    "files swapped": swap_files,
    "generations swapped": swap_generations,
    "a file of another run": file_of_another_run,
    "a generation of another run": generation_of_another_run,
    "manifest edited": edit_manifest,
    "deleted": delete,
    "renamed": rename,
    "junk": junk,
}
