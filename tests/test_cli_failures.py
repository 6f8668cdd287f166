"""What the machine cannot do ends as one line and exit code 1, whichever library it was that failed."""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
import typer

from mlfound.cli.failures import one_line_errors


def load(library):
    raise ImportError(f"{library}: failed to map segment from shared object")


def numpy_for_users():
    try:
        load("libopenblas.so")
    except ImportError as error:
        raise ImportError(f"\n\nIMPORTANT: PLEASE READ THIS\n\nOriginal error was: {error}\n") from error


def hidden():
    try:
        bytearray(2**60)
    except MemoryError:
        raise KeyError("half imported") from None


NO_MEMORY = {
    "torch": (lambda: torch.empty(2**50), "allocate memory"),
    "numpy": (lambda: np.empty(2**55), "Unable to allocate"),
    "python": (lambda: bytearray(2**60), "MemoryError"),
    "linker": (lambda: load("libtorch_cpu.so"), "libtorch_cpu.so: failed to map"),
    "numpy's advice": (numpy_for_users, "libopenblas.so: failed to map"),
    "behind another": (hidden, "MemoryError"),
}


@pytest.mark.parametrize("library", NO_MEMORY)
def test_no_memory_is_one_line(library, capsys):
    fail, reason = NO_MEMORY[library]
    with pytest.raises(typer.Exit) as ended, one_line_errors():
        fail()
    said = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert said.startswith("mlfound: not enough memory (")
    assert reason in said
    assert said.count("\n") == 1


def test_a_bug_of_ours_stays_a_traceback():
    with pytest.raises(RuntimeError, match="size mismatch"), one_line_errors():
        raise RuntimeError("size mismatch")


def mlfound(*arguments, limit=resource.RLIM_INFINITY, **environment):
    return subprocess.run(
        [sys.executable, "-m", "mlfound", *arguments],
        env={**os.environ, **environment},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
    )


def test_an_address_space_too_small_for_torch():
    ended = mlfound("train", "--set", "data.dataset=mnist-sample", limit=300 * 2**20)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("mlfound: not enough memory (ulimit -v leaves 300 MiB")
    assert not os.path.exists("runs")


@pytest.mark.slow
def test_the_users_matplotlib_backend_does_not_matter():
    ended = mlfound("download", "--verify", "--dataset", "mnist-sample", "--quiet", MPLBACKEND="nonsense")
    assert (ended.returncode, ended.stderr) == (0, "")
