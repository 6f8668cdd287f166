"""A stderr that takes nothing ends no command, a closed one gets no file's number; a failing stdout is an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAIN = [
    "-m", "mlfound", "train", "--set", "data.dataset=mnist-sample", "--set", "epochs=1",
    "--set", "data.train_rows=500", "--set", "model.hidden=[20]", "--runs-dir", "runs",
]  # fmt: skip


def python(*arguments, **streams):
    return subprocess.run([sys.executable, *arguments], **{"stdout": subprocess.PIPE, **streams})


@pytest.mark.slow
def test_a_training_whose_messages_cannot_be_shown_completes_and_logs_them():
    with open("/dev/full", "w") as full:
        done = python(*TRAIN, stderr=full)
    run = Path(done.stdout.decode().splitlines()[-1])
    assert done.returncode == 0
    assert '"status": "completed"' in (run / "run.json").read_text()
    assert "epoch   1  train loss" in (run / "log.txt").read_text()


# What would be written to a closed stderr must not land in the file that is opened next.
SPEAK = """
import contextlib, os, sys
from mlfound.cli.streams import open_streams
open_streams()
with open("file", "w") as file:
    for number in range(3):
        print("a message" * number * 10_000, file=sys.stderr)
    with contextlib.suppress(OSError):  # a library, which does not ask us
        os.write(2, b"a library")
    print("a result")
"""


def speak(tmp_path, **streams):
    done = python("-c", SPEAK, **streams)
    assert (tmp_path / "file").read_bytes() == b""
    return done


def close_all():
    os.closerange(0, 3)


def test_closed_streams(tmp_path):
    assert speak(tmp_path, preexec_fn=close_all).returncode == 0


def test_a_reader_that_is_gone(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        done = speak(tmp_path, stderr=gone)
    assert done.stdout == b"a result\n"


def test_a_pipe_that_is_full_and_does_not_wait(tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader), os.fdopen(writer, "w") as pipe:
        done = speak(tmp_path, stderr=pipe)
    assert done.stdout == b"a result\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["runs"]])
def test_a_stdout_that_takes_nothing_is_an_error_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        done = python("-m", "mlfound", *arguments, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode().rstrip().endswith(": No space left on device")
    assert done.stderr.count(b"\n") == 1
