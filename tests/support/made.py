"""A small dataset as every source has it: raw IDX files, the same packed, and inside a lesson's pickle."""

import gzip
import hashlib
import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mlfound.data import idx
from mlfound.data.cache import read
from mlfound.data.raw import dimensions
from mlfound.data.registry import DATASETS, NAMES, Dataset, File


class Made:
    """A dataset, its raw IDX files by name, and the same as a lesson's pickle, unpacked."""

    def __init__(self, tensors, valid_rows):
        self.raws = {name: bytes(idx.encode(each)) for name, each in zip(NAMES, tensors, strict=True)}
        self.packed = {name: gzip.compress(raw, mtime=0) for name, raw in self.raws.items()}
        files = tuple(
            File(name, len(raw), sha256(raw), len(self.packed[name]), sha256(self.packed[name]))
            for name, raw in self.raws.items()
        )
        self.dataset = Dataset("made", "made for tests", "none", valid_rows, files)
        train_x, train_y, test_x, test_y = tensors
        cut = len(train_x) - valid_rows
        pairs = [(train_x[:cut], train_y[:cut]), (train_x[cut:], train_y[cut:]), (test_x, test_y)]
        self.pickle = lesson_pickle(pairs)

    def npz(self, save=np.savez_compressed, labels=np.uint8):
        """The same as Keras' archive, as numpy writes it."""
        file, arrays = io.BytesIO(), {}
        for name, raw in self.raws.items():
            kind = "x" if "images" in name else "y"
            array = idx.decode(bytearray(raw), name, dimensions(name)).numpy()
            arrays[f"{kind}_{'train' if name.startswith('train') else 'test'}"] = array.astype(
                np.uint8 if kind == "x" else labels
            )
        save(file, **arrays)
        return file.getvalue()

    def at(self, *mirrors, gz_known=True):
        """The dataset with these mirrors."""
        files = self.dataset.files
        if not gz_known:
            files = tuple(replace(file, gz_bytes=None, gz_sha256=None) for file in files)
        return replace(self.dataset, mirrors=mirrors, files=files)

    def write(self, folder, suffix="", dotted=False):
        """The four files in `folder`, under one of the names that people give them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (self.packed if suffix == ".gz" else self.raws).items():
            name = name.replace("-idx", ".idx") if dotted else name
            (folder / f"{name}{suffix}").write_bytes(content)
        return folder


def made_up(seed=8):
    """Noise: 8 training, 4 validation and 4 test rows of 4 classes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (16, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(16, dtype=torch.uint8) % 4
    return Made((images[:12], labels[:12], images[12:], labels[12:]), valid_rows=4)


def real(train_rows, valid_rows, test_rows):
    """The first real digits of the embedded sample."""
    raws = read(DATASETS["mnist-sample"], Path())  # in the package: no data folder is looked at
    tensors = [idx.decode(raw, name, dimensions(name)) for name, raw in raws.items()]
    rows = [train_rows + valid_rows] * 2 + [test_rows] * 2
    return Made([each[:count] for each, count in zip(tensors, rows, strict=True)], valid_rows)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def lesson_pickle(pairs):
    """What Python 2 and numpy wrote into the lesson's file: protocol 2, a dtype made once, then recalled."""
    minus_one = b"J\xff\xff\xff\xff"
    slots = {b"f4": b"\x05", b"i8": b"\x07"}
    text, known = b"\x80\x02", set()
    for images, labels in pairs:
        x, y = images.float() / 256, labels.long()
        rows = b"M" + struct.pack("<H", len(images))
        for code, shape, numbers in ((b"f4", rows + b"M\x10\x03\x86", x), (b"i8", rows + b"\x85", y)):
            made = b"cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87Rq" + slots[code]
            made += b"(K\x03U\x01<NNN" + 2 * minus_one + b"K\x00tb"
            dtype = b"h" + slots[code] if code in known else made
            known.add(code)
            data = numbers.numpy().tobytes()
            text += b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            text += b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
        text += b"\x86"
    return text + b"\x87."
