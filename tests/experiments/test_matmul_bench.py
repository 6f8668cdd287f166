"""matmul-bench: right before fast, what is left out and why, and when a rung may be called slower."""

import json
import shutil

import pytest
import torch

from mlfound.experiments import matmul_bench
from mlfound.experiments.matmul import ladder
from mlfound.experiments.matmul.compare import NOTHING, ratio_and_interval, segment_medians, verdict
from mlfound.experiments.matmul.roofline import measure_machine
from mlfound.foundations.matmul import MATMULS
from mlfound.foundations.randomness import generator
from mlfound.native import compiling
from tests.support.commands import refused, refused_at_once

QUICK = ("matmul-bench", "--budget", "0.01")
FEW = ("--impl", "broadcast", "--impl", "matmul")


def test_the_whole_ladder_at_the_lessons_shape(mlfound):
    outcome = mlfound(*QUICK)
    assert outcome.code == 0, outcome
    path = outcome.path
    rows = outcome.rows("matmul")
    assert [row["impl"] for row in rows] == list(MATMULS)
    assert {row["shape"] for row in rows} == {"5x784x10"}
    for row in rows:
        if not row["median_s"]:
            assert row["note"], row
            continue
        assert float(row["median_s"]) > 0
        assert int(row["n"]) >= 1
        assert float(row["error"]) <= 1
        flop = 2 * 5 * 784 * 10
        assert float(row["gflop_per_s"]) == pytest.approx(flop / float(row["median_s"]) / 1e9)
    by_name = {row["impl"]: row for row in rows}
    assert float(by_name["loops"]["speedup"]) == 1.0
    assert float(by_name["loops"]["lesson_s"]) == 0.606
    assert by_name["python"]["lesson_s"] == ""
    assert (path / "plots" / "ladder-5x784x10.png").exists()
    summary = outcome.json("summary.json")
    assert [check["passed"] for check in summary["checks"]] == [True]
    assert summary["metrics"]["peak_gflop_per_s"] > 0


def test_the_lessons_operands_are_real_digits():
    images = torch.arange(6 * 784, dtype=torch.float32).view(6, 784)
    a, b = matmul_bench.operands((5, 784, 10), images, generator(0, "operands"))
    assert torch.equal(a, images[:5])
    assert b.shape == (784, 10)
    a, b = matmul_bench.operands((64, 100, 3), images, generator(0, "operands"))
    assert a.shape == (64, 100)
    assert not torch.equal(a[0], images[0, :100])


def test_several_shapes_and_a_chosen_rung(mlfound):
    outcome = mlfound(*QUICK, *FEW, "--shape", "3x4x5", "--shape", "7x784@784x2")
    assert outcome.code == 0, outcome
    rows = outcome.rows("matmul")
    assert [(row["impl"], row["shape"]) for row in rows] == [
        ("broadcast", "3x4x5"),
        ("matmul", "3x4x5"),
        ("broadcast", "7x784x2"),
        ("matmul", "7x784x2"),
    ]
    plots = {plot.name for plot in (outcome.path / "plots").iterdir()}
    assert plots == {"ladder-3x4x5.png", "ladder-7x784x2.png", "speeds.png"}


def test_a_wrong_rung_is_reported_and_not_timed(mlfound, monkeypatch):
    monkeypatch.setitem(MATMULS, "broadcast", lambda a, b: a @ b + 1)
    outcome = mlfound(*QUICK, *FEW)
    assert outcome.code == 1
    wrong, right = outcome.rows("matmul")
    assert wrong["median_s"] == ""
    assert wrong["note"] == "wrong product: not timed"
    assert float(wrong["error"]) > 1
    assert right["median_s"]
    assert outcome.json("run.json")["status"] == "failed"


def test_a_rung_that_would_take_too_long_is_estimated(mlfound, monkeypatch):
    monkeypatch.setattr(ladder, "MAX_CALL_SECONDS", 1e-9)
    outcome = mlfound(*QUICK, *FEW)
    assert outcome.code == 0
    assert all("estimate" in row["note"] and not row["median_s"] for row in outcome.rows("matmul"))


def test_an_estimate_comes_from_small_products(monkeypatch):
    """A rung that takes 1 microsecond a multiplication: the estimate of a large one, without running it."""
    clock, seen = [0.0], []

    def slow(a, b):
        clock[0] += 1e-6 * a.numel() * b.shape[1]
        seen.append(a.numel() * b.shape[1])
        return a @ b

    monkeypatch.setattr(ladder, "perf_counter", lambda: clock[0])
    a, b = torch.ones(256, 256), torch.ones(256, 256)
    assert ladder.estimate(slow, a, b) == pytest.approx(256**3 * 1e-6, rel=0.01)
    assert max(seen) <= 64**3


def test_a_rung_that_needs_too_much_memory_is_left_out(mlfound, monkeypatch):
    monkeypatch.setattr(ladder.hardware, "memory_bytes", lambda device=None: 50_000_000)
    outcome = mlfound(*QUICK, "--impl", "einsum-by-hand", "--impl", "matmul", "--shape", "400x500x600")
    assert outcome.code == 0, outcome
    by_hand, matmul = outcome.rows("matmul")
    assert "at once" in by_hand["note"]
    assert matmul["median_s"]


def test_an_unavailable_rung_is_listed_with_its_reason(mlfound):
    outcome = mlfound(*QUICK, "--dtype", "float64", "--shape", "3x4x5")
    assert outcome.code == 0, outcome
    onednn = outcome.rows("matmul")[-1]
    assert onednn["impl"] == "onednn"
    assert "float32 on a CPU only" in onednn["note"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu(mlfound):
    outcome = mlfound(*QUICK, *FEW, "--device", "cuda", "--shape", "3x4x5", "--shape", "512x512x512")
    assert outcome.code == 0, outcome
    small = outcome.rows("matmul")[0]
    assert "launch-bound" in small["note"]
    assert "TF32" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--impl", "einsumm"], ["--impl einsumm", "did you mean 'einsum'"]),
        (["--impl", "matmul", "--impl", "blas"], ["--impl matmul --impl blas", "'blas'", "onednn"]),
        (["--shape", "5x784"], ["--shape 5x784", "5x784x10"]),
        (["--shape", "5x0x10"], ["--shape 5x0x10", "5x784x10"]),
        (["--shape", "5x784@783x10"], ["--shape 5x784@783x10", "784 is not 783", "5x784x10"]),
        (["--shape", "9999999x9999999x9"], ["--shape 9999999x9999999x9", "GB"]),
        (["--dtype", "float8"], ["--dtype float8", "float32"]),
        (["--dtype", "float64", "--impl", "onednn"], ["--impl onednn", "float32 on a CPU only"]),
        (["--budget", "0"], ["--budget 0", "seconds"]),
        (["--compare", "nothing"], ["--compare nothing", "no such run"]),
        (["--threads", "0"], ["--threads 0"]),
    ],
)
def test_bad_input(mlfound, arguments, words):
    refused_at_once(mlfound("matmul-bench", *arguments), *words)


@pytest.fixture
def earlier(mlfound):
    return mlfound(*QUICK, *FEW, "--shape", "3x4x5").path


def test_comparing_shows_every_common_rung(mlfound, earlier):
    outcome = mlfound(*QUICK, "--impl", "matmul", "--impl", "dot", "--shape", "3x4x5", "--compare", earlier)
    assert outcome.code == 0, outcome
    [row] = outcome.rows("comparison")
    assert row["impl"] == "matmul"
    assert 0 < float(row["ratio_low"]) <= float(row["ratio"]) <= float(row["ratio_high"])
    assert f"Compared with {earlier.name}" in outcome.out


def test_a_run_of_another_command_machine_or_setting_is_refused(mlfound, earlier):
    again = (*QUICK, *FEW, "--shape", "3x4x5", "--compare", earlier)
    facts = json.loads((earlier / "run.json").read_text())
    for change, words in [
        ({"command": "train"}, ["a run of train"]),
        ({"status": "failed"}, ["failed, not completed"]),
        ({"environment": {**facts["environment"], "cpu": "abacus"}}, ["its cpu was abacus"]),
        ({"environment": []}, ["damaged"]),
        ({"id": None}, ["damaged"]),
    ]:
        (earlier / "run.json").write_text(json.dumps({**facts, **change}))
        refused(mlfound(*again), *words)
    (earlier / "run.json").write_text(json.dumps(facts)[:-20])
    refused(mlfound(*again), "run.json", "damaged")
    (earlier / "run.json").write_text(json.dumps(facts))

    config = (earlier / "config.yaml").read_text()
    for old, new, words in [
        ("threads: 1", "threads: 7", ["its threads was 7, now it is 1"]),
        ("dtype: float32", "dtype: float64", ["its dtype was float64"]),
        ("[3x4x5]", "[3x4x6]", ["its shape was"]),
    ]:
        assert old in config
        (earlier / "config.yaml").write_text(config.replace(old, new))
        refused(mlfound(*again), *words)
    (earlier / "config.yaml").write_text(config)

    replicates = earlier / "tables" / "replicates.csv"
    whole = replicates.read_text()
    for broken in (
        "",
        "impl,shape\na,b\n",
        whole.replace("matmul,3x4x5,", "matmul,3x4x5,x"),
        whole + "torn,li",
    ):
        replicates.write_text(broken)
        refused(mlfound(*again), "replicates.csv", "damaged")
    replicates.unlink()
    refused(mlfound(*again), "replicates.csv", "damaged")
    shutil.rmtree(earlier / "tables")
    refused(mlfound(*again), "damaged")


def test_a_ratio_has_an_interval_that_holds_it():
    draws = torch.randn(2, 2000, generator=generator(0, "noise"))
    then, now = (draws[0] * 0.02).exp().tolist(), (1.2 * (draws[1] * 0.02).exp()).tolist()
    ratio, low, high = ratio_and_interval(now, then)
    assert low < 1.2 < high
    assert low < ratio < high
    assert high / low < 1.15
    assert verdict(low, high) == "slower"
    assert verdict(*ratio_and_interval(then, now)[1:]) == "faster"
    assert verdict(*ratio_and_interval(then, then)[1:]) == NOTHING


def test_where_replicates_scatter_a_small_difference_is_none():
    """What moves the replicates of one run apart by a third may well move two runs apart by 20%."""
    draws = torch.randn(2, 2000, generator=generator(0, "noise"))
    then, now = (draws[0] * 0.3).exp().tolist(), (1.2 * (draws[1] * 0.3).exp()).tolist()
    assert verdict(*ratio_and_interval(now, then)[1:]) == NOTHING
    twice = [2 * value for value in now]
    assert verdict(*ratio_and_interval(twice, then)[1:]) == "slower"


def test_few_replicates_say_nothing():
    _, low, high = ratio_and_interval([100.0] * 4, [1.0, 1.1, 1.2, 1.1, 1.0, 1.1])
    assert verdict(low, high) == NOTHING


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(1.0, 1.2, NOTHING), (1.04, 2.0, NOTHING), (1.06, 1.1, "slower"), (0.8, 0.9, "faster")],
)
def test_slower_only_when_the_whole_interval_is(low, high, word):
    assert verdict(low, high) == word


def test_segments_cover_the_sample():
    assert segment_medians(range(5)) == [0, 1, 2, 3, 4]
    medians = segment_medians(range(2000))
    assert len(medians) == 20
    assert medians[0] == 49.5
    assert medians[-1] == 1949.5


@pytest.mark.parametrize("compiler", [True, False])
def test_the_roofline_is_that_of_where_the_operands_lie(monkeypatch, compiler):
    if not compiler:
        monkeypatch.setattr(compiling, "unavailable", lambda: "there is no C compiler")
    elif reason := compiling.unavailable():
        pytest.skip(reason)
    machine = measure_machine(torch.device("cpu"), torch.float32, threads=1)
    assert ("registers" in machine.source) == compiler
    assert machine.roofline(1e12, 1.0) == machine.flop_per_s
    for size in (1e4, 1e9):
        assert machine.roofline(1.0, size) == pytest.approx(machine.reading(size) / size)
        assert machine.reading(size) >= machine.bytes_per_s


def test_without_a_compiler_its_rungs_say_so(mlfound, monkeypatch):
    monkeypatch.setattr(compiling, "unavailable", lambda: "there is no C compiler")
    outcome = mlfound("matmul-bench", "--no-plots", "--budget", 0.01, "--shape", "2x3x4")
    assert outcome.code == 0, outcome
    notes = {row["impl"]: row["note"] for row in outcome.rows("matmul")}
    assert notes["c-loops"] == notes["c-tiled"] == "there is no C compiler"
    refused(mlfound("matmul-bench", "--impl", "c-tiled"), "--impl c-tiled", "there is no C compiler")
