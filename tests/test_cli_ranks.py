"""`mlfound train` under a real torchrun: one run of many ranks. All but what needs no torchrun is slow."""

import json
import os
import signal
import socket
import sys

import pytest
import torch.distributed as dist
from safetensors.torch import load_file

from mlfound.cli import ranks
from mlfound.engines.ranks import Ranks
from mlfound.foundations.checks import relative_error
from mlfound.runs.status import read_facts
from tests.support.commands import check_line, mlfound
from tests.support.torchrun import Torchrun, begun, wait_until

SHORT = ("data.dataset=mnist-sample", "epochs=1", "model.dropout=0.1")
LONG = ("data.dataset=mnist-sample", "epochs=500", "checkpoint.seconds=0")
QUICK = ("--quiet", "--no-plots")


@pytest.mark.slow
def test_one_run_of_two_ranks_is_that_of_one_process(tmp_path, own_folder):
    with Torchrun(tmp_path, 2, "train", *SHORT, "--no-plots") as torchrun:
        code, out, err = torchrun.end()
    assert code == 0, err
    [run] = (path for path in (tmp_path / "runs").iterdir() if not path.is_symlink())
    assert out.splitlines()[-1] == f"runs/{run.name}"
    assert sum(line.startswith("epoch ") for line in err) == 1, "more than one rank shows what it does"
    assert "2 ranks, all-reduce by shared memory" in (run / "log.txt").read_text()
    facts = read_facts(run)
    assert (facts["status"], facts["ranks"], facts["threads"]) == ("completed", 2, 1)
    assert facts["command_line"].startswith("torchrun --nproc-per-node 2 -m mlfound train data.dataset=")

    alone = mlfound("train", *SHORT, "engine=buffers", "--threads", "1", *QUICK)
    assert alone.json("run.json")["ranks"] == 1
    found, wanted = (load_file(path / "model.safetensors") for path in (run, alone.path))
    # 79 steps in float32, which rounds at 6e-8: what they add up is far below what another gradient would do
    assert max(relative_error(found[name], wanted[name]) for name in wanted) <= 1e-3


@pytest.mark.parametrize("command", ["info", "sweep", ""])
def test_torchrun_starts_only_train(command, monkeypatch, capsys):
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["mlfound", *command.split()])
    assert ranks.are_several()
    with pytest.raises(SystemExit) as ended:
        ranks.run(lambda: pytest.fail("it ran"))
    assert ended.value.code == 2
    assert "torchrun starts only mlfound train" in check_line(capsys.readouterr().err.removesuffix("\n"))


def test_one_process_is_as_without_torchrun(monkeypatch):
    assert not ranks.are_several()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not ranks.are_several()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_rank_told_to_stop_before_it_trains_stops_with_all_others(number, monkeypatch):
    """The first rank may have begun the run by then: a rank that ended at once would make it a failed one."""
    seen = []

    def train_a_little(config, context):
        signal.raise_signal(number)
        with context.interruption() as is_interrupted:
            seen.append(is_interrupted())

    monkeypatch.setattr("mlfound.experiments.train.run", train_a_little)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = ranks.work(Alone(dist.HashStore(), 0, 1), {"config": {}, "data_dir": "", "resumed": None})
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert (code, seen) == (128 + signal.SIGINT, [True])


class Alone(Ranks):
    """One rank, whose sums are its own numbers."""

    def sum(self, x):
        return x


BAD = {
    ("info",): "torchrun starts only mlfound train",
    ("train", *SHORT, "batch_size=2"): "batch_size: a batch of 2 has no row for each of 3 ranks",
    ("train", *SHORT, "replicates=2"): "replicates: 3 ranks train one network together",
    ("train", *SHORT, "engine=native"): "engine: native cannot add up the gradients",
    ("train", "none.yaml"): "none.yaml: there is no such file",
}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", BAD, ids=lambda each: each[-1])
def test_a_mistake_is_said_once_and_leaves_nothing(arguments, tmp_path):
    with Torchrun(tmp_path, 3, *arguments) as torchrun:
        code, out, err = torchrun.end()
    assert (code, out) == (1, "")  # torchrun's own code
    [line] = (line for line in err if line != "mlfound train: loading PyTorch")
    assert BAD[arguments] in check_line(line)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("train", "--help"), ("train", "--print-config")])
def test_where_nothing_is_to_be_done_all_end(arguments, tmp_path):
    with Torchrun(tmp_path, 2, *arguments) as torchrun:
        code, out, err = torchrun.end()
    assert (code, err) == (0, [])
    [last] = mlfound(*arguments).out.splitlines()[-1:]
    assert out.splitlines()[-1] == last
    assert out.count(last) == 1, "more than one rank says it"


@pytest.mark.slow
@pytest.mark.parametrize("told", ["torchrun", "one rank"])
def test_an_interrupted_run_goes_on_with_as_many_ranks(told, tmp_path):
    runs = tmp_path / "runs"
    with Torchrun(tmp_path, 2, "train", *LONG, *QUICK) as torchrun:
        pids = torchrun.wait_for_ranks()
        wait_until(lambda: begun(runs))
        os.kill(pids[1] if told == "one rank" else torchrun.process.pid, signal.SIGINT)
        code, _, err = torchrun.end()
    run = begun(runs)
    # the process of torchrun itself, seen once
    has_aborted = told == "torchrun" and code == -signal.SIGABRT
    assert has_aborted or (code, err) == (1, [])
    assert read_facts(run)["status"] == "interrupted"
    assert [*(run / "checkpoints").glob("*.json")]

    with Torchrun(tmp_path, 3, "train", "--resume", run.name, *QUICK) as torchrun:
        code, _, err = torchrun.end()
    assert code == 1
    assert "checkpoint.allow_other_bits: ranks is 3 by shared memory, then 2" in check_line(err[0])

    other_bits = "checkpoint.allow_other_bits=true"
    with Torchrun(tmp_path, 3, "train", "--resume", run.name, other_bits, *QUICK) as torchrun:
        torchrun.wait_for_ranks()
        wait_until(lambda: read_facts(run)["status"] == "running" and read_facts(run)["ranks"] == 3)
        os.kill(torchrun.process.pid, signal.SIGINT)
        torchrun.end()
    assert read_facts(run)["status"] == "interrupted"


@pytest.mark.slow
def test_two_torchruns_at_once_do_not_meet(tmp_path):
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    arguments = "train", *SHORT, *QUICK
    with Torchrun(folders[0], 2, *arguments) as one, Torchrun(folders[1], 3, *arguments) as other:
        assert [each.end()[0] for each in (one, other)] == [0, 0]
    seen = [json.loads((begun(folder / "runs") / "run.json").read_text())["ranks"] for folder in folders]
    assert seen == [2, 3]


@pytest.mark.slow
def test_two_machines_make_one_run_where_the_first_rank_is(tmp_path):
    """Each of them a torchrun of its own: what they add up goes by gloo."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        endpoint = f"localhost:{free.getsockname()[1]}"
    options = "--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--local-addr=localhost"
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    with (
        Torchrun(folders[0], 1, "train", *SHORT, *QUICK, options=options) as one,
        Torchrun(folders[1], 1, "train", *SHORT, *QUICK, options=options) as other,
    ):
        ends = [each.end() for each in (one, other)]
    assert [(code, err) for code, _, err in ends] == [(0, [])] * 2
    [run] = (begun(folder / "runs") for folder in folders if (folder / "runs").exists())
    facts = read_facts(run)
    assert facts["command_line"].startswith("torchrun --nnodes 2 --nproc-per-node 1 -m mlfound train ")
    assert (facts["status"], facts["ranks"]) == ("completed", 2)
    assert "2 ranks, all-reduce by gloo" in (run / "log.txt").read_text()


@pytest.mark.slow
def test_a_complete_run_has_nothing_left_to_do_in_any_rank(tmp_path):
    with Torchrun(tmp_path, 2, "train", *SHORT, *QUICK) as torchrun:
        assert torchrun.end()[0] == 0
    with Torchrun(tmp_path, 2, "train", "--resume", "latest") as torchrun:
        code, _, err = torchrun.end()
    assert (code, err[-1]) == (0, "This run is complete: nothing is left to do.")
