"""The README's commands work as they stand there, and its pictures and links lead somewhere."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from mlfound.foundations.matmul import MATMULS
from mlfound.foundations.schedules import rates

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FASHION = Path("/usr/share/datasets/fashion-mnist")


def on_the_sample(words):
    """The same command, made small: the embedded sample, one epoch."""
    if words[0] in ("normalize-check", "lr-find"):
        return [*words, "--set", "data.dataset=mnist-sample"]
    if words[0] in ("matmul-bench", "conv-bench"):
        return [*words, "--budget", "0.01"]
    if words[0] == "backprop-bench":
        # without torch-compile, which takes its time
        few = ["--impl", "modules", "--impl", "torch-nn"] if "step" in words else []
        return [*words, *few, "--dataset", "mnist-sample", "--rows", "640", "--budget", "0.01"]
    if words[0] == "init-stats":
        width = [] if "--model" in words else ["--width", "32"]  # a model has its own
        return [*words, "--set", "data.dataset=mnist-sample", "--draws", "3", *width]
    if words[0] == "train" and "--resume" not in words:
        return [*words, "data.dataset=mnist-sample", "epochs=1"]  # the last of two wins
    if words[0] == "sweep" and "--command" in words:
        return [*words, "budget=0.01"]
    if words[0] == "sweep" and "--resume" not in words:
        return [*words, "data.dataset=mnist-sample", "epochs=1", "--seeds", "0-1"]  # the last of two wins
    if words[0] == "remedies" and "--resume" not in words:
        small = ("dataset=mnist-sample", "rows=1000", "epochs=1", "hidden=[16]")
        return [*words, *small, "--seeds", "0-1"]  # the last of two wins
    if words == ["download"]:
        return [*words, "--dataset", "mnist-sample"]
    return words


def oldest():
    """The id of the first run here."""
    return min(path.name for path in Path("runs").iterdir() if path.name[0] == "2")


@pytest.mark.slow
def test_every_mlfound_command(mlfound, own_folder):
    """In their order, in one folder: a later command may use what an earlier one left."""
    shutil.copytree(ROOT / "configs", own_folder / "configs")
    ran = 0
    for program, *words in map(shlex.split, COMMANDS):
        if program != "mlfound" or "--from" in words or "--dask" in words:
            continue
        named = [oldest() if word == "20261123-043146" else word for word in words]
        outcome = mlfound(*on_the_sample(named), typed="y\n")
        assert outcome.code == 0, (words, outcome)
        ran += 1
    assert ran >= 9


def test_fashion_mnist_from_debians_files(mlfound, own_folder):
    """The `--from` command, with a cache of its own."""
    [words] = [shlex.split(command) for command in COMMANDS if "--from" in command]
    if not FASHION.is_dir():
        pytest.skip(f"needs {FASHION}, from Debian's package dataset-fashion-mnist")
    outcome = mlfound(*words[1:], "--data-dir", own_folder / "cache")
    assert outcome.code == 0, outcome
    assert len(list((own_folder / "cache" / "fashion-mnist").glob("*-ubyte"))) == 4


def test_every_make_command_is_a_target():
    """`make` itself is run by CI; here, that each target exists and says what it would do."""
    targets = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    assert targets == ["train", "test"]
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in [*targets, "setup", "check", "demo", "bench", "faults", "clean", "help"]:
        assert f"make {target} " in helped
        planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
        assert planned.stdout


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_rungs_of_the_readme_work(capsys):
    calls, schedule, product = PYTHON
    assert "mlfound.run" in calls
    exec(product, {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*MATMULS, "outer-products"]
    names = {}
    exec(schedule, names)
    assert rates(names["drop"], 0.49, 0.1, 0.9) == (0.1, 0.9)
    assert rates(names["drop"], 0.5, 0.1, 0.9) == pytest.approx((0.01, 0.9))


def test_the_ten_lines_train_read_and_compare(capsys):
    code = next(block for block in PYTHON if "mlfound.run" in block)
    assert len([line for line in code.splitlines() if line]) <= 11
    exec(code, {})
    *trained, compared = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in trained] == ["0.2", "0.05"]
    assert compared.endswith("completed")
