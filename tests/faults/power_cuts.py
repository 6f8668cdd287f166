"""What a disk may hold after a power cut: every state that the recorded file calls of a process allow.

A file's bytes are sure to be there after its fsync, a name in a folder after the folder's. Until then each new name,
rename and removal may be there or not, whatever came before or after it, and a file may have none, half or all of its
new bytes, or zeros.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FEW = 8  # changes that were not synced: one who syncs what he should never has more, and all their states are tried


@dataclass
class File:
    """One file, whatever its name: bytes that are on disk, and what was written since then."""

    durable: bytes = b""
    current: bytes = b""

    def contents(self) -> list[bytes]:
        """What may be found in it."""
        if self.current == self.durable:
            return [self.current]
        size = len(self.durable)
        new = self.current[size:]
        return [
            self.durable,
            self.current,
            self.current[: size + len(new) // 2],
            self.durable + b"\0" * len(new),
        ]


@dataclass
class Folder:
    """Names that are on disk, and what was done to names since then: (name, what it is now) pairs done as one."""

    durable: dict[str, "File | Folder"] = field(default_factory=dict)
    pending: list[list[tuple[str, "File | Folder | None"]]] = field(default_factory=list)

    @property
    def current(self) -> dict[str, "File | Folder"]:
        return self.after(self.pending)

    def after(self, changes: list[list[tuple[str, "File | Folder | None"]]]) -> dict[str, "File | Folder"]:
        """The names if these changes and no others reached the disk."""
        names = {**self.durable, **dict(itertools.chain.from_iterable(changes))}
        return {name: entry for name, entry in names.items() if entry is not None}

    def sync(self) -> None:
        self.durable, self.pending = self.current, []


Tree = dict[str, bytes | None]  # paths below the root; a folder has no bytes


def trees(folder: Folder, below: str = "") -> Iterator[Tree]:
    """Every tree that may be found where this folder was."""
    for kept in selections(len(folder.pending)):
        changes = [change for change, keep in zip(folder.pending, kept, strict=True) if keep]
        choices: list[list[Tree]] = []
        for name, entry in folder.after(changes).items():
            path = f"{below}{name}"
            if isinstance(entry, Folder):
                choices.append([{path: None, **tree} for tree in trees(entry, f"{path}/")])
            else:
                choices.append([{path: content} for content in entry.contents()])
        for chosen in combinations(choices):
            yield {path: content for tree in chosen for path, content in tree.items()}


def selections(size: int) -> Iterator[tuple[bool, ...]]:
    """What may be kept of so many changes: anything, or of more than a few the first, all but one, or one."""
    if size <= FEW:
        yield from itertools.product((False, True), repeat=size)
        return
    for number in range(size):
        yield tuple(each < number for each in range(size))
        yield tuple(each != number for each in range(size))
        yield tuple(each == number for each in range(size))
    yield (True,) * size


def combinations(choices: list[list[Tree]]) -> Iterator[tuple[Tree, ...]]:
    """One of each, in every combination; of more than a few, all that are first, all that are second, and so on."""
    if sum(len(each) > 1 for each in choices) <= FEW // 2:
        yield from itertools.product(*choices)
        return
    for number in range(max(map(len, choices))):
        yield tuple(each[number % len(each)] for each in choices)


def replay(log: bytes, root: Path) -> Iterator[tuple[Folder, int]]:
    """The root folder after each recorded call, and the number of the last mark before it. Links are left out."""
    top, mark, at = Folder(), 0, 0
    while at < len(log):
        end = log.index(b"\n", at)
        word, *rest = log[at:end].decode().split("\t")
        at = end + 1
        if word == "mark":
            mark = int(rest[0])
        elif word == "write":
            content = log[at : at + int(rest[2])]
            at += len(content)
            file = look_up(top, root, rest[0])
            assert isinstance(file, File)
            start = int(rest[1])
            file.current = file.current[:start] + content + file.current[start + len(content) :]
        elif word != "symlink":
            change(top, root, word, rest)
        yield top, mark


def change(top: Folder, root: Path, word: str, rest: list[str]) -> None:
    """What one call does, but for the bytes of a write."""
    path = Path(rest[0])
    if path == root:
        if word == "fsync":
            top.sync()
        return
    parent, entry = look_up(top, root, str(path.parent)), look_up(top, root, str(path))
    assert isinstance(parent, Folder)
    match word, entry:
        case "open", None if rest[1] == "1":
            parent.pending.append([(path.name, File())])
        case "open", File() if rest[2] == "1":
            entry.current = b""
        case "mkdir", _:
            parent.pending.append([(path.name, Folder())])
        case (("unlink" | "rmdir"), File() | Folder()):
            parent.pending.append([(path.name, None)])
        case "rename", File() | Folder():
            assert Path(rest[1]).parent == path.parent, "a rename within a folder"
            parent.pending.append([(path.name, None), (Path(rest[1]).name, entry)])
        case "truncate", File():
            entry.current = entry.current[: int(rest[1])]
        case "fsync", File():
            entry.durable = entry.current
        case "fsync", Folder():
            entry.sync()


def look_up(top: Folder, root: Path, path: str) -> File | Folder | None:
    """The file or folder that has this path now."""
    entry: File | Folder | None = top
    for name in Path(path).relative_to(root).parts:
        entry = entry.current.get(name) if isinstance(entry, Folder) else None
    return entry


def states(log: bytes, root: Path) -> Iterator[tuple[int, Tree]]:
    """Every state after a power cut at any call, with the last mark before the cut; the same one only once."""
    seen = set()
    for top, mark in replay(log, root):
        for tree in trees(top):
            key = mark, hash(frozenset(tree.items()))
            if key not in seen:
                seen.add(key)
                yield mark, tree


def lay_out(tree: Tree, folder: Path) -> None:
    """Make the files and folders of a state."""
    folder.mkdir()
    for path, content in sorted(tree.items()):
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
