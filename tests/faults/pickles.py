"""Hostile pickles, as a file to be read for the lesson's: each is refused in one line, and none of it is run."""

import collections
import gzip
import io
import os
import pickle
import struct
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlfound.data.local import ARCHIVE_BYTES
from mlfound.data.pickled import read_pickle
from mlfound.data.raw import read_file
from mlfound.errors import UserError
from tests.faults.mutations import packed_zeros
from tests.faults.report import Report
from tests.faults.watched import watch
from tests.support.commands import check_line
from tests.support.made import made_up

CANARY = "touch canary"


def trial(count: int, seed: int, folder: Path) -> Report:
    """The whole corpus, whatever the count: nothing in it is drawn."""
    started = time.perf_counter()
    cases = []
    for number, (name, program) in enumerate(corpus()):
        cases.append((name, folder / f"{number}.pkl.gz"))
        cases[-1][1].write_bytes(program if program.startswith(b"\x1f\x8b") else gzip.compress(program, 1))
    assert len(dict(cases)) == len(cases) >= count, "two of a name, or too few"
    watched = watch(case, cases)
    return Report("pickles", len(cases), watched.failures, seed, time.perf_counter() - started, str(watched))


def case(name: str, path: Path) -> str:
    with tempfile.TemporaryDirectory() as own:
        os.chdir(own)  # where the canary would appear
        try:
            read_pickle(read_file(path, ARCHIVE_BYTES), str(path))
        except UserError as error:
            check_line(str(error))
        else:
            raise AssertionError("it was read")
        assert not os.listdir(own), "a canary: code was run"
    return "refused"


def corpus() -> Iterator[tuple[str, bytes]]:
    """Every hostile pickle by name: what Python's pickle makes of a call, programs by hand, and whole files."""
    for name, call in CALLS.items():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            yield f"{name}, protocol {protocol}", pickle.dumps(call, protocol)
    yield from PROGRAMS.items()
    for name, make in FILES.items():
        yield name, make()


class Runs:
    """Pickles to a call of `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


class RunsWhenBuilt:
    """Pickles to an object whose state is made by a call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return collections.OrderedDict, (), {"x": Runs(os.system, CANARY)}


class RunsInItems:
    """Pickles to a dict and a list whose items are made by calls."""

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (), None, iter([Runs(os.system, CANARY)]), iter([(1, Runs(os.system, CANARY))])


def instead_of_an_array() -> bytes:
    """The lesson's own file, but for its last array, which is a call."""
    text = made_up().pickle
    at = text.rindex(b"cnumpy.core.multiarray\n")
    return text[:at] + b"cos\nsystem\nU\x0ctouch canary\x85R" + b"\x86\x87."


def behind_the_arrays() -> bytes:
    """The lesson's own file, then a call in its stead."""
    return made_up().pickle[:-1] + b"0cos\nsystem\nU\x0ctouch canary\x85R."


def before_the_arrays() -> bytes:
    return b"\x80\x02cos\nsystem\nU\x0ctouch canary\x85R0" + made_up().pickle[2:]


def dtype_of_a_call() -> bytes:
    return made_up().pickle.replace(b"cnumpy\ndtype\n", b"cos\nsystem\n")


def reconstruct_of_a_call() -> bytes:
    return made_up().pickle.replace(b"cnumpy.core.multiarray\n_reconstruct\n", b"cposix\nsystem\n")


def state_of_another() -> bytes:
    """BUILD with a dict: `__setstate__` or the attributes of whatever stands there."""
    return made_up().pickle.replace(b"tb", b"t}U\x0c__setstate__cos\nsystem\nsb")


def torch_archive() -> bytes:
    """What torch.save writes: a zip file with a pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Runs(os.system, CANARY), 2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def old_torch_file() -> bytes:
    """What torch.save wrote before 1.6: pickles one behind the other."""
    parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, Runs(os.system, CANARY), [])
    return b"".join(pickle.dumps(part, 2) for part in parts)


def object_array() -> bytes:
    return pickle.dumps(np.array([Runs(os.system, CANARY)], dtype=object), 2)


def saved_by_numpy() -> bytes:
    """A .npy file of objects: a header, then a pickle."""
    file = io.BytesIO()
    np.save(file, np.array([Runs(os.system, CANARY)], dtype=object), allow_pickle=True)
    return file.getvalue()


def record_array() -> bytes:
    return pickle.dumps(np.zeros(3, dtype=[("x", "f4"), ("y", "O")]), 2)


def wide_array() -> bytes:
    """The lesson's first array, with a shape whose size is 0 modulo 2 ** 64."""
    return made_up().pickle.replace(b"M\x08\x00M\x10\x03\x86", b"(" + b"J\x00\x00\x00\x40" * 4 + b"t", 1)


def one_long_string() -> bytes:
    """As long as gzip may unpack it."""
    return packed_zeros(b"T" + struct.pack("<i", 220 * 2**20), 220)


def a_gigabyte() -> bytes:
    return packed_zeros(b"T" + struct.pack("<i", 2**30), 1024)


def packed_twice() -> bytes:
    return gzip.compress(gzip.compress(pickle.dumps(Runs(os.system, CANARY), 2)))


def two_members() -> bytes:
    return gzip.compress(made_up().pickle) + gzip.compress(b"cos\nsystem\nU\x0ctouch canary\x85R.")


CALLS = {
    "os.system": Runs(os.system, CANARY),
    "subprocess": Runs(subprocess.check_call, ["touch", "canary"]),
    "open": Runs(open, "canary", "w"),
    "eval": Runs(eval, "open('canary', 'w')"),
    "exec": Runs(exec, "open('canary', 'w')"),
    "in a tuple": ((Runs(os.system, CANARY), 1), (2, 3), (4, 5)),
    "in a dict": {"x": Runs(os.mkdir, "canary")},
    "ordered dict": collections.OrderedDict(a=Runs(os.system, CANARY)),
    "import": Runs(__import__, "this"),
    "getattr": Runs(getattr, pickle.Unpickler, "load"),
    "itself, nested": Runs(pickle.loads, pickle.dumps(Runs(os.system, CANARY))),
    "state": RunsWhenBuilt(),
    "items": RunsInItems(),
    "numpy": Runs(np.fromfile, "canary"),
}
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
LAUGHS = b"]q\x00" + b"".join(b"(" + b"h%c" % n * 10 + b"lq%c" % (n + 1) for n in range(12)) + b"."
PROGRAMS = {
    "global": b"cposix\nsystem\nU\x0ctouch canary\x85R.",
    "inst": b"(S'touch canary'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'touch canary'\no.",
    "newobj": b"\x80\x02cos\nsystem\nU\x0ctouch canary\x85\x81.",
    "odd escape": b"S'\\u'\n.",
    "odd escape in a name": b"cnumpy\\u\nndarray\n.",
    "escaped name": b"cnumpy\nndarr\\x61y\n.",
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch canary\x85R.",
    "persistent id": b"Ptouch canary\n.",
    "binary persistent id": b"U\x0ctouch canaryQ.",
    "extension": b"\x80\x02\x82\x01.",
    "extension of 2 bytes": b"\x80\x02\x83\x01\x01.",
    "extension of 4 bytes": b"\x80\x02\x84\xff\xff\xff\x7f.",
    "extension below 0": b"\x80\x02\x84\xff\xff\xff\xff.",
    "newobj with keywords": b"\x80\x04cos\nsystem\nU\x0ctouch canary\x85}\x92.",
    "called through map": b"c__builtin__\nmap\ncos\nsystem\n]U\x0ctouch canarya\x86R.",
    "through copy_reg": b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
    "stack global from the memo": b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.",
    "global with a return": b"cnumpy\r\nndarray\r\n.",
    "global with a space": b"cnumpy \nndarray\n.",
    "global that begins right": b"cnumpy\nndarray\x00\n.",
    "global in Unicode": b"cnump\xc3\xbd\nndarray\n.",
    "global of 100,000 letters": b"c" + b"os." * 33_000 + b"\nsystem\n.",
    "global without end": b"cnumpy\nndarray",
    "terminal escapes in a global": b"c\x1b]0;owned\x07\n\x1b[2J\n.",
    "newlines in a string": b"U\x04\n\n\r\x0b.",
    "numpy's scalar": b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x02O8\x85R\x85R.",
    "numpy's new name": b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R.",
    "numpy's loadtxt": b"cnumpy\nloadtxt\nU\x06canary\x85R.",
    "numpy's runstring": b"cnumpy.testing._private.utils\nrunstring\nU\x06canary}\x86R.",
    "numpy by another name": b"cnumpy.core.numeric\nfromfile\nU\x06canary\x85R.",
    "dotted numpy": b"cnumpy\nndarray.__class__\n.",
    "numpy load": b"cnumpy\nload\nU\x06canary\x85R.",
    "getattr": b"c__builtin__\ngetattr\ncnumpy\nndarray\nU\x01b\x86R.",
    "ndarray of 64 GiB": b"cnumpy\nndarray\n\x8a\x05\x00\x00\x00\x00\x02\x85\x85R.",
    "ndarray called": b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85\x85R.",
    "reconstruct alone": ARRAY + b".",
    "object dtype": ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R\x89](cos\nsystem\netb.",
    "state for a global": b"cnumpy\nndarray\n}U\x01xK\x01sb.",
    "string without end": b"T\xff\xff\xff\x7fabc.",
    "string of negative length": b"T\xff\xff\xff\xffabc.",
    "bytes of 2 ** 63": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "long of 2 GiB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "long in decimals": b"L" + b"9" * 100_000 + b"L\n.",
    "long of a negative length": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "Unicode of 2 ** 62": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x3fabc.",
    "byte array of 2 ** 62": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x3fabc.",
    "buffer from elsewhere": b"\x80\x05\x97\x98.",
    "int in decimals": b"I" + b"9" * 100_000 + b"\n.",
    "float in decimals": b"F" + b"9" * 100_000 + b"\n.",
    "protocol 255": b"\x80\xffN.",
    "frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "laughs": b"K\x01K\x01\x86" + b"q\x00h\x00\x86" * 400 + b".",
    "laughs without end": b"K\x01K\x01\x86" + b"q\x00h\x00\x86" * 100_000 + b".",
    "laughs of lists": LAUGHS,
    "list in itself": b"]q\x00h\x00a.",
    "tuple in itself": b"K\x01q\x00h\x00\x85q\x00bh\x00\x85.",
    "dict of dicts": b"}" * 400 + b"s" * 200 + b".",
    "deep tuples": b"K\x01" + b"\x85" * 990 + b".",
    "deep tuples, deeper": b"K\x01" + b"\x85" * 100_000 + b".",
    "deep lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "marks": b"(" * 500 + b".",
    "numbers without end": b"K\x01" * 5_000_000 + b".",
    "tuple without a mark": b"K\x01t.",
    "pop from nothing": b"\x87.",
    "reduce of nothing": b"R.",
    "build of nothing": b"K\x01b.",
    "memo of nothing": b"q\x00.",
    "memo at 2 ** 32": b"K\x01r\xff\xff\xff\xff.",
    "memo at -1": b"K\x01p-1\n.",
    "memo at 10 ** 1000": b"K\x01p1" + b"0" * 1000 + b"\n.",
    "popped": b"K\x010.",
    "popped to the mark": b"(K\x011.",
    "doubled": b"K\x012\x86.",
    "appended to nothing": b"e.",
    "memo never put": b"h\x07.",
    "only a stop": b".",
    "no stop": b"K\x01",
    "two left": b"K\x01K\x02.",
    "behind the stop": b"K\x01.cos\nsystem\n",
    "three numbers": b"K\x01K\x02K\x03\x87.",
    "a string": b"U\x03abc.",
    "three strings": b"U\x02abU\x02cdU\x02ef\x87.",
    "not a pickle": b"<html>Please log in</html>",
    "zeros": bytes(1000),
    "empty": b"",
}
FILES: dict[str, Callable[[], bytes]] = {
    "instead of an array": instead_of_an_array,
    "behind the arrays": behind_the_arrays,
    "before the arrays": before_the_arrays,
    "dtype of a call": dtype_of_a_call,
    "reconstruct of a call": reconstruct_of_a_call,
    "state of another": state_of_another,
    "torch archive": torch_archive,
    "old torch file": old_torch_file,
    "object array": object_array,
    "saved by numpy": saved_by_numpy,
    "record array": record_array,
    "wide array": wide_array,
    "one long string": one_long_string,
    "a gigabyte": a_gigabyte,
    "packed twice": packed_twice,
    "two members": two_members,
}
