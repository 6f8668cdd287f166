"""When Ctrl-C and SIGTERM take effect; with real processes at random moments: tests/faults/signals.py."""

import json
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from mlfound.cli import signals
from mlfound.cli.signals import Interrupted, Terminated, deferred, raised
from mlfound.report import pictures
from mlfound.runs import recorder

EXCEPTIONS = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}
both = pytest.mark.parametrize("number", EXCEPTIONS)


def wait():
    """For a signal that is on its way."""
    time.sleep(30)
    pytest.fail("the signal was lost")


@both
def test_from_the_first_line_they_end_the_process_without_a_word(number):
    """A process that gets the signal as soon as it imports what is slow."""
    code = (
        "import signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == 'typer': signal.raise_signal({int(number)})\n"
        "from mlfound.__main__ import main\n"
        "sys.meta_path.insert(0, Finder())\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")


@both
def test_the_exit_code_is_right_from_within_a_text_that_is_executed(number):
    """As in the making of a dataclass: after a bare KeyboardInterrupt there `python -m` ends by the signal."""
    code = (
        "import signal, sys, typer\n"
        "from mlfound.cli.failures import one_line_errors\n"
        "try:\n"
        f"    with one_line_errors(): exec('signal.raise_signal({int(number)}); signal.pause()')\n"
        "except typer.Exit as done:\n"
        "    sys.exit(done.exit_code)\n"
    )
    Path("probe.py").write_text(code)
    done = subprocess.run([sys.executable, "-m", "probe"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (128 + number, "")


@both
def test_in_the_block_they_are_exceptions_and_after_it_as_before(number):
    before = signal.getsignal(number)
    with pytest.raises(EXCEPTIONS[number]), raised():  # noqa: PT012
        signal.raise_signal(number)
        wait()
    assert signal.getsignal(number) is before


@both
def test_who_ignores_them_from_now_on_is_not_overruled(number):
    before = signal.getsignal(number)
    try:
        with raised(), deferred():
            signal.signal(number, signal.SIG_IGN)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@both
def test_what_python_drops_is_raised_again(number):
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
    with pytest.raises(EXCEPTIONS[number]), raised():  # noqa: PT012
        del thing
        wait()
    assert reference() is None


@both
def test_the_first_waits_for_the_end_of_the_block(number):
    done = []
    with pytest.raises(EXCEPTIONS[number]), deferred() as interrupted:  # noqa: PT012
        assert not interrupted()
        signal.raise_signal(number)
        done.append(interrupted())
    assert done == [True]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@both
def test_the_second_does_not_wait(number):
    with pytest.raises(EXCEPTIONS[number]), deferred():  # noqa: PT012
        signal.raise_signal(number)
        signal.raise_signal(number)
        wait()


@both
def test_the_first_does_not_wait_for_ever(number, monkeypatch):
    monkeypatch.setattr(signals, "GRACE_SECONDS", 0.01)
    with pytest.raises(EXCEPTIONS[number]), raised(), deferred():  # noqa: PT012
        signal.raise_signal(number)
        wait()


def test_one_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with raised(), deferred() as interrupted:
            signal.raise_signal(signal.SIGINT)
            assert not interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("module", "where", "grace"), [(pictures, "png", 60), (recorder, "write_page", 0.01)]
)
def test_a_run_that_is_being_written_is_written_whole(mlfound, monkeypatch, module, where, grace):
    """It is in the first picture when the signal comes; or in the page, and the time is over there."""
    write, numbers = getattr(module, where), [signal.SIGINT]

    def interrupted(what):
        while numbers:
            signal.raise_signal(numbers.pop())
            if grace < 1:
                wait()
        return write(what)

    monkeypatch.setattr(module, where, interrupted)
    monkeypatch.setattr(signals, "GRACE_SECONDS", grace)
    outcome = mlfound("normalize-check", "--set", "data.dataset=mnist-sample")
    assert outcome.code == 130
    assert json.loads(Path("runs/latest/run.json").read_text())["status"] == "completed"
    assert Path("runs/latest/report.html").exists()


def test_a_signal_counts_though_a_library_turns_it_into_an_error_of_its_own():
    """As pydantic does with what is raised while it makes a schema."""

    def making(arrives):
        with raised():
            try:
                if arrives:
                    signal.raise_signal(signal.SIGINT)
            finally:
                raise ValueError("no schema")

    with pytest.raises(Interrupted):
        making(arrives=True)
    with pytest.raises(ValueError, match="no schema"):
        making(arrives=False)
