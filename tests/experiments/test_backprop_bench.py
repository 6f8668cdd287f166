"""backprop-bench: gradients first, then times; who is not here is said, who is wrong is not timed."""

import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from mlfound.config.models import BackpropBenchConfig
from mlfound.experiments import backprop_lesson, backprop_report, backprop_step
from mlfound.experiments.backprop_report import BACKWARD, FORWARD, FULL_BACKWARD, Lap
from mlfound.experiments.memory import peak_bytes
from mlfound.foundations import functions
from mlfound.foundations.checks import relative_error
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import STAGES
from mlfound.reference import jax_scan, torch_compile, torch_graph, torch_nn
from mlfound.timing import Timing

SAMPLE = ("backprop-bench", "--dataset", "mnist-sample", "--budget", "0.01")
TWO = ("--impl", "modules", "--impl", "torch-nn")
STEP = (*SAMPLE, "--workload", "step", "--rows", "640")
CPU = torch.device("cpu")


def checks_of(outcome):
    return {check["name"]: check for check in outcome.json("summary.json")["checks"]}


def test_check_only_needs_no_data_and_has_a_check_a_stage_and_tensor(mlfound, tmp_path):
    outcome = mlfound("backprop-bench", "--check-only", "--data-dir", tmp_path / "nothing")
    assert outcome.code == 0, outcome
    path, checks = outcome.path, checks_of(outcome)
    names = [*STAGES, "torch-nn"]
    for name in names:
        for tensor in ("loss", "w1", "b1", "w2", "b2", "x"):
            check = checks[f"{name}: {tensor} as by autograd"]
            assert check["value"] <= check["bound"] == 1e-10
    assert checks["autograd's gradients as by central differences"]["bound"] == 1e-6
    rows = outcome.rows("gradients")
    assert len(rows) == len(names) * 2 * 2 * 7 * 6  # shifts, losses, situations, tensors
    assert {row["situation"] for row in rows} >= {"one row", "dead ReLUs", "rows of zeros", "outputs of 1e4"}
    assert not list((path / "tables").glob("forward*"))


def test_a_wrong_gradient_is_seen_and_not_timed(mlfound, monkeypatch):
    monkeypatch.setattr(functions, "relu_grad", lambda dout, x: dout)
    assert mlfound("backprop-bench", "--check-only").code == 1
    outcome = mlfound(*SAMPLE, *TWO, "--rows", "64")
    assert outcome.code == 1, outcome
    assert "modules was not timed: its gradients are wrong." in outcome.out
    assert {row["impl"] for row in outcome.rows("forward")} == {"torch-nn"}
    assert outcome.json("run.json")["status"] == "failed"


def test_all_stages_on_the_lessons_task(mlfound):
    outcome = mlfound(*SAMPLE, "--rows", "300")
    assert outcome.code == 0, outcome
    path = outcome.path
    for name in (FORWARD, BACKWARD, FULL_BACKWARD, "forward-validation"):
        rows = outcome.rows(name)
        assert [row["impl"] for row in rows] == [*STAGES, "torch-functional", "torch-nn"]
        assert {row["rows"] for row in rows} == {"1000" if name == "forward-validation" else "300"}
        for row in rows:
            assert float(row["median_s"]) > 0
            assert int(row["n"]) >= 1
            assert row["lesson_s"] == row["notebook_s"] == ""
        assert (path / "plots" / f"{name}.png").exists()
    metrics = outcome.json("summary.json")["metrics"]
    assert metrics["modules_forward_median_s"] == float(outcome.rows(FORWARD)[4]["median_s"])
    assert 0.2 < metrics["modules_over_torch_nn_backward"] < 5
    if sys.platform == "linux":
        peaks = {row["impl"]: float(row["peak_mb"]) for row in outcome.rows("memory")}
        assert peaks["classes-outer"] > 300 * 784 * 50 * 4 / 1e6 > peaks["classes"]


def test_outer_products_get_fewer_rows_unless_one_insists():
    config, many = BackpropBenchConfig(), type("Splits", (), {"train": type("", (), {"y": range(50_000)})})
    assert backprop_lesson.rows_of("classes", config, many) == 50_000
    assert backprop_lesson.rows_of("classes-outer", config, many) == 5_000
    insisting = config.model_copy(update={"rows": 50_000})
    assert backprop_lesson.rows_of("classes-outer", insisting, many) == 50_000


def test_the_lessons_times_stand_beside_the_lessons_task_only():
    timing = Timing([0.1, 0.2, 0.3], [1.0, 1.0, 1.0])
    outer, last = Lap("classes-outer", FORWARD, 5_000, timing), Lap("modules", FORWARD, 50_000, timing)
    table = backprop_report.table([outer, last], "cpu")
    assert table.rows[0][5:] == (59.6e-3, 70.7e-3, "the others 50,000 rows, noisy")
    assert table.rows[1][5:] == (45.8e-3, 46.4e-3, "noisy")
    assert backprop_report.table([outer], "cpu").rows[0][5:] == (None, None, "noisy")


def test_how_ours_stands_to_the_library_is_of_both_passes_together():
    seconds = {("modules", FORWARD): 1.0, ("modules", BACKWARD): 2.0, ("modules", FULL_BACKWARD): 4.0}
    seconds |= {("torch-nn", FORWARD): 2.0, ("torch-nn", BACKWARD): 4.0, ("torch-nn", FULL_BACKWARD): 3.0}
    assert list(backprop_report.ratios(seconds).values()) == [0.5, 1.0]
    assert backprop_report.ratios({("modules", FORWARD): 1.0}) == {}
    weights, share = backprop_report.findings(seconds)
    assert "0.50 times as long as torch-nn, and 1.00 times" in weights
    assert "50% of the whole backward pass" in share


def test_backward_is_timed_without_its_forward():
    seen = []

    def stage():
        seen.append("forward")
        yield "loss"
        seen.append("backward")
        yield "gradients"

    timed = backprop_lesson.backward(stage)
    assert seen == ["forward"]
    timed()
    assert seen == ["forward", "backward"]
    timed = backprop_lesson.forward(stage)
    assert len(seen) == 2
    timed()
    assert seen[2:] == ["forward"]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_peak_of_memory_is_seen_after_it_has_gone():
    def work():
        torch.ones(25_000_000)  # 100 MB, given back at once

    work()
    assert peak_bytes(work, CPU) == pytest.approx(100e6, rel=0.05)
    assert peak_bytes(lambda: None, CPU) < 10e6


def test_a_step_by_ours_and_torchs(mlfound):
    outcome = mlfound(*STEP, *TWO)
    assert outcome.code == 0, outcome
    path = outcome.path
    modules, theirs = outcome.rows("step")
    assert list(modules)[:5] == ["impl", "median_s", "iqr_s", "n", "images_per_s"]
    assert (modules["impl"], theirs["impl"]) == ("modules", "torch-nn")
    for row in (modules, theirs):
        assert float(row["images_per_s"]) == pytest.approx(64 / float(row["median_s"]))
        assert float(row["weights_error"]) <= 1e-10
    assert checks_of(outcome)["modules: weights after 10 steps as by torch-nn"]["bound"] == 1e-10
    assert (path / "plots" / "step.png").exists()


@pytest.mark.parametrize("fault", ["order", "momentum", "lr"])
def test_other_weights_make_a_row_void(mlfound, monkeypatch, fault):
    def cheat(parameters, x, y, order, lr, momentum):
        changed = {"order": order.flip(0), "momentum": 0.9001 * momentum / 0.9, "lr": lr * 1.0001}
        given = {"order": order, "lr": lr, "momentum": momentum, fault: changed[fault]}
        return backprop_step.modules(parameters, x, y, **given)

    monkeypatch.setitem(backprop_step.LADDER, "modules", cheat)
    outcome = mlfound(*STEP, *TWO)
    assert outcome.code == 1, outcome
    modules, theirs = outcome.rows("step")
    assert modules["median_s"] == ""
    assert modules["note"] == "void: other weights than torch-nn"
    assert theirs["median_s"]


def test_a_peer_that_is_not_here_is_said_and_the_others_run(mlfound, monkeypatch):
    monkeypatch.setattr(jax_scan, "find_spec", lambda name: None)
    outcome = mlfound(*STEP, *TWO, "--impl", "jax", "--impl", "torch-graph")
    assert outcome.code == 0, outcome
    ours, _, graph, jax = outcome.rows("step")
    assert ours["median_s"]
    assert jax["note"] == "jax is not installed: pip install 'mlfound[peers]'"
    assert "CUDA GPU" in graph["note"]
    assert jax["median_s"] == graph["median_s"] == ""

    alone = mlfound(*STEP, "--impl", "jax")
    assert alone.code == 2
    assert alone.err == "--impl jax: impl: jax is not installed: pip install 'mlfound[peers]'\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about its own compiler
@pytest.mark.parametrize("peer", [torch_compile, torch_graph, jax_scan], ids=lambda peer: peer.__name__)
def test_a_peer_trains_to_the_same_weights_twice(peer):
    device = torch.device("cuda" if peer is torch_graph and torch.cuda.is_available() else "cpu")
    if reason := peer.unavailable(device):
        pytest.skip(reason)
    draws = generator(0, "peers")
    tensor = partial(torch.randn, generator=draws, dtype=torch.float64)
    parameters = {"w1": tensor(9, 5), "b1": tensor(5), "w2": tensor(5, 3), "b2": tensor(3)}
    x, y = tensor(40, 9), torch.randint(3, (40,), generator=draws)
    order = torch.randperm(40, generator=draws).view(-1, 8)
    given = (
        {name: p.to(device) for name, p in parameters.items()},
        *(each.to(device) for each in (x, y, order)),
    )
    wanted = torch_nn.sgd(*given, 0.05, 0.9)()
    train = peer.sgd(*given, 0.05, 0.9)
    for got in (train(), train()):
        for name in wanted:
            assert relative_error(got[name], wanted[name]) <= 1e-12, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--impl", "module"], ["--impl module", "did you mean 'modules'"]),
        (["--impl", "jax"], ["--impl jax", "not in the workload lesson", "torch-nn"]),
        (["--workload", "step", "--impl", "classes"], ["not in the workload step", "jax"]),
        (["--workload", "steps"], ["--workload steps", "did you mean 'step'"]),
        (["--check-only", "--impl", "torch-functional"], ["no gradients to check", "modules"]),
        (["--rows", "5001"], ["--rows 5001", "5,000 training rows"]),
        (["--rows", "0"], ["--rows 0"]),
        (["--workload", "step", "--rows", "63"], ["--rows 63", "64 or more"]),
        (["--workload", "step", "--impl", "torch-graph"], ["--impl torch-graph", "CUDA GPU"]),
        (["--dataset", "mnists"], ["--dataset mnists"]),
        (["--budget", "0"], ["--budget 0", "seconds"]),
        (["--set", "check_only=1"], ["check_only", "true or false"]),
    ],
)
def test_bad_input(mlfound, arguments, words):
    outcome = mlfound("backprop-bench", "--dataset", "mnist-sample", *arguments)
    assert outcome.code == 2, outcome
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err
    assert not Path("runs").exists()


def test_sizes_beyond_memory(mlfound, monkeypatch):
    monkeypatch.setattr(backprop_lesson.hardware, "memory_bytes", lambda: 0.5e9)
    outcome = mlfound(*SAMPLE, "--rows", "5000", "--impl", "classes-outer")
    assert outcome.code == 2
    assert "classes-outer on 5,000 rows needs about 1 GB" in outcome.err
    assert mlfound(*SAMPLE, "--rows", "100", "--impl", "classes-outer").code == 0
