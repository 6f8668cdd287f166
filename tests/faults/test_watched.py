"""The watch over a case sees what it is there to see: each way to do harm is found, and the cases behind it go on."""

import os
import pickle
import signal
import time

import pytest

from tests.faults.watched import watch


class Runs:
    """Pickles to a call that starts a program."""

    def __reduce__(self):
        return os.system, ("true",)


def spins():
    started = time.process_time()
    while time.process_time() - started < 2.1:
        pass


def fills_the_memory():
    bytearray(1 << 30)


def runs_a_program():
    pickle.loads(pickle.dumps(Runs()))


def evaluates():
    eval("1 + 1")


def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def raises():
    raise ValueError("two\nlines")


HARM = {
    spins: "of processor time",
    fills_the_memory: "MemoryError",
    runs_a_program: "ran something: pickle.find_class",
    evaluates: "ran something: compile",
    is_killed: "the process ended with -9",
    raises: "ValueError",
}


def case(harm):
    if harm:
        harm()
    return "fine"


@pytest.fixture(scope="module")
def watched():
    """One child for all, but for the one that is killed: a harmless case before and behind each."""
    return watch(case, [(each,) for harm in HARM for each in (None, harm)] + [(None,)])


def test_harmless_cases_pass(watched):
    assert watched.words == {"fine": len(HARM) + 1}


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_seen(watched, harm):
    [line] = [line for line in watched.failures if harm.__name__ in line]
    assert HARM[harm] in line
