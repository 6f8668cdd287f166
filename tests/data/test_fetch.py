"""The sources in their order; each fault of a mirror leads to the next source, never to a bad file."""

import errno
import threading
import time

import filelock
import pytest

from mlfound.data import fetch as fetching
from mlfound.data.fetch import fetch
from mlfound.data.registry import DATASETS, NAMES, Dataset
from mlfound.errors import UserError

NOBODY = "http://127.0.0.1:9/"  # nothing listens there


def holds(made, folder):
    """The cache has the four files, right to the byte, and nothing beside them but the lock."""
    there = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    return there == made.raws


def test_mirror_fills_the_cache_and_then_the_cache_is_the_source(made, mirrors, tmp_path):
    mirror = mirrors()
    seen = []
    arrivals = fetch(made.at(mirror.url), tmp_path, progress=lambda *report: seen.append(report))
    assert [a.file for a in arrivals] == list(NAMES)
    assert {a.source for a in arrivals} == {mirror.url[7:-1]}
    assert [a.bytes for a in arrivals] == [len(raw) for raw in made.raws.values()]
    assert [a.sha256 for a in arrivals] == [file.sha256 for file in made.dataset.files]
    assert all(a.seconds > 0 for a in arrivals)
    assert holds(made, tmp_path / "made")
    assert mirror.asked == [f"/{name}.gz" for name in NAMES]
    sizes = {f"{file.name}.gz": file.gz_bytes for file in made.dataset.files}
    assert {label: (done, total) for label, done, total in seen} == {k: (v, v) for k, v in sizes.items()}

    again = fetch(made.at(mirror.url), tmp_path)
    assert {a.source for a in again} == {"cache"}
    assert [(a.file, a.bytes, a.sha256) for a in again] == [(a.file, a.bytes, a.sha256) for a in arrivals]
    assert len(mirror.asked) == 4


FAULTS = {
    "not found": "HTTP status 404",
    "broken": "HTTP status 500",
    "broken at length": "HTTP status 500",
    "a part": "HTTP status 206",
    "elsewhere": "HTTP status 302",
    "here again": "HTTP status 302",
    "page": "a web page instead of the file",
    "sly page": "the wrong content",
    "half": "ended early, after",
    "whole half": "the wrong content",
    "hang up": "",  # in the body or already in the headers
    "hang up at once": "no connection",
    "empty": "the wrong content",
    "longer": "sends more than",
    "longer than said": "sends more than",
    "too much": "sends more than",
    "no length": "does not give the length of the file",
    "chunks": "does not give the length of the file",
    "chunks and a length": "does not give the length of the file",
    "packed": "does not give the length of the file",
    "odd length": "does not give the length of the file",
    "long length": "failed with ValueError",
    "no HTTP": "no connection",
    "headers without end": "no connection",
    "wrong bytes": "the wrong content",
    "other bytes": "the wrong content",
    "one bit": "the wrong content",
    "bomb": "",
    "drip": "not done after 1 s",
    "drip in headers": "not done after 1 s",
    "silence": "no answer in time",
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.items(), ids=FAULTS)
def test_fault_of_a_mirror_leads_to_the_next(made, mirrors, tmp_path, impatient, fault, words):
    bad, good = mirrors(fault), mirrors()
    started = time.monotonic()
    arrivals = fetch(made.at(bad.url, good.url), tmp_path / "both")
    assert {a.source for a in arrivals} == {good.url[7:-1]}
    assert holds(made, tmp_path / "both" / "made")

    with pytest.raises(UserError) as caught:
        fetch(made.at(bad.url), tmp_path / "alone")
    assert words in str(caught.value)
    assert {path.name for path in (tmp_path / "alone" / "made").iterdir()} == {".lock"}
    assert time.monotonic() - started < 8
    assert bad.sent < 8_000_000 * len(bad.asked)  # what the sockets' buffers hold, unread


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("sly page", "is a web page"),
        ("whole half", "ends early"),
        ("wrong bytes", "wrong content"),
        ("bomb", "unpacks to more than"),
        ("too much", "sends more than"),
    ],
)
def test_fault_where_only_the_raw_digest_is_known(made, mirrors, tmp_path, impatient, fault, words):
    bad, good = mirrors(fault), mirrors()
    with pytest.raises(UserError, match=words):
        fetch(made.at(bad.url, gz_known=False), tmp_path)
    fetch(made.at(bad.url, good.url, gz_known=False), tmp_path)
    assert holds(made, tmp_path / "made")


def test_mirror_that_cannot_be_reached_is_asked_for_one_file_only(made, mirrors, tmp_path, impatient):
    silent, broken, good = mirrors("silence"), mirrors("broken"), mirrors()
    fetch(made.at(NOBODY, silent.url, broken.url, good.url), tmp_path)
    assert len(silent.asked) == 1
    assert len(broken.asked) == 4
    assert len(good.asked) == 4


def test_two_mirrors_that_each_lack_a_file_fill_the_cache_together(made, mirrors, tmp_path):
    first, second = mirrors(), mirrors()
    first.files[f"/{NAMES[1]}.gz"] = second.files[f"/{NAMES[2]}.gz"] = b"nonsense"
    arrivals = fetch(made.at(first.url, second.url), tmp_path)
    assert [a.source for a in arrivals] == [m.url[7:-1] for m in (first, second, first, first)]
    assert holds(made, tmp_path / "made")


def test_all_sources_failing_is_one_message(made, mirrors, tmp_path, impatient):
    broken = mirrors("broken")
    with pytest.raises(UserError) as caught:
        fetch(made.at(NOBODY, broken.url), tmp_path)
    assert str(caught.value) == (
        "made could not be fetched from any source "
        f"(127.0.0.1:9: no connection; {broken.url[7:-1]}: HTTP status 500); "
        "give your own files with --from PATH, or use --set data.dataset=mnist-sample"
    )


def test_damaged_file_that_cannot_be_fetched_again_is_named_beside_the_reasons(made, tmp_path, impatient):
    cache = made.write(tmp_path / "made")
    (cache / NAMES[0]).write_bytes(b"damaged")
    (cache / NAMES[1]).unlink()
    with pytest.raises(UserError) as caught:
        fetch(made.at(NOBODY), tmp_path)
    assert str(caught.value) == (
        f"made could not be fetched from any source (127.0.0.1:9: no connection); the cached {cache / NAMES[0]} is "
        "damaged; give your own files with --from PATH, or use --set data.dataset=mnist-sample"
    )


def test_fashion_mnist_has_no_package_and_says_where_to_go(tmp_path, monkeypatch):
    def unreachable(*_):
        raise fetching.SourceError("no connection")

    monkeypatch.setattr(fetching, "download", unreachable)
    with pytest.raises(
        UserError, match=r"storage\.googleapis\.com: no connection; raw\.githubusercontent\.com"
    ):
        fetch(DATASETS["fashion-mnist"], tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: b"\1" + raw[1:], None]
)
def test_damaged_or_missing_file_in_the_cache_is_fetched_again(made, mirrors, tmp_path, damage):
    mirror = mirrors()
    fetch(made.at(mirror.url), tmp_path)
    victim = tmp_path / "made" / NAMES[2]
    if damage:
        victim.write_bytes(damage(victim.read_bytes()))
    else:
        victim.unlink()
    arrivals = fetch(made.at(mirror.url), tmp_path)
    assert [a.source for a in arrivals] == ["cache", "cache", mirror.url[7:-1], "cache"]
    assert holds(made, tmp_path / "made")
    assert len(mirror.asked) == 5


def test_debris_of_a_killed_write_is_swept(made, mirrors, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / f".{NAMES[0]}-x7k2m4qz").write_bytes(b"half a file")
    fetch(made.at(mirrors().url), tmp_path)
    assert holds(made, tmp_path / "made")


def test_without_locks_nothing_of_another_process_is_swept(made, mirrors, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setattr("mlfound.files._shortfalls", {})  # else the next command in this process says it
    (tmp_path / "made").mkdir()
    half = tmp_path / "made" / f".{NAMES[0]}-x7k2m4qz"
    half.write_bytes(b"half a file")
    fetch(made.at(mirrors().url), tmp_path)
    half.unlink()
    assert holds(made, tmp_path / "made")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_write_that_fails_is_one_line_and_leaves_what_was_there(made, mirrors, tmp_path, monkeypatch, code):
    mirror = mirrors()
    fetch(made.at(mirror.url), tmp_path)
    (tmp_path / "made" / NAMES[3]).unlink()

    def fail(*_):
        raise OSError(code, "it failed")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UserError) as caught:
        fetch(made.at(mirror.url), tmp_path)
    folder = tmp_path / "made"
    assert str(caught.value) == f"cannot write in {folder}: it failed; choose another with --data-dir"
    assert {path.name for path in folder.iterdir()} == {".lock", *NAMES[:3]}


def test_cache_that_is_whole_needs_no_writing(made, mirrors, tmp_path, monkeypatch):
    fetch(made.at(mirrors().url), tmp_path)
    monkeypatch.setattr(fetching, "lock", None)
    assert {a.source for a in fetch(made.dataset, tmp_path)} == {"cache"}


@pytest.mark.parametrize("where", ["file", "file/deeper", "made"])
def test_file_where_a_folder_should_be(made, tmp_path, where):
    (tmp_path / "file").write_text("")
    (tmp_path / "made").write_text("")
    with pytest.raises(
        UserError, match=r"is not a folder; choose another|cannot write in .*made: "
    ) as caught:
        fetch(made.dataset, tmp_path if where == "made" else tmp_path / where)
    assert "--data-dir" in str(caught.value)


def test_dataset_that_stands_in_a_folder_is_not_fetched(made, tmp_path):
    sample = fetch(DATASETS["mnist-sample"], tmp_path)
    assert {a.source for a in sample} == {"package"}
    assert [a.sha256 for a in sample] == [file.sha256 for file in DATASETS["mnist-sample"].files]
    own = fetch(Dataset("x", "x", "x", folder=made.write(tmp_path / "own")), tmp_path)
    assert {a.source for a in own} == {str(tmp_path / "own")}
    assert [a.bytes for a in own] == [len(raw) for raw in made.raws.values()]
    with pytest.raises(
        UserError, match=r"mnist-sample is read from .*sample; it takes no other files"
    ) as caught:
        fetch(DATASETS["mnist-sample"], tmp_path, source=tmp_path)
    assert caught.value.key == "from"
    assert {path.name for path in tmp_path.iterdir()} == {"own"}


def test_whoever_waits_for_another_process_says_so(made, mirrors, tmp_path):
    dataset, said = made.at(mirrors().url), []
    folder = tmp_path / dataset.name
    folder.mkdir()
    waiting = threading.Thread(
        target=fetch, args=(dataset, tmp_path, None, lambda label, *_: said.append(label))
    )
    with filelock.FileLock(folder / ".lock"):
        waiting.start()
        deadline = time.monotonic() + 10
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
    waiting.join(10)
    assert said[0] == "waiting for another process"
    assert holds(made, folder)
