"""What all tests share: nothing they do lands outside their own folder, and the real MNIST where it can be had."""

import gc
import os
import signal

import pytest

# tests run side by side, some in several threads: those that wait for each other soon leave their core to the others
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def pytest_collection_finish():
    """What was imported and collected stays; the garbage collector leaves it out, and runs more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """A test runs in its own empty folder; run folders go to `runs` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFOUND_RUNS_DIR", raising=False)
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def heeded_interrupts():
    """Ctrl-C counts in the tests, also where they were started in the background of a script, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def one_thread():
    """For many small tensors, in tests that run side by side: more threads wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def mlfound():
    """The command line, in this process: mlfound("train", "--set", "epochs=1")."""
    from tests.support.commands import mlfound

    return mlfound


@pytest.fixture(scope="session")
def mnist_dir():
    """The data folder with the real MNIST in it, fetched once. In CI it must be there; elsewhere the test skips."""
    from mlfound.data.fetch import fetch
    from mlfound.data.registry import DATASETS, default_data_dir
    from mlfound.errors import UserError

    try:
        fetch(DATASETS["mnist"], default_data_dir())
    except UserError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the full MNIST must be here in CI: {error}")
        pytest.skip(f"needs the full MNIST, which could not be fetched: {error}")
    return default_data_dir()
