"""init-stats: the lesson's figures beside theory, each verdict both ways, each part alone, and what is refused."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mlfound import hardware
from mlfound.config.models import InitStatsConfig
from mlfound.data import idx
from mlfound.data.registry import NAMES
from mlfound.experiments import init_stats
from mlfound.experiments.initialization import convolutions, depth, draws, layer, products
from mlfound.experiments.initialization.activations import label
from mlfound.experiments.initialization.claims import Claim, claim_table, verdict
from mlfound.experiments.initialization.stacks import backward_verdict, forward_verdict
from mlfound.foundations.activations import Floor, Identity, ReLU
from mlfound.foundations.initialization import INITIALIZATIONS, Initialization, kaiming, normal
from mlfound.foundations.randomness import generator
from mlfound.results import Column, Picture, Result, Table
from mlfound.stats.estimates import Estimate, pooled_std, root_mean
from tests.support.commands import refused_at_once

SAMPLE = ("init-stats", "--set", "data.dataset=mnist-sample", "--threads", "1")
ONE, STACK = (*SAMPLE, "--layer", "linear"), (*SAMPLE, "--width", "32", "--set", "rows=64")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def quick(mlfound, monkeypatch):
    """The command line with nothing drawn."""
    drawn = init_stats.with_one_claim_table
    monkeypatch.setattr(
        init_stats, "with_one_claim_table", lambda result: replace(drawn(result), pictures=[])
    )
    return mlfound


def path_of(outcome):
    return Path(outcome.out.splitlines()[-1])


def rows_of(outcome, name):
    with (path_of(outcome) / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def checks_of(outcome):
    return {c["name"]: c for c in json.loads((path_of(outcome) / "summary.json").read_text())["checks"]}


def holds(outcome):
    return {row["claim"]: row["holds"] == "true" for row in rows_of(outcome, "claims")}


# The whole story


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The default command, smaller."""
    from typer.testing import CliRunner

    from mlfound.cli import app

    runs = tmp_path_factory.mktemp("runs")
    size = ("--draws", "30", "--width", "64", "--runs-dir", str(runs), "--verbose")
    result = CliRunner().invoke(app, [*SAMPLE, *size])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    result.code, result.out = result.exit_code, result.stdout
    return result


def test_the_story_has_every_part(story):
    assert story.code == 0, story.out
    folder = path_of(story)
    tables = {table.stem for table in (folder / "tables").iterdir()}
    assert tables == {"layer", "stats", "draws", "ten-draws", "stacks", "layers", "convolutions", "claims"}
    plots = {plot.stem for plot in (folder / "plots").iterdir()}
    assert plots == {"draws", "activations", "signal", "heat", "convolutions"}
    assert all(check["passed"] for check in checks_of(story).values())
    assert len(checks_of(story)) == 4


def test_the_stories_claims_hold_or_not_as_the_lesson_should_have_said(story):
    said = holds(story)
    wrong = [claim for claim, right in said.items() if not right]
    assert wrong == [
        "... and lowers the variance",
        "fan_in keeps the gradient backward",
        "fan_out keeps the signal forward (784 394 198 99 50)",
    ]
    assert len(said) == 16
    assert kinds(story) == dict.fromkeys(said, "claim") | dict.fromkeys(wrong[1:], "counter-example")


def kinds(outcome):
    return {row["claim"]: row["kind"] for row in rows_of(outcome, "claims")}


def test_the_figures_of_one_layer(story):
    rows = {(row["init"], row["activation"]): row for row in rows_of(story, "stats")}
    assert len(rows) == 6 * 3
    for row in rows.values():
        assert float(row["mean_low"]) < float(row["mean"]) < float(row["mean_high"])
        assert float(row["std_low"]) < float(row["std"]) < float(row["std_high"])
        assert float(row["std"]) == pytest.approx(float(row["std_theory"]), rel=0.05)
    relu = rows["kaiming", "relu"]
    assert float(relu["w_std_theory"]) == pytest.approx(0.0505, abs=1e-4)
    assert float(relu["w_std"]) == pytest.approx(0.0505, rel=0.01)
    assert abs(float(relu["w_mean"])) < 0.001
    assert float(relu["mean_theory_gaussian"]) == pytest.approx(0.5642, abs=1e-4)
    assert float(relu["std_theory_gaussian"]) == pytest.approx(0.8256, abs=1e-4)
    verdicts = {key: row["verdict"] for key, row in rows.items()}
    assert verdicts["kaiming", "relu"] == verdicts["xavier", "linear"] == "keeps"
    assert verdicts["torch-default", "relu"].startswith("shrinks to 1/2.")
    assert verdicts["normal", "linear"].startswith("grows 2")


def test_a_constant_moves_every_draws_mean_and_no_draws_std(story):
    rows = [row for row in rows_of(story, "draws") if row["init"] == "kaiming"]
    relu, shifted = ([row for row in rows if row["activation"] == name] for name in ("relu", "relu - 0.5"))
    assert len(relu) == len(shifted) == 30
    for before, after in zip(relu, shifted, strict=True):
        assert float(before["mean"]) - float(after["mean"]) == pytest.approx(0.5, abs=1e-6)
        assert float(before["std"]) == pytest.approx(float(after["std"]), abs=1e-6)
    assert "moves the mean" in story.out
    assert "leaves the standard deviation at" in story.out


def test_a_new_part_is_one_line_in_the_dict(mlfound, monkeypatch):
    """The sample part runs, is shown and is listed: its file and that line are the two places it touches."""

    def run(config, inputs, schemes, on_progress):
        rows = [(init, INITIALIZATIONS[init].std((2, 3))) for init in schemes]
        claims = [Claim("a sample holds", "std", rows[0][1], 1.0, True)]
        data = {"title": "A sample", "layer": [1], "forward": {"a": [1.0]}, "backward": {}}
        return Result(
            metrics={"sample": rows[0][1]},
            findings=["A sample was drawn."],
            tables=[Table("sample", "A sample", [Column("init"), Column("std")], rows), claim_table(claims)],
            pictures=[Picture("sample", "signal_by_layer", data)],
        )

    monkeypatch.setitem(init_stats.PARTS, "sample", init_stats.Part(run, ["normal"]))
    outcome = mlfound(*STACK, "--draws", "2", "--verbose")
    assert outcome.code == 0, outcome
    assert init_stats.part_names(InitStatsConfig())[-1] == "sample"
    assert "A sample\ninit" in outcome.out
    assert "a sample holds" in outcome.out
    assert "A sample was drawn." in outcome.out
    assert outcome.rows("sample") == [{"init": "normal", "std": "1.0"}]
    assert (outcome.path / "plots" / "sample.png").exists()
    assert list(holds(outcome))[-2:] == ["... and keep it with a = 0", "a sample holds"]
    summary = outcome.json("summary.json")
    assert summary["metrics"]["sample"] == 1.0
    assert summary["findings"][-1] == "A sample was drawn."
    assert "sample" in summary["tables"]
    assert [*summary["pictures"]][-1] == "sample"
    assert (outcome.path / "tables" / "convolutions.csv").exists()


# Each part alone


def test_ten_draws_as_the_lesson_prints_them(quick):
    outcome = quick(*SAMPLE, "--relu-shift", "0.5", "--draws", "12")
    assert outcome.code == 0, outcome
    draws = rows_of(outcome, "ten-draws")
    assert [row["draw"] for row in draws] == [
        *map(str, range(1, 11)), "all 12", "± 95%", "theory", "theory, N(0, 1) rows",
    ]  # fmt: skip
    assert {row["init"] for row in rows_of(outcome, "stats")} == {"kaiming"}
    assert holds(outcome)["ReLU - 0.5 brings the mean back near 0"]
    assert not holds(outcome)["... and lowers the variance"]
    assert "'-0.061 to 0.159" in [row["lesson"] for row in rows_of(outcome, "claims")]  # as a CSV may hold it
    assert set(kinds(outcome).values()) == {"claim"}


def test_the_floor_is_another_function(quick):
    outcome = quick(*SAMPLE, "--set", "relu_variant=floor", "--relu-shift", "0.5", "--draws", "12")
    assert outcome.code == 0, outcome
    [_, _, floor] = rows_of(outcome, "stats")
    assert floor["activation"] == "max(x, -0.5)"
    assert floor["relu_shift"] == "0.5"
    assert float(floor["mean_theory_gaussian"]) == pytest.approx(0.3491, abs=1e-4)
    assert float(floor["std_theory_gaussian"]) == pytest.approx(0.9899, abs=1e-4)
    assert not holds(outcome)["max(x, -0.5) brings the mean back near 0"]
    assert "It is not max(x, 0) - 0.5" in outcome.out
    assert "0.159" not in outcome.out, "the lesson's range is of another function"


def test_a_floor_above_zero_lowers_the_variance(quick):
    outcome = quick(*SAMPLE, "--set", "relu_variant=floor", "--relu-shift=-0.5", "--draws", "12")
    assert outcome.code == 0, outcome
    assert holds(outcome)["... and lowers the variance"]


def test_a_shift_may_be_too_large(quick):
    outcome = quick(*SAMPLE, "--relu-shift", "2", "--draws", "3")
    assert not holds(outcome)["ReLU - 2 brings the mean back near 0"]
    assert kinds(outcome)["ReLU - 2 brings the mean back near 0"] == "counter-example", "the lesson's is 0.5"
    assert "0.159" not in outcome.out


def test_one_draw_has_no_interval(quick):
    outcome = quick(*ONE, "--draws", "1", "--init", "kaiming", "--set", "activation=[leaky]", "--hidden", "3")
    assert outcome.code == 0, outcome
    row = rows_of(outcome, "stats")[0]
    assert (row["activation"], row["mean_low"], row["std_high"]) == ("leaky 0.01", "", "")
    assert not checks_of(outcome)


def test_every_scheme_in_one_layer(quick):
    names = [*INITIALIZATIONS, "lsuv"]
    outcome = quick(*ONE, "--draws", "3", *(word for name in names for word in ("--init", name)))
    assert outcome.code == 0, outcome
    rows = [row for row in rows_of(outcome, "stats") if row["activation"] == "linear"]
    assert [row["init"] for row in rows] == names
    assert float(rows[-1]["std"]) == pytest.approx(1, abs=0.01)  # all draws together; each has mean near 0
    assert rows[-1]["std_theory"] == ""


def test_every_scheme_in_a_stack(quick):
    names = [*INITIALIZATIONS, "lsuv"]
    chosen = [word for name in names for word in ("--init", name)]
    outcome = quick(*STACK, "--width", "128", "--depth", "40", "--draws", "3", *chosen)
    assert outcome.code == 0, outcome
    rows = {row["init"]: row for row in rows_of(outcome, "stacks")}
    assert list(rows) == names
    assert rows["small"]["forward"].startswith("vanishes at layer ")
    assert rows["torch-default"]["backward"].startswith("vanishes at layer ")
    assert rows["lsuv"]["forward"] == rows["kaiming-uniform"]["backward"] == "lasts"
    assert rows["normal"]["forward_theory"] == "8.0"
    for name in ("kaiming", "torch-default", "orthogonal"):
        assert float(rows[name]["forward_per_layer"]) == pytest.approx(
            float(rows[name]["forward_theory"]), rel=0.1
        )
    layers = rows_of(outcome, "layers")
    assert len(layers) == 40 * len(names)
    assert {"mean", "std", "dead_share", "gradient_std"} < set(layers[0])
    assert checks_of(outcome)["lsuv: std of a layer's products, farthest from 1"]["passed"]


def test_residual_blocks(quick):
    outcome = quick(*STACK, "--residual", "--depth", "600")
    assert outcome.code == 0, outcome
    rows = {row["init"]: row for row in rows_of(outcome, "stacks")}
    assert list(rows) == ["xavier", "kaiming", "fixup", "fixup, factor only"]
    assert 440 <= int(rows["kaiming"]["forward"].removeprefix("overflows at layer ")) <= 599
    assert rows["kaiming"]["backward"] == "none: the signal overflowed"
    assert rows["fixup"]["forward_per_layer"] == "1.0"
    assert float(rows["kaiming"]["forward_theory"]) == pytest.approx(
        2**0.25
    )  # a block of two doubles the square
    said = holds(outcome)
    assert said["fixup carries the signal through 600 layers"]
    assert said["fixup, factor only carries the signal through 600 layers"]
    assert not said["kaiming carries the signal through 600 layers"]
    assert [*kinds(outcome).values()] == ["counter-example", "counter-example", "claim", "comparison"]
    assert "no feat" in outcome.out
    check = checks_of(outcome)["fixup: change of the signal through the stack"]
    assert (check["value"], check["passed"]) == (0, True)


def test_convolutions(quick):
    outcome = quick(*SAMPLE, "--layer", "conv", "--draws", "10")
    assert outcome.code == 0, outcome
    default, other = rows_of(outcome, "convolutions")
    assert (default["init"], other["init"]) == ("torch-default", "kaiming")
    assert outcome.out.startswith("Convolutions of 100 images, 10 draws"), "it is all there is to see"
    assert 0.0056 < float(default["std_4"]) < 0.0144
    assert 0.175 < float(other["std_4"]) < 0.63
    for row in (default, other):
        assert float(row["std"]) == pytest.approx(float(row["std_theory"]), rel=0.1)
        assert float(row["mean"]) == pytest.approx(float(row["mean_theory"]), rel=0.1)
    assert all(holds(outcome).values())


def test_with_pictures_of_a_single_scheme(mlfound):
    outcome = mlfound(*SAMPLE, "--relu-shift", "0.5", "--draws", "2", "--init", "lsuv")
    assert outcome.code == 0, outcome
    assert {plot.stem for plot in (path_of(outcome) / "plots").iterdir()} == {"draws", "activations"}


def test_the_same_seed_gives_the_same_figures_whatever_else_is_looked_at(quick):
    few = rows_of(quick(*ONE, "--draws", "2", "--init", "xavier"), "stats")
    more = rows_of(quick(*ONE, "--draws", "2", "--init", "small", "--init", "xavier"), "stats")
    assert few == [row for row in more if row["init"] == "xavier"]


# Numbers


def test_gaussian_rows_have_the_closed_form():
    x = torch.randn(1000, 784, generator=generator(0, "rows"))
    [relu] = draws.measure_layer(x, "kaiming", [ReLU()], 50, 400, generator(0, "weights"))
    assert relu.mean.value == pytest.approx(0.5642, abs=0.002)
    assert relu.std.value == pytest.approx(0.8256, abs=0.002)
    assert verdict(relu.factor.value) == "keeps"


@pytest.mark.parametrize("at_once", [1, 3 * 30 * 4, 10**9])
def test_each_draw_is_a_layer_of_its_own_however_many_make_one_product(monkeypatch, at_once):
    x = torch.randn(20, 30, generator=generator(0, "rows"))
    drawn = []

    def keeping(*arguments):
        drawn.append(draw_weights(*arguments))
        return drawn[-1]

    draw_weights = draws.draw_weights
    monkeypatch.setattr(draws, "PRODUCT_NUMBERS", at_once)
    monkeypatch.setattr(draws, "draw_weights", keeping)
    [measured] = draws.measure_layer(x, "kaiming", [ReLU(shift=0.5)], 4, 7, generator(0, "w"))
    for w, mean, std in zip(torch.cat(drawn), measured.means, measured.stds, strict=True):
        y = ReLU(shift=0.5)(x @ w).double()
        assert mean.item() == pytest.approx(y.mean().item(), abs=1e-6)
        assert std.item() == pytest.approx(y.std(correction=0).item(), abs=1e-6)


def test_an_interval_holds_the_truth_in_19_of_20_runs():
    found = 0
    for seed in range(400):
        x = torch.randn(20, 50, dtype=torch.float64, generator=generator(seed, "test"))
        x = 3 + x * (1 + 0.3 * torch.randn(20, 1, dtype=torch.float64, generator=generator(seed, "spread")))
        std = pooled_std(x.mean(1), x.square().mean(1))
        assert std.value == pytest.approx(x.std(correction=0).item())
        found += std.low < math.sqrt(1.09) < std.high
    assert 0.90 < found / 400 < 0.98


def test_estimates():
    values = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    mean = Estimate.mean(values)
    assert mean.half == pytest.approx(
        4.302653 / math.sqrt(3), rel=1e-6
    )  # Student's t with 2 degrees of freedom
    assert root_mean(values.square()).value == pytest.approx(math.sqrt(14 / 3))
    assert Estimate.mean(values[:1]).half is None


@pytest.mark.parametrize("bad", [1.05, 0.9])
def test_a_scheme_of_the_wrong_size_fails_the_check(quick, monkeypatch, bad):
    wrong = Initialization(kaiming, lambda shape, std, draws: normal(shape, bad * std, draws))
    monkeypatch.setitem(INITIALIZATIONS, "kaiming", wrong)
    monkeypatch.setattr(draws, "normal", wrong.distribution)
    monkeypatch.setattr(layer, "normal", wrong.distribution)
    outcome = quick(*ONE, "--init", "kaiming", "--draws", "100")
    assert outcome.code == 1, outcome
    assert not checks_of(outcome)["stds of the weights: farthest from theory, in standard errors"]["passed"]
    assert not checks_of(outcome)["stds after one layer: farthest from theory, in standard errors"]["passed"]


# Verdicts


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1.0, "keeps"),
        (1.09, "keeps"),
        (0.92, "keeps"),
        (1.11, "grows 1.11 times"),
        (0.5, "shrinks to 1/2"),
        (0.0, "vanishes"),
        (math.nan, "overflows"),
        (math.inf, "overflows"),
    ],
)
def test_verdicts_on_a_layer(factor, words):
    assert verdict(factor) == words


def stack_of(init, layers, width=16):
    x = torch.randn(32, width, generator=generator(0, "rows"))
    return depth.plain_stack(x, init, ReLU(), layers, width, generator(0, "stack"))


def test_verdicts_on_a_stack():
    assert forward_verdict(stack_of("small", 3)).startswith("shrinks to 1/")
    assert forward_verdict(stack_of("small", 12)).startswith("vanishes at layer ")
    assert forward_verdict(stack_of("normal", 3)).startswith("grows ")
    grown, lost = stack_of("normal", 3), stack_of("normal", 200)
    assert backward_verdict(grown).startswith("grows ")
    number, how = lost.signal_lost
    assert forward_verdict(lost) == f"overflows at layer {number}" == f"{how} at layer {number}"
    assert not math.isfinite(lost.layers[number - 1].std)
    assert math.isfinite(lost.layers[number - 2].std)
    assert backward_verdict(lost) == "none: the signal overflowed"


def test_a_gradient_is_lost_on_its_way_from_the_end():
    stack = stack_of("small", 12)
    number, how = stack.gradient_lost
    assert how == "vanishes"
    assert stack.gradients[number - 1] < depth.VANISHED_SHARE <= stack.gradients[number]


def test_dead_units():
    x = torch.randn(50, 4, generator=generator(0, "rows")).abs()
    w = torch.tensor([[1.0, -1.0, 1.0, -1.0]] * 4)
    z = x @ w
    z[1:, 0] *= -1  # alive for one row alone
    for activation, share in ((ReLU(), 0.5), (ReLU(shift=0.5), 0.5), (ReLU(0.1), 0.0), (Identity(), 0.0)):
        assert depth.signal_figures(activation(z), z, activation)[2] == share, activation


def test_mean_and_std_are_torchs_also_where_a_square_would_overflow():
    x = 3 + torch.randn(60, 7, generator=generator(0, "rows"))
    assert depth.moments(x) == pytest.approx((x.mean().item(), x.std(correction=0).item()), rel=1e-5)
    assert depth.moments(x * 1e37)[1] == pytest.approx(1e37 * x.std(correction=0).item(), rel=1e-5)
    assert math.isnan(depth.moments(torch.tensor([1.0, math.inf]))[1])


def test_a_hundred_products():
    stds = products.measure_products(generator(0, "products"), 3)
    normal, small, xavier = (products.ends(stds[init]) for init in ("normal", "small", "xavier"))
    assert len(normal) == len(small) == 3
    assert all(27 <= end <= 30 for end in normal)
    assert all(60 <= end <= 80 for end in small)
    assert xavier == []


def test_activations_have_names():
    names = [label(each) for each in (Identity(), ReLU(), ReLU(shift=0.5), Floor(0.25), ReLU(0.2))]
    assert names == ["linear", "relu", "relu - 0.5", "max(x, -0.25)", "leaky 0.2"]


# Refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--init", "kaimign"], ["--init kaimign", "did you mean 'kaiming'"]),
        (["--set", "activation=[rellu]"], ["activation=[rellu]", "did you mean 'relu'"]),
        (["--set", "relu_variant=subtrac"], ["relu_variant", "did you mean 'subtract'"]),
        (["--layer", "cnv"], ["--layer cnv", "did you mean 'conv'"]),
        (["--draws", "0"], ["--draws 0", "1 or more"]),
        (["--depth", "0"], ["--depth 0", "1 to 1000000"]),
        (["--hidden", "0"], ["--hidden 0"]),
        (["--hidden", "many"], ["--hidden many"]),
        (["--relu-shift", "half"], ["--relu-shift half", "a number"]),
        (["--residual", "--depth", "7"], ["even depth"]),
        (["--layer", "conv", "--depth", "7"], ["--depth 7", "leave"]),
        (["--init", "fixup"], ["--init fixup", "--residual"]),
        (["--residual", "--init", "lsuv"], ["--init lsuv", "leave it out"]),
        (["--layer", "conv", "--init", "kaiming", "--init", "lsuv"], ["lsuv", "leave it out"]),
        (["--set", "leak=2"], ["leak", "0 to 1"]),
    ],
)
def test_bad_input(mlfound, arguments, words):
    refused_at_once(mlfound(*SAMPLE, *arguments), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--depth", "100000", "--width", "4096"], ["--depth 100000", "100,000 layers of 4,096 units", "GB"]),
        (["--depth", "10", "--width", "100000"], ["--width 100000", "GB"]),
        (["--residual", "--depth", "100000", "--width", "4096"], ["--depth 100000", "GB"]),
        (["--hidden", "1000000"], ["--hidden 1000000", "GB"]),
        (["--layer", "linear", "--draws", "1000000000"], ["--draws 1000000000", "GB"]),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_made(mlfound, monkeypatch, arguments, words):
    monkeypatch.setattr(hardware, "memory_bytes", lambda device=None: 8e9)
    refused_at_once(mlfound(*SAMPLE, *arguments), *words)


def own_images(height, width, brightness=255):
    folder = Path("own")
    folder.mkdir()
    rows = torch.randint(0, 256, (28, height, width), generator=generator(0, "images")) * (brightness > 0)
    labels = torch.arange(28) % 4
    for name, tensor in zip(NAMES, (rows[:24], labels[:24], rows[24:], labels[24:]), strict=True):
        (folder / name).write_bytes(idx.encode(tensor.to(torch.uint8)))
    return "init-stats", "--set", "data.dataset=own/"


@pytest.mark.parametrize(("height", "width"), [(6, 5), (4, 4)])
def test_images_that_cannot_be_convolved(quick, height, width):
    own = own_images(height, width)
    refused_at_once(
        quick(*own, "--layer", "conv"), "--layer conv", f"{height} x {width}", "square, 5 x 5 or more"
    )
    outcome = quick(*own, "--draws", "2", "--width", "8")  # the story goes on without them
    assert outcome.code == 0, outcome
    assert not (path_of(outcome) / "tables" / "convolutions.csv").exists()


def test_black_images_have_no_signal(quick):
    own = own_images(6, 6, brightness=0)
    refused_at_once(quick(*own, "--set", "data.normalize=none"), "data.dataset", "every pixel is 0")


def test_every_part_names_schemes_that_it_is_made_for():
    for name, part in init_stats.PARTS.items():
        assert set(part.defaults) <= {*INITIALIZATIONS, *part.also}, name
        assert set(part.also) <= init_stats.ADVICE.keys(), name
    assert convolutions.FOUR[0][1] == convolutions.ONE[1] == 1
    default = init_stats.part_names(InitStatsConfig())
    assert default == ["layer", "stacks", "products", "convolutions"]
    assert [name for name in init_stats.PARTS if name not in default] == ["shift", "model", "residual"]
