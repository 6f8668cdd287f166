"""The compiled code as other compilers' settings make it."""

import ctypes
import subprocess
from contextlib import contextmanager

from mlfound.native import arguments, compiling

PLAIN = ("-fno-tree-vectorize", "-fno-tree-slp-vectorize")
TARGETS = {
    "AVX2": ("-march=x86-64-v3",),
    "AVX-512": ("-march=x86-64-v4",),
    "AVX2, nothing vectorised by itself": ("-march=x86-64-v3", *PLAIN),
    "little optimised": ("-march=x86-64-v3", "-O1"),
    "no FMA": ("-march=x86-64", "-Wno-psabi", *PLAIN),
}


def runs_here(target):
    """Whether this processor has the instructions."""
    return target != "AVX-512" or "avx512vl" in compiling.cpu()


@contextmanager
def compiled_for(target, folder):
    """The engine uses code compiled like this, until the end."""
    path = folder / f"{target.replace(' ', '-')}.so"
    flags = [flag for flag in compiling.FLAGS if not flag.startswith("-march")]
    command = [*compiling.find_compiler(), *flags, *TARGETS[target], "-o", str(path)]
    subprocess.run([*command, str(compiling.SOURCES / compiling.MAIN), "-lm"], check=True)
    library, before = ctypes.CDLL(str(path)), arguments.library
    arguments.library = lambda: library
    arguments.function.cache_clear()
    try:
        yield
    finally:
        arguments.library = before
        arguments.function.cache_clear()
