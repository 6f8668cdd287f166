"""The lesson's `mnist.pkl.gz`, read without running it: a pickle is a program, and we only look at its text.

`walk` builds tuples and byte strings and calls nothing: REDUCE and BUILD, which would call what the file
names, lay the two pieces side by side. What then stands there must be three pairs of arrays, as numpy
pickled them under Python 2.
"""

import io
import math
import pickletools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mlfound.data import idx
from mlfound.data.raw import gunzip
from mlfound.data.registry import NAMES
from mlfound.data.signatures import describe
from mlfound.errors import UserError

MAX_BYTES = 224 * 2**20  # 70,000 images of 784 float32 and as many int64 labels are 220,080,000
MAX_OPCODES = 1_000  # the lesson's file has 150
CODES = b"\x80cqhKMJN\x89UT(t\x85\x86\x87Rb."  # of the opcodes in `walk`, PROTO and STOP, and of no others
GLOBALS = (b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n")
SIDE = 28
ROWS = 1_000  # converted at a time
MARK = object()


def read_pickle(packed: bytes | bytearray, name: str) -> dict[str, bytearray]:
    """The four raw IDX files by name, made from the gzip-packed pickle.

    Errors: a UserError about `name` if it is anything but three pairs (train, valid, test) of float32 images
    (n, 784), each value k/256 for an integer k, and int64 labels (n,) from 0 to 255.
    """
    text = bytes(gunzip(packed, MAX_BYTES, name))
    try:
        (train_x, train_y), (valid_x, valid_y), (test_x, test_y) = (_pair(node) for node in walk(text))
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"{name} is not the lesson's mnist.pkl.gz: {_what_it_is(text) or error}") from None
    files = (torch.cat([train_x, valid_x]), torch.cat([train_y, valid_y]), test_x, test_y)
    return dict(zip(NAMES, map(idx.encode, files), strict=True))


def _what_it_is(text: bytes) -> str | None:
    """What a file of this name often is instead, for a message."""
    if text[:1] != b"\x80":
        known = describe(text)
        return known and f"it is {known}"
    if text[1:2] in (b"\3", b"\4", b"\5") or b"c_codecs\nencode\n" in text[:4096]:
        return (
            "Python 3 pickled it again, which is not supported; give the lesson's own file, or the IDX files"
        )
    return None


def walk(text: bytes) -> Any:
    """What a pickle would build, as tuples, numbers and byte strings; LookupError or ValueError if it is odd.

    What would be made by calling `f` with `args`, and then be given a `state`, becomes ((f, args), state).
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for name, arg in _opcodes(text):
        match name:
            case "BININT" | "BININT1" | "BININT2" | "BINSTRING" | "GLOBAL":
                stack.append(arg)
            case "NONE":
                stack.append(None)
            case "NEWFALSE":
                stack.append(False)
            case "SHORT_BINSTRING":
                stack.append(arg.encode("latin-1"))
            case "MARK":
                stack.append(MARK)
            case "TUPLE":
                stack.append(tuple(reversed(list(iter(stack.pop, MARK)))))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                _join(stack, int(name[-1]))
            case "REDUCE":
                _join(stack, 2)
            case "BUILD":  # changes an object that the memo may hold too
                unbuilt = stack[-2]
                _join(stack, 2)
                memo = {slot: stack[-1] if kept is unbuilt else kept for slot, kept in memo.items()}
            case "BINPUT":
                memo[arg] = stack[-1]
            case "BINGET":
                stack.append(memo[arg])
    if len(stack) != 1:
        raise ValueError("it does not end where it should")
    return stack[0]


def _opcodes(text: bytes) -> Iterator[tuple[str, Any]]:
    """Name and argument of each opcode; a refused one's argument, however long, is not looked at."""
    stream = io.BytesIO(text)
    opcodes = pickletools.genops(stream)
    for _ in range(MAX_OPCODES):
        here = stream.tell()
        code = text[here : here + 1]
        if code and code not in CODES:
            raise ValueError(f"it contains the opcode {code!r}")
        if code == b"c" and not text.startswith(GLOBALS, here):
            names = text[here + 1 : here + 60].split(b"\n")[:2]
            raise ValueError(f"it names {b' '.join(names)!r}")
        if code == b"T":  # the arrays: a window on the text, where pickletools would make copies
            begin, length = here + 5, int.from_bytes(text[here + 1 : here + 5], "little", signed=True)
            if not 0 <= length <= len(text) - begin:
                raise ValueError("it ends early, in a string")
            stream.seek(begin + length)
            yield "BINSTRING", memoryview(text)[begin : begin + length]
            continue
        opcode, arg, _ = next(opcodes)
        yield opcode.name, arg
        if opcode.name == "STOP":
            if stream.tell() != len(text):
                raise ValueError("it does not end where it should")
            return
    raise ValueError("it has too many opcodes")


def _join(stack: list[Any], count: int) -> None:
    """The last `count` of the stack become one tuple."""
    parts = [stack.pop() for _ in range(count)]
    stack.append(tuple(reversed(parts)))


def _pair(node: Any) -> tuple[Tensor, Tensor]:
    images, labels = node
    x = _bytes(images, b"f4", torch.float32, (SIDE * SIDE,), scale=256)
    y = _bytes(labels, b"i8", torch.int64, (), scale=1)
    if len(x) != len(y):
        raise ValueError(f"it has {len(y)} labels for {len(x)} images")
    return x.reshape(-1, SIDE, SIDE), y


def _bytes(node: Any, code: bytes, dtype: torch.dtype, row: tuple[int, ...], scale: int) -> Tensor:
    """The array at `node`, times `scale`, as uint8 (rows, *row); ValueError if that loses anything."""
    match node:
        case (
            ("numpy.core.multiarray _reconstruct", ("numpy ndarray", (0,), b"b")),
            (
                1,
                (int(rows), *rest),
                (("numpy dtype", (kind, 0, 1)), (3, b"<", *_)),
                False,
                memoryview() as data,
            ),
        ) if kind == code and tuple(rest) == row and rows > 0:
            step = math.prod(row) * dtype.itemsize
        case _:
            raise ValueError(f"it does not contain an array of {code.decode()} where the lesson's does")
    if len(data) != rows * step:
        raise ValueError(f"it has {len(data)} bytes for an array of {rows * step}")
    parts = []
    for start in range(0, len(data), ROWS * step):
        numbers = torch.frombuffer(bytearray(data[start : start + ROWS * step]), dtype=dtype) * scale
        parts.append(numbers.to(torch.uint8))
        if not torch.equal(parts[-1].to(dtype), numbers):
            raise ValueError(f"it contains a number that is not a byte divided by {scale}")
    return torch.cat(parts).reshape(rows, *row)
