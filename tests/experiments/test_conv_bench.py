"""conv-bench: right before fast, what the loops are estimated from, and that a convolution is a product."""

import math
from statistics import median

import pytest
import torch

from mlfound import hardware
from mlfound.experiments.convolution import ladder
from mlfound.experiments.convolution.layers import PASSES, ConvLayer, bytes_needed, draw, parse
from mlfound.foundations.checks import matmul_error, relative_error
from mlfound.foundations.convolution import CONVOLUTIONS, Convolution
from mlfound.foundations.randomness import generator
from tests.support.commands import refused_at_once

QUICK = ("conv-bench", "--budget", "0.01", "--no-plots")
SMALL = "2x5x4-3x3x2s2p1"
FEW = ("--impl", "unfold", "--impl", "library", "--rows", "4", "--shape", SMALL)


def small_case(rows=4, name=SMALL):
    return draw(parse(name), rows, None, generator(0, "operands"))


def test_the_whole_ladder_through_small_layers(mlfound):
    shapes = (SMALL, "1x28x28-2x9x9s9")
    outcome = mlfound(*QUICK, "--rows", 4, *(word for shape in shapes for word in ("--shape", shape)))
    assert outcome.code == 0, outcome
    rows = outcome.rows("convolution")
    assert [row["impl"] for row in rows] == list(CONVOLUTIONS)
    for row in rows:
        together = sum(float(row[f"{part}_s"]) for part in PASSES)
        assert float(row["image_s"]) == pytest.approx(together)
        assert float(row["extra_mb"]) >= 0
        assert row["note"] == ("estimate" if row["impl"] == "loops" else "")
    loops, library = rows[0], rows[-1]
    assert float(loops["speedup"]) == float(library["over_library"]) == 1.0
    ratio = float(loops["image_s"]) / float(library["image_s"])
    assert float(library["speedup"]) == float(loops["over_library"]) == pytest.approx(ratio)
    passes = outcome.rows("passes")
    assert len({(row["impl"], row["shape"], row["pass"]) for row in passes}) == len(CONVOLUTIONS) * 2 * 3
    for row in passes:
        assert float(row["error"]) <= 1e-10
        assert float(row["rounding"]) <= 1
        flop = 2 * parse(row["shape"]).multiplications
        assert float(row["gflop_per_s"]) == pytest.approx(flop / float(row["median_s"]) / 1e9)
    summary = outcome.json("summary.json")
    assert len(summary["checks"]) == 4 * len(CONVOLUTIONS)
    assert all(check["passed"] for check in summary["checks"])
    metrics = summary["metrics"]
    assert next(iter(metrics)) == "unfold_over_library"
    assert metrics["unfold_over_library"] == float(rows[2]["over_library"])


def test_the_loops_are_scaled_up_from_one_kernel_on_one_image(mlfound):
    outcome = mlfound(*QUICK, "--impl", "loops", "--rows", 4, "--shape", SMALL)
    assert outcome.code == 0, outcome
    samples = outcome.rows("replicates")
    assert {(row["images"], row["kernels"]) for row in samples} == {("1", "1")}
    for row in outcome.rows("passes"):
        seconds = median(float(each["seconds"]) for each in samples if each["pass"] == row["pass"])
        assert float(row["median_s"]) == pytest.approx(3 * seconds)


def test_others_take_the_whole_batch_and_are_shown_per_image(mlfound):
    outcome = mlfound(*QUICK, "--impl", "library", "--rows", 4, "--shape", SMALL)
    samples = [row for row in outcome.rows("replicates") if row["pass"] == "dw"]
    assert {(row["images"], row["kernels"]) for row in samples} == {("4", "3")}
    [row] = [row for row in outcome.rows("passes") if row["pass"] == "dw"]
    assert float(row["median_s"]) == pytest.approx(median(float(each["seconds"]) for each in samples) / 4)


def test_loops_that_would_take_too_long_are_left_out(mlfound, monkeypatch):
    monkeypatch.setattr(ladder, "MAX_LOOPS_SECONDS", 1e-9)
    outcome = mlfound(*QUICK, *FEW, "--impl", "loops")
    assert outcome.code == 0, outcome
    loops, unfold, _ = outcome.rows("convolution")
    assert loops["image_s"] == ""
    assert "would take" in loops["note"]
    assert unfold["image_s"]
    assert len(outcome.json("summary.json")["checks"]) == 8


@pytest.mark.parametrize("part", range(3), ids=PASSES)
def test_a_wrong_rung_is_reported_and_not_timed(mlfound, monkeypatch, part):
    """By one part in a million: float32 alone would let it pass."""
    right = CONVOLUTIONS["unfold"]
    passes = [*right]
    passes[part] = lambda *operands: right[part](*operands) * (1 + 1e-6)
    monkeypatch.setitem(CONVOLUTIONS, "unfold", Convolution(*passes))
    outcome = mlfound(*QUICK, *FEW)
    assert outcome.code == 1
    wrong, library = outcome.rows("convolution")
    assert (wrong["image_s"], wrong["note"]) == ("", "wrong: not timed")
    assert library["image_s"]
    failed = [check["name"] for check in outcome.json("summary.json")["checks"] if not check["passed"]]
    assert failed[0].startswith(f"unfold: {PASSES[part]} in float64")
    assert not (outcome.path / "tables" / "products.csv").exists()


def test_a_rung_that_rounds_to_fewer_bits_is_wrong(mlfound, monkeypatch):
    """In float64 it is right: only the numbers that are timed can show it."""
    right = CONVOLUTIONS["unfold"]

    def forward(x, w, *options):
        found = right.forward(x, w, *options)
        return found.half().float() if x.dtype == torch.float32 else found

    monkeypatch.setitem(CONVOLUTIONS, "unfold", right._replace(forward=forward))
    outcome = mlfound(*QUICK, *FEW)
    assert outcome.code == 1
    failed = [check["name"] for check in outcome.json("summary.json")["checks"] if not check["passed"]]
    assert failed == ["unfold: worst error in float32 in units of its bound"]
    assert outcome.rows("convolution")[0]["note"] == "wrong: not timed"


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_numbers(mlfound, dtype):
    outcome = mlfound(*QUICK, *FEW, "--dtype", dtype)
    assert outcome.code == 0, outcome


def test_the_products_are_those_of_unfold(mlfound):
    """Their results are those of the passes, dx's before windows are added up; matmul-bench takes their sizes."""
    case = small_case(name="2x5x4-3x3x2s3")
    for part, (a, b) in case.products().items():
        product = a @ b
        assert matmul_error(product, a, b) <= 1
        want = case.calls(CONVOLUTIONS["library"])[part]()
        if part == "forward":
            product = product.view(3, *case.layer.output, 4).permute(3, 0, 1, 2)
        elif part == "dx":
            product, want = product.sum(), want.sum()
        assert relative_error(product.reshape(want.shape), want) < 1e-5, part
    outcome = mlfound(*QUICK, *FEW)
    rows = outcome.rows("products")
    assert [row["product"] for row in rows] == ["3x12x36", "3x36x12", "12x3x36"]
    for row in rows:
        assert float(row["difference"]) < 1e-5
        assert float(row["share"]) > 0
    findings = " ".join(outcome.json("summary.json")["findings"])
    assert f"forward of {SMALL} with 4 images is (3, 12) times (12, 36)" in findings


def test_memory_is_what_the_unfolded_matrix_takes():
    """50 MB of windows and 31 of padded images, of which the process may or may not use the second again."""
    case = small_case(rows=500, name="8x40x40-1x4x4s3p2")
    measured = {name: ladder.measurement(name, case, "forward") for name in ("unfold", "loops")}
    extra = {name: ladder.extra_bytes(each, case) for name, each in measured.items()}
    if extra["unfold"] is None:
        pytest.skip("this system does not tell")
    columns, padded = 4 * 128 * 14 * 14 * 500, 4 * 500 * 8 * 44 * 44
    assert extra["unfold"] == pytest.approx(columns + padded, rel=0.05)
    assert extra["loops"] == pytest.approx(padded, rel=0.05)


def test_memory_is_the_least_seen_beside_the_result(monkeypatch):
    case, seen = small_case(), iter([700, 300, 500])
    each = ladder.measurement("library", case, "forward")
    result = CONVOLUTIONS["library"].forward(case.x, case.w, 2, 1).nbytes
    monkeypatch.setattr(ladder, "peak_bytes", lambda call, device: result + next(seen))
    assert ladder.extra_bytes(each, case) == 300
    monkeypatch.setattr(ladder, "peak_bytes", lambda call, device: None)
    assert ladder.extra_bytes(each, case) is None, "a system that does not tell"


def test_the_first_images_of_their_size_are_real():
    images, random = torch.rand(6, 20), generator(0, "operands")
    case = draw(parse("1x5x4-3x3x2"), 4, images, random)
    assert torch.equal(case.x.flatten(1), images[:4])
    assert case.dout.shape == (4, 3, 3, 3)
    assert small_case().x.shape == (4, 2, 5, 4)


def test_a_layer_is_read_from_its_sizes():
    layer = parse("8x14x12-16x3x5s2p1")
    assert layer == ConvLayer("8x14x12-16x3x5s2p1", (8, 14, 12), 16, (3, 5), 2, 1)
    assert layer.output == (7, 5)
    assert layer.multiplications == 16 * 8 * 15 * 35
    assert (parse("1x3x3-1x3x3").stride, parse("1x3x3-1x3x3").padding) == (1, 0)
    assert (parse("1x3x3-1x3x3p2").stride, parse("1x3x3-1x3x3p2").padding) == (1, 2)


def test_memory_is_estimated_before_it_is_taken(mlfound, monkeypatch):
    """A million images of the small layer; or a layer of which one image is too much."""
    small = bytes_needed([parse(SMALL)], 1, 4)
    assert bytes_needed([parse(SMALL)], 1_000_000, 4) == 1_000_000 * small
    monkeypatch.setattr(hardware, "memory_bytes", lambda device=None: 1e6)
    arguments = (*FEW[:4], "--shape", SMALL)
    refused_at_once(
        mlfound(*QUICK, *arguments, "--rows", "1000000"), "--rows 1000000", "1,000,000 images", "GB"
    )
    refused_at_once(mlfound(*QUICK, "--shape", "64x99x99-64x3x3"), "--shape 64x99x99-64x3x3", "GB")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--impl", "unfoldd"], ["--impl unfoldd", "did you mean 'unfold'"]),
        (["--shape", "1x28x28"], ["--shape 1x28x28", "1x28x28-8x5x5s2p2"]),
        (["--shape", "1x28x28-8x5x5p2s2"], ["--shape", "1x28x28-8x5x5s2p2"]),
        (["--shape", "1x0x28-8x5x5"], ["--shape", "1x28x28-8x5x5s2p2"]),
        (["--shape", "1x28x28-8x5x5s0"], ["--shape", "1x28x28-8x5x5s2p2"]),
        (
            ["--shape", "1x28x28-8x5x5", "--shape", "2x3x9-8x6x5s2p1"],
            ["--shape 2x3x9-8x6x5s2p1", "a window of 6 x 5 is larger than 5 x 11", "2x3x9-8x6x5s2p2"],
        ),
        (["--rows", "0"], ["--rows 0", "1 or more"]),
        (
            ["--rows", "1001"],
            ["--rows 1001", "1,001 is more than the 1,000 validation images", "1000 or less"],
        ),
        (["--rows", "1000000000"], ["--rows 1000000000", "GB"]),
        (["--shape", "9999x99999x99999-9x9x9"], ["--shape 9999x99999x99999-9x9x9", "GB"]),
        (["--dtype", "float8"], ["--dtype float8", "float32"]),
        (["--budget", "0"], ["--budget 0", "seconds"]),
        (["--device", "cuda:99"], ["--device cuda:99"]),
        (["--threads", "0"], ["--threads 0"]),
        (["--set", "dataset=mnistt"], ["dataset", "mnistt"]),
    ],
)
def test_bad_input(mlfound, arguments, words):
    refused_at_once(mlfound(*QUICK, *arguments), *words)


def test_a_ladder_has_a_picture_for_each_layer(mlfound):
    outcome = mlfound(*QUICK[:-1], *FEW)
    assert [plot.name for plot in (outcome.path / "plots").iterdir()] == [f"ladder-{SMALL}.png"]
    assert "dw: unfold" in outcome.json("summary.json")["pictures"][f"ladder-{SMALL}"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu(mlfound):
    outcome = mlfound(*QUICK, "--device", "cuda", "--impl", "unfold", "--impl", "library")
    assert outcome.code == 0, outcome
    assert math.isfinite(outcome.json("summary.json")["metrics"]["unfold_over_library"])
