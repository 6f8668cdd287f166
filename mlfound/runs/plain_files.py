"""A run folder that somebody else may have made: what of it is not a plain file or folder, and its JSON."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlfound.errors import UserError
from mlfound.files import read_plain

MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_LEVELS = 20  # a list in a list in ...
INT_DIGITS = 300  # a float can hold as many
FILES = (
    ".lock", "run.json", "config.yaml", "metrics.jsonl", "log.txt", "summary.json", "model.safetensors",
    "report.html", "notes.json",
)  # fmt: skip
FOLDERS = {"tables": (".csv",), "plots": (".png",), "checkpoints": (".json", ".safetensors")}
PREVIOUS = ".previous"  # what stood in the folder before its run went on, under the same names
KINDS = {
    stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe",
}  # fmt: skip


def refuse_unplain(folder: Path) -> None:
    """A UserError if what is written into this run folder could land elsewhere, or wait for a reader."""
    for name, problem in unplain(folder):
        raise UserError(
            f"{folder / name}: {problem}: a resumed run would write there; "
            "put back what the run had made, or start a new run"
        )


def unplain(folder: Path) -> Iterator[tuple[str, str]]:
    """What of a run folder is a link, a pipe, or a folder instead of a file: ("plots", "a link, not a folder")."""
    wanted = dict.fromkeys(FILES, stat.S_IFREG) | dict.fromkeys((*FOLDERS, PREVIOUS), stat.S_IFDIR)
    for name, endings in FOLDERS.items():
        if _kind(folder / name) == stat.S_IFDIR:
            inside = (each for each in sorted(os.listdir(folder / name)) if each.endswith(endings))
            wanted |= {f"{name}/{each}": stat.S_IFREG for each in inside}
    for name, kind in wanted.items():
        found = _kind(folder / name)
        if found not in (kind, None):
            yield name, f"{KINDS.get(found, 'a device')}, not {KINDS[kind]}"
    if _kind(folder / PREVIOUS) == stat.S_IFDIR:
        yield from ((f"{PREVIOUS}/{name}", problem) for name, problem in unplain(folder / PREVIOUS))


def _kind(path: Path) -> int | None:
    """As `stat` has it, of a link its own; None where there is nothing."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        value = parse_json(read_plain(path, MAX_JSON_BYTES))
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error})") from error
    if not isinstance(value, dict) or deeper(value, MAX_LEVELS):
        raise UserError(f"{path}: damaged (no JSON object, or one with too much in one another)")
    return value


def parse_json(content: bytes | str) -> Any:
    """The value in a JSON text; ValueError if it is none. An integer that no float can hold is inf, as 1e999 is."""
    try:
        return json.loads(content, parse_int=_number)
    except RecursionError as error:
        raise ValueError("too much in one another") from error


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= INT_DIGITS else float(digits)


def deeper(value: Any, levels: int) -> bool:
    """Whether `value` has more levels than these."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(deeper(each, levels - 1) for each in inner if isinstance(each, dict | list))
