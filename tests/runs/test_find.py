"""A run by its path, its id, the beginning of its id, or `latest`; and the one line when that fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlfound.errors import UserError
from mlfound.runs.find import find_run
from mlfound.runs.folder import point_latest

NAMES = ("20261122-080000-train", "20261123-080000-train-first", "20261123-090000-init-stats")


@pytest.fixture
def runs():
    for name in NAMES:
        (Path("runs") / name).mkdir(parents=True)
    point_latest(Path("runs") / NAMES[1])
    return Path("runs")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (NAMES[0], NAMES[0]),
        ("20261122", NAMES[0]),
        ("20261123-09", NAMES[2]),
        ("2026112", None),
        ("latest", NAMES[1]),
        ("runs/latest", NAMES[1]),
        (f"runs/{NAMES[0]}", NAMES[0]),
        (f"runs/{NAMES[0]}/", NAMES[0]),
        (f"runs/../runs/{NAMES[0]}", NAMES[0]),
    ],
)
def test_each_way_to_name_a_run(runs, name, found):
    if found is None:
        with pytest.raises(UserError, match="several runs begin so"):
            find_run(name, runs)
    else:
        assert find_run(name, runs).resolve() == (runs / found).resolve()


def test_latest_as_a_text_file(runs):
    (runs / "latest").unlink()
    (runs / "latest").write_text(f"{NAMES[0]}\n")
    assert find_run("latest", runs) == runs / NAMES[0]
    assert find_run("runs/latest", Path("elsewhere")) == runs / NAMES[0]


def test_an_id_that_another_begins_with_means_itself(runs):
    (runs / f"{NAMES[0]}-2").mkdir()
    assert find_run(NAMES[0], runs) == runs / NAMES[0]


def test_the_runs_folder_goes_before_the_current_one(runs):
    Path("20261122").mkdir()
    assert find_run("20261122", runs) == runs / NAMES[0]
    Path("mine").mkdir()
    assert find_run("mine", runs) == Path("mine")


def test_several_are_named_newest_first(runs):
    with pytest.raises(UserError) as error:
        find_run("20261123", runs)
    assert f"({NAMES[2]}, {NAMES[1]})" in str(error.value)


def test_of_very_many_only_some_are_named(runs):
    for number in range(40):
        (runs / f"x-{number:02}").mkdir()
    with pytest.raises(UserError, match=r"x-39, x-38, x-37, x-36, x-35 and 35 more"):
        find_run("x", runs)


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "..", "2025", "runs/2025", "../..", "a\0b", "\x1b[31mred", "a\nb", "l", "late", ".hidden",
        "x" * 5000, "x/" * 3000, "x/" * 3000 + "latest", "\udce9", "runs/latest/run.json", "~", "*",
    ],
)  # fmt: skip
def test_what_is_no_run(runs, name):
    if name in ("/", "..", "../..", "~"):
        assert find_run(name, runs) == Path(name).expanduser().resolve(), (
            "a path is believed; whoever reads it finds no run.json"
        )
        return
    with pytest.raises(UserError) as error:
        find_run(name, runs)
    assert "no such run, neither in runs nor as a path" in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "target", ["", "..", ".", "../elsewhere", "/etc", "gone", "a\0b", "\x1b[31m", "x" * 900]
)
def test_a_latest_that_leads_astray(runs, target):
    Path("elsewhere").mkdir()
    (runs / "latest").unlink()
    (runs / "latest").write_text(target)
    with pytest.raises(UserError, match="it points to no run") as error:
        find_run("latest", runs)
    assert str(error.value).isprintable()


def test_a_latest_that_is_none(runs):
    (runs / "latest").unlink()
    pointer = runs / "latest"
    spoilers = [lambda: None, lambda: pointer.write_text("x" * 9000), lambda: pointer.write_bytes(b"\xff")]
    for spoil in [
        *spoilers,
        lambda: (pointer.unlink(), os.mkfifo(pointer)),
        lambda: (pointer.unlink(), pointer.mkdir()),
    ]:
        spoil()
        with pytest.raises(UserError, match="there is none in runs"):
            find_run("latest", runs)


def test_no_runs_folder_at_all():
    for name in ("latest", "2026"):
        with pytest.raises(UserError, match="nowhere"):
            find_run(name, Path("nowhere"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all")
def test_a_runs_folder_that_may_not_be_read(runs):
    runs.chmod(0)
    try:
        with pytest.raises(UserError):
            find_run("2026", runs)
    finally:
        runs.chmod(0o755)


def test_finding_imports_no_torch():
    code = "import sys, mlfound.runs.find; sys.exit('torch' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
