"""Mutated data files: a one-line error, or exactly the right data; no traceback, hang, gigabyte, or code run."""

import functools
import gzip
import math
import os
import struct
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
import torch

from mlfound.data.fetch import fetch
from mlfound.data.load import Splits, load
from mlfound.data.raw import dimensions
from mlfound.data.registry import NAMES, Dataset
from mlfound.errors import UserError
from tests.faults import mutations
from tests.faults.mutations import spoiled
from tests.faults.npz_files import spoiled_npz
from tests.faults.report import Report
from tests.faults.watched import watch
from tests.support.commands import check_line
from tests.support.made import Made, real

LARGE = 0.002  # of the cases are at the embedded sample's full 7,000 real digits, the others at its first 60


def trial(count: int, seed: int, folder: Path) -> Report:
    """Each case spoils one dataset from one source."""
    started = time.perf_counter()
    watched = watch(case, [(seed, number, folder) for number in range(count)], ready)
    return Report("data-files", count, watched.failures, seed, time.perf_counter() - started, str(watched))


def ready() -> None:
    torch.set_num_threads(1)
    small()
    large()


def case(seed: int, number: int, folder: Path) -> str:
    rng = Random(f"{seed}-{number}")
    with tempfile.TemporaryDirectory(dir=folder) as own:
        os.chdir(own)  # where a hostile pickle's canary would appear
        word = SOURCES[rng.choice(WEIGHTED)](rng, Path(own))
        assert not Path("canary").exists(), "a canary: code was run"
    return word


def known_raw(rng: Random, own: Path) -> str:
    return from_path(rng, own, "")


def known_gz(rng: Random, own: Path) -> str:
    return from_path(rng, own, ".gz")


def from_path(rng: Random, own: Path, suffix: str) -> str:
    """`--from` a folder of a dataset whose digests are known."""
    made = digits(rng)
    spoil_folder(rng, made.write(own / "have", suffix), suffix)
    return fetched(made, own / "have", own / "cache")


def known_pickle(rng: Random, own: Path) -> str:
    """`--from` a lesson's pickle: spoiled inside, or where gzip packed it."""
    made, source = digits(rng), own / "mnist.pkl.gz"
    if rng.random() < 0.7:
        packed = gzip.compress(spoiled(rng, made.pickle, mutations.ANY, mutations.PICKLE), 0)
    else:
        packed = spoiled(rng, gzip.compress(made.pickle, 1), mutations.ANY, mutations.GZIP)
    source.write_bytes(packed)
    return fetched(made, source, own / "cache")


def known_npz(rng: Random, own: Path) -> str:
    """`--from` Keras' archive: an array spoiled, or the zip around it."""
    made, source = digits(rng), own / "mnist.npz"
    source.write_bytes(spoiled_npz(rng, keras_file(made, rng.choice((np.savez, np.savez_compressed)))))
    return fetched(made, source, own / "cache")


def fetched(made: Made, source: Path, cache: Path) -> str:
    try:
        fetch(made.dataset, cache, source=source)
    except UserError as error:
        assert not cache.exists(), "refused, and yet in the cache"
        return refused(error)
    for name, raw in made.raws.items():
        assert (cache / "made" / name).read_bytes() == raw, f"{name} is wrong in the cache"
    return "read right"


def damaged_cache(rng: Random, own: Path) -> str:
    """A cache that was right once."""
    made = digits(rng)
    spoil_folder(rng, made.write(own / "made"), "")
    try:
        splits = load(made.dataset, own)
    except UserError as error:
        return refused(error)
    check(splits, [plainly_read(raw) for raw in made.raws.values()])
    return "read right"


def own_raw(rng: Random, own: Path) -> str:
    return from_own_folder(rng, own, "")


def own_gz(rng: Random, own: Path) -> str:
    return from_own_folder(rng, own, ".gz")


def from_own_folder(rng: Random, own: Path, suffix: str) -> str:
    """A user's own files, of which no digest is known: what is read must be what another reader reads in them."""
    spoil_folder(rng, digits(rng).write(own, suffix), suffix)
    try:
        splits = load(Dataset("own", "own", "own", folder=own), own)
    except UserError as error:
        return refused(error)
    check(splits, [plainly_read((own / f"{name}{suffix}").read_bytes()) for name in NAMES])
    return "read right"


def own_qmnist(rng: Random, own: Path) -> str:
    """QMNIST's names, and its labels in a table of int32, one of the files spoiled."""
    digits(rng).write(own)
    paths = []
    for name in NAMES:
        paths.append(own / f"qmnist-{name.replace('t10k', 'test').replace('idx1-ubyte', 'idx2-int')}")
        content = (own / name).read_bytes()
        paths[-1].write_bytes(content if dimensions(name) == 3 else table(content[8:], rng.choice((1, 8))))
        (own / name).unlink()
    spoil = rng.choice(paths)
    spoil.write_bytes(spoiled(rng, spoil.read_bytes(), mutations.ANY, mutations.IDX, mutations.IDX))
    try:
        splits = load(Dataset("own", "own", "own", folder=own), own)
    except UserError as error:
        return refused(error)
    check(splits, [plainly_read(path.read_bytes()) for path in paths])
    return "read right"


def table(labels: bytes, columns: int) -> bytes:
    """QMNIST's file of these labels: int32, the label first in each row."""
    rows = b"".join(struct.pack(f">{columns}i", label, *range(1, columns)) for label in labels)
    return struct.pack(">4B2I", 0, 0, 12, 2, len(labels), columns) + rows


def own_bomb(rng: Random, own: Path) -> str:
    """One small `.gz` of very many zeros, or four: images of one pixel and their labels; the headers are true."""
    digits(rng).write(own, ".gz")
    mib = rng.choice((1, 15, 17, 300, 1023))
    for name in rng.sample(NAMES, rng.choice((1, 4))):
        sizes, kind = (mib * 2**20, 1, 1)[: dimensions(name)], 8
        if len(sizes) == 1 and rng.random() < 0.3:
            sizes, kind = (mib * 2**18, 1), 12
        head = struct.pack(f">4B{len(sizes)}I", 0, 0, kind, len(sizes), *sizes)
        members = (head,) if rng.random() < 0.5 else (head[:5], head[5:])
        packed = gzip.compress(members[0]) if len(members) == 2 else b""
        (own / f"{name}.gz").write_bytes(packed + mutations.packed_zeros(members[-1], mib))
    try:
        splits = load(Dataset("own", "own", "own", folder=own), own)
    except UserError as error:
        return refused(error)
    for split in (splits.train, splits.valid, splits.test):
        assert not split.x.any(), "zeros were packed, and others read"
    return "read right"


def digits(rng: Random) -> Made:
    return large() if rng.random() < LARGE else small()


@functools.cache
def keras_file(made: Made, save: Callable[..., None]) -> bytes:
    return bytes(made.npz(save))


@functools.cache
def small() -> Made:
    return real(40, 8, 12)


@functools.cache
def large() -> Made:
    return real(5_000, 1_000, 1_000)


def spoil_folder(rng: Random, folder: Path, suffix: str) -> None:
    """Spoil one of the four files: inside or as gzip packed it; or put another in its place."""
    name, other = rng.sample(NAMES, 2)
    path = folder / f"{name}{suffix}"
    content = path.read_bytes()
    match rng.randrange(10):
        case 0:  # two files swapped, or one twice
            path.write_bytes((folder / f"{other}{suffix}").read_bytes())
            if rng.random() < 0.5:
                (folder / f"{other}{suffix}").write_bytes(content)
        case 1:  # packed under a raw file's name, or the reverse
            path.write_bytes(gzip.decompress(content) if suffix else gzip.compress(content, 1))
        case 2 | 3 | 4 | 5 if suffix:
            path.write_bytes(spoiled(rng, content, mutations.ANY, mutations.GZIP))
        case _ if suffix:
            raw = spoiled(rng, gzip.decompress(content), mutations.ANY, mutations.IDX)
            path.write_bytes(gzip.compress(raw, 1))
        case _:
            path.write_bytes(spoiled(rng, content, mutations.ANY, mutations.IDX))


def plainly_read(content: bytes) -> torch.Tensor:
    """An IDX file as Python's gzip and struct read it, with no care at all."""
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    sizes = struct.unpack_from(f">{content[3]}I", content, 4)
    if content[2] == 12:
        return torch.tensor([row[0] for row in struct.iter_unpack(f">{sizes[1]}i", content[12:])])
    elements = torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=4 + 4 * len(sizes))
    return elements.reshape(sizes)


def check(splits: Splits, wanted: Sequence[torch.Tensor]) -> None:
    """The splits hold what the four files do, to the bit."""
    images = (-1, *splits.shape)
    found = (
        torch.cat([splits.train.x, splits.valid.x]).reshape(images) * 256,
        torch.cat([splits.train.y, splits.valid.y]),
        splits.test.x.reshape(images) * 256,
        splits.test.y,
    )
    for name, ours, theirs in zip(NAMES, found, wanted, strict=True):
        assert torch.equal(ours, theirs.to(ours.dtype)), f"what was read is not what {name} holds"
    for split in (splits.train, splits.valid, splits.test):
        assert split.x.shape == (len(split.y), math.prod(splits.shape)), "images and labels that do not fit"
        assert split.y.max() < splits.classes, "a label beyond the classes"


def refused(error: UserError) -> str:
    check_line(str(error))
    return "refused"


SOURCES: Mapping[str, Callable[[Random, Path], str]] = {
    "known raw": known_raw, "known gz": known_gz, "known pickle": known_pickle, "known npz": known_npz,
    "damaged cache": damaged_cache, "own raw": own_raw, "own gz": own_gz, "own qmnist": own_qmnist,
    "own bomb": own_bomb,
}  # fmt: skip
WEIGHTED = [name for name in SOURCES for _ in range(1 if name == "own bomb" else 15)]
