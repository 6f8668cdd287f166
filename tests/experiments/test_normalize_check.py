"""normalize-check: the lesson's numbers, every check on data that it must refuse, and the command's ends."""

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlfound.data import idx
from mlfound.data.load import Split, load
from mlfound.data.normalize import NORMALIZATIONS, normalized
from mlfound.data.registry import DATASETS, NAMES
from mlfound.experiments import normalize_check
from mlfound.experiments.normalization.classes import class_checks, class_findings
from mlfound.experiments.normalization.figures import float32_means, histogram
from mlfound.experiments.normalization.moments import Moments
from mlfound.experiments.normalization.soundness import content_checks
from tests.support.commands import refused_at_once

SAMPLE = ("--set", "data.dataset=mnist-sample")
FASHION = Path("/usr/share/datasets/fashion-mnist")
MEAN, STD = (
    "mean after of the training set, distance from 0",
    "std after of the training set, distance from 1",
)
UNPAIRED, COLUMNS = (
    "images without a label, labels without an image",
    "columns beside those of 28 x 28 pixels",
)
LABELS, SINGLE = "labels outside 0 to 9", "splits with one class only"
COUNTS = "images beyond or short of what mnist-sample has of a class"
INFINITE, FRACTIONS = "values after that are not finite", "values before that are no whole number of 256ths"
LARGEST = "largest value before, 255/256 at most"


@pytest.fixture(scope="module")
def sample():
    return load(DATASETS["mnist-sample"], Path("nowhere"))


@pytest.fixture
def own():
    """Writes four IDX files into the folder `own`: 24 random training images of 5 x 3 pixels, 20 of them to train."""

    def write(train_y=(0, 1, 2, 3) * 6, test_y=(0, 1, 2, 3), images=None):
        generator = torch.Generator().manual_seed(3)
        rows = torch.randint(0, 256, (28, 5, 3), generator=generator) if images is None else images
        folder = Path("own")
        folder.mkdir()
        tensors = (rows[:24], torch.tensor(train_y), rows[24:], torch.tensor(test_y))
        for name, tensor in zip(NAMES, tensors, strict=True):
            (folder / name).write_bytes(idx.encode(tensor.to(torch.uint8)))
        return "--set", "data.dataset=own"

    return write


@pytest.fixture
def quick(mlfound, monkeypatch):
    """The command line with nothing drawn."""
    whole = normalize_check.run
    monkeypatch.setattr(
        normalize_check, "run", lambda config, context: replace(whole(config, context), pictures=[])
    )
    return mlfound


def summary_of(outcome):
    return json.loads(Path(outcome.out.splitlines()[-1], "summary.json").read_text())


def failed(outcome):
    """The names of the checks that said no."""
    assert outcome.code in (0, 1), outcome
    names = {check["name"] for check in summary_of(outcome)["checks"] if not check["passed"]}
    assert outcome.code == bool(names)
    return names


def refusing(checks):
    return {check.name for check in checks if not check.passed}


def rows_of(outcome, table):
    with Path(outcome.out.splitlines()[-1], "tables", f"{table}.csv").open(newline="") as file:
        return {row.pop("split"): row for row in csv.DictReader(file)}


def test_the_lessons_numbers_on_the_whole_mnist(mlfound, mnist_dir):
    outcome = mlfound("normalize-check", "--no-plots", "--data-dir", mnist_dir, "--verbose")
    assert failed(outcome) == set()
    rows = rows_of(outcome, "normalize")
    assert list(rows) == ["train", "train, lesson", "valid", "valid, lesson", "test"]
    train, valid = rows["train"], rows["valid"]
    assert [f"{float(train[key]):.4f}" for key in ("mean_before", "std_before")] == ["0.1304", "0.3073"]
    assert abs(float(train["mean_after"])) < 1e-6
    assert f"{float(train['std_after']):.4f}" == "1.0000"
    assert float(valid["mean_after"]) == pytest.approx(-0.00585, abs=5e-6)
    assert [f"{float(valid[key]):.4f}" for key in ("mean_after", "std_after")] == ["-0.0059", "0.9924"]
    assert rows["train, lesson"]["mean_after"] == "3.06e-05"
    assert [row["scale_divisor"] for row in rows.values()] == ["256", "", "256", "", "256"]
    assert {rows[name]["largest_before"] for name in ("train", "valid", "test")} == {"0.99609375"}
    summary = summary_of(outcome)
    assert summary["metrics"]["zero_share"] == pytest.approx(0.8086, abs=5e-5)
    assert len(summary["checks"]) == 10
    assert "the lesson's 3.06e-05" in outcome.out


def test_what_it_leaves(mlfound):
    outcome = mlfound("normalize-check", *SAMPLE)
    assert outcome.code == 0
    assert outcome.err == ""
    path = Path(outcome.out.splitlines()[-1])
    assert path.name.endswith("-normalize-check")
    assert {str(file.relative_to(path)) for file in path.rglob("*.*") if file.parent != path} == {
        *(f"tables/{name}.csv" for name in ("normalize", "mistake")),
        *(f"plots/{name}.png" for name in ("histograms", "moments", "classes", "digits")),
    }
    run = json.loads((path / "run.json").read_text())
    assert run["status"] == "completed"
    assert run["dataset"]["rows"] == {"train": 5000, "valid": 1000, "test": 1000}
    assert not [name for name in rows_of(outcome, "normalize") if "lesson" in name], (
        "other data than the lesson's"
    )


@pytest.mark.parametrize("how", ["global", "pixel"])
def test_the_mistake_against_float64(quick, sample, how):
    """All in float64: the split's own numbers, and how far they take a pixel from where the training numbers do."""
    outcome = quick("normalize-check", *SAMPLE, "--set", f"data.normalize={how}")
    axis = None if how == "global" else 0

    def numbers(x):
        std = x.std(axis, correction=0)
        return x.mean(axis), torch.where(std > 0, std, 1.0)

    train, test = sample.train.x.double(), sample.test.x.double()
    (mean, std), (own_mean, own_std) = numbers(train), numbers(test)
    apart = (test - own_mean) / own_std - (test - mean) / std
    row = rows_of(outcome, "mistake")["test"]
    assert float(row["typical_difference"]) == pytest.approx(apart.square().mean().sqrt().item(), rel=1e-5)
    assert float(row["largest_difference"]) == pytest.approx(apart.abs().max().item(), rel=1e-5)
    assert float(row["mean_after"]) == pytest.approx(0, abs=1e-6)
    assert float(row["std_after"]) == pytest.approx(1, abs=1e-6)


def test_none_fails_and_says_why(quick):
    outcome = quick("normalize-check", *SAMPLE, "--set", "data.normalize=none")
    assert failed(outcome) == {MEAN, STD}
    assert "Write global or pixel" in outcome.out
    assert not Path(outcome.out.splitlines()[-1], "tables", "mistake.csv").exists()


def test_pixel_holds_each_pixel_and_leaves_out_those_that_never_change(quick, sample):
    outcome = quick("normalize-check", *SAMPLE, "--set", "data.normalize=pixel")
    assert failed(outcome) == set()
    never = int((sample.train.x.min(0).values == sample.train.x.max(0).values).sum())
    assert f"{never} of 784 pixels are the same in every training image" in outcome.out
    metrics = summary_of(outcome)["metrics"]
    assert metrics["train_std_after"] == pytest.approx(1, abs=1e-6)
    assert metrics["train_std_before"] == pytest.approx(sample.train.x.double().std().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x + 0.002, MEAN),
        (lambda x: x - 0.002, MEAN),
        (lambda x: x * 1.002, STD),
        (lambda x: x * 0.998, STD),
    ],
    ids=["shifted up", "shifted down", "stretched", "shrunk"],
)
def test_a_wrong_normalisation_is_seen(quick, monkeypatch, change, words):
    def wrong(splits, how):
        after, mean, std = normalized(splits, how)
        return replace(after, train=Split(change(after.train.x), after.train.y)), mean, std

    monkeypatch.setattr(normalize_check, "normalized", wrong)
    assert failed(quick("normalize-check", *SAMPLE)) == {words}


@pytest.mark.parametrize(
    ("change", "word"), [(lambda column: column + 0.002, "mean"), (lambda column: column * 1.002, "std")]
)
def test_a_single_wrong_pixel_is_seen(quick, monkeypatch, change, word):
    """Of all pixels together the mean would be off by 3e-6 only."""

    def wrong(splits, how):
        after, mean, std = normalized(splits, how)
        after.train.x[:, 400] = change(after.train.x[:, 400])
        return after, mean, std

    monkeypatch.setattr(normalize_check, "normalized", wrong)
    [name] = failed(quick("normalize-check", *SAMPLE, "--set", "data.normalize=pixel"))
    assert name.startswith(f"{word} after of the worst training pixel")


def test_the_tolerance_decides(quick):
    """In float32 the mean of the sample is some 3e-8 after, and its std some 5e-8 from 1."""
    assert failed(quick("normalize-check", *SAMPLE, "--tolerance", "1e-6")) == set()
    assert failed(quick("normalize-check", *SAMPLE, "--tolerance", "1e-10")) == {MEAN, STD}
    assert (
        failed(quick("normalize-check", *SAMPLE, "--set", "data.normalize=none", "--tolerance", "1")) == set()
    )


def test_data_scaled_by_255_is_seen(quick, monkeypatch):
    monkeypatch.setattr("mlfound.data.load.LEVELS", 255)
    assert failed(quick("normalize-check", *SAMPLE)) == {FRACTIONS, LARGEST}


def test_a_class_missing_from_one_split_is_said_and_no_fault(quick, own):
    outcome = quick("normalize-check", *own(train_y=[*(0, 1, 2, 3) * 5, 0, 1, 1, 3], test_y=(0, 0, 3, 3)))
    assert failed(outcome) == set()
    assert "No validation image is of class 2." in outcome.out
    assert "No test image is of class 1, 2." in outcome.out


def test_too_few_training_rows_leave_classes_out(quick):
    outcome = quick("normalize-check", *SAMPLE, "--set", "data.train_rows=5")
    assert failed(outcome) == set()
    assert "No training image is of class 2, 3, 6, 7, 8." in outcome.out  # 5, 0, 4, 1, 9
    assert "Few" not in outcome.out
    assert failed(quick("normalize-check", *SAMPLE, "--set", "data.train_rows=1")) == {SINGLE}


def test_emnists_labels_begin_at_1_and_class_0_is_said_to_be_empty(quick, own):
    """Under EMNIST's names."""
    arguments = own(train_y=(1, 2, 3) * 8, test_y=(1, 2, 3, 3))
    for path in Path("own").iterdir():
        path.rename(path.with_name("emnist-letters-" + path.name.replace("t10k", "test")))
    outcome = quick("normalize-check", *arguments)
    assert failed(outcome) == set()
    for which in ("training", "validation", "test"):
        assert f"No {which} image is of class 0." in outcome.out


@pytest.mark.parametrize("label", [0, 5])
def test_labels_that_are_all_the_same_fail(quick, own, label):
    """As a loader of QMNIST once made them."""
    outcome = quick("normalize-check", *own(train_y=[label] * 24, test_y=[label] * 4), "--verbose")
    assert failed(outcome) == {SINGLE}
    assert [check["value"] for check in summary_of(outcome)["checks"] if check["name"] == SINGLE] == [3]
    for which in ("training", "validation", "test"):
        assert f"All {which} images are of class {label}: the labels are wrong, or" in outcome.out
    assert " image is of class" not in outcome.out


def test_files_that_are_sorted_by_class_fail(quick, own):
    """The last sixth, for validation, is of the last class alone."""
    outcome = quick("normalize-check", *own(train_y=sorted((0, 1, 2, 3) * 6)))
    assert failed(outcome) == {SINGLE}
    assert "All validation images are of class 3: " in outcome.out


def labelled(sample, **counts):
    """The sample with so many training images of some classes, `c3=5`, and the other rows of class 0."""
    y = torch.zeros(5_000, dtype=torch.int64)
    at = 0
    for name, count in counts.items():
        y[at : at + count] = int(name[1:])
        at += count
    return replace(sample, train=replace(sample.train, y=y))


def test_rare_is_less_than_a_tenth_of_an_even_share(sample):
    even = {f"c{number}": 50 for number in range(1, 10)}
    assert class_findings(labelled(sample, **even)) == []
    assert class_findings(labelled(sample, **even | {"c3": 49, "c7": 1, "c8": 0})) == [
        "No training image is of class 8.",
        "Few training images are of class 3 (49), 7 (1): less than a tenth of an even share of 500.",
    ]


def test_findings_of_very_many_classes_stay_short(sample):
    [sentence] = class_findings(replace(sample, classes=256, labels=range(256)))[:1]
    assert sentence == "No training image is of class 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 236 more."


@pytest.mark.parametrize("name", DATASETS)
def test_the_known_counts_are_as_many_as_the_rows(name):
    dataset = DATASETS[name]
    rows = [file.bytes - 8 for file in dataset.files if "labels" in file.name]
    assert [sum(dataset.train_counts), sum(dataset.test_counts)] == rows


def test_known_counts_are_held_to_the_image(sample):
    known = DATASETS["mnist-sample"]
    assert refusing(class_checks(sample, known, cut=False)) == set()
    assert refusing(class_checks(sample.first(77), known, cut=True)) == set()
    assert refusing(class_checks(sample.first(77), known, cut=False)) == {COUNTS}
    for split in ("train", "valid", "test"):
        y = getattr(sample, split).y.clone()
        y[3] = (y[3] + 1) % 10
        other = replace(sample, **{split: replace(getattr(sample, split), y=y)})
        [count] = [check for check in class_checks(other, known, cut=False) if check.name == COUNTS]
        assert (count.passed, count.value) == (False, 2)
        assert refusing(class_checks(other, known, cut=True)) == {COUNTS}
        zeros = replace(sample, classes=1, **{split: replace(getattr(sample, split), y=y * 0)})
        assert refusing(class_checks(zeros, known, cut=False)) == {COUNTS, SINGLE}


@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_own_files_of_any_shape(mlfound, own, how):
    outcome = mlfound("normalize-check", "--no-plots", *own(), "--set", f"data.normalize={how}")
    assert failed(outcome) == ({MEAN, STD} if how == "none" else set())


@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_images_that_are_all_the_same_are_seen(mlfound, own, how):
    """Their std is 0 whatever is done; `pixel` has nothing left to measure, which is no number and no pass."""
    outcome = mlfound(
        "normalize-check", *own(images=torch.full((28, 5, 3), 77)), "--set", f"data.normalize={how}"
    )
    names = failed(outcome)
    assert any(name.startswith("std after") for name in names)
    if how == "pixel":
        assert [check["value"] for check in summary_of(outcome)["checks"]][:2] == [None, None]


def changed(splits, **parts):
    """`splits` with another training x or y."""
    return replace(splits, train=replace(splits.train, **parts))


def test_checks_on_what_no_file_can_hold(sample):
    """The loader refuses these (below), or makes them impossible; here the checks themselves say no."""
    x, y = sample.train.x, sample.train.y
    assert refusing(content_checks(sample, sample)) == set()
    assert refusing(content_checks(changed(sample, y=y[:-1]), sample)) == {UNPAIRED}
    assert refusing(content_checks(changed(sample, x=x[:-1]), sample)) == {UNPAIRED}
    assert refusing(content_checks(changed(sample, x=x[:, :-1]), sample)) == {COLUMNS}
    for label in (-1, 10):
        other = y.clone()
        other[7] = label
        assert refusing(content_checks(changed(sample, y=other), sample)) == {LABELS}
    for value in (float("inf"), float("nan")):
        other = x.clone()
        other[3, 3] = value
        assert refusing(content_checks(sample, changed(sample, x=other))) == {INFINITE}
        assert refusing(content_checks(changed(sample, x=other), sample)) == {FRACTIONS, LARGEST}
    other = x.clone()
    other[3, 3] = 1.0
    assert refusing(content_checks(changed(sample, x=other), sample)) == {LARGEST}
    other[3, 3] = 0.3
    assert refusing(content_checks(changed(sample, x=other), sample)) == {FRACTIONS}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"train_y": [0] * 23}, "24 training images and 23 labels"),
        ({"test_y": [0, 1, 2, 4]}, "the test label 4"),
    ],
)
def test_what_the_loader_refuses(quick, own, parts, words):
    refused_at_once(quick("normalize-check", *own(**parts)), words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tolerance", "0"], "--tolerance 0: tolerance: 0 is not valid; write a number above 0"),
        (["--tolerance", "-1"], "--tolerance -1: tolerance: -1 is not valid; write a number above 0"),
        (["--tolerance", "abc"], "--tolerance abc: tolerance: 'abc' is not valid; write a number above 0"),
        (["--tolerance", "nan"], "--tolerance nan: tolerance: NaN is not valid; write a number above 0"),
        (["--set", "tolerance=0"], "--set tolerance=0: tolerance: 0 is not valid"),
        (["--set", "tolerence=1"], "did you mean 'tolerance'?"),
        (["--set", "data.dataset=mnits"], "--set data.dataset=mnits: data.dataset: unknown dataset 'mnits'"),
        (["--set", "data.dataset=./none"], "there is no folder"),
        (["--set", "data.normalize=pixels"], "did you mean 'pixel'?"),
        ([*SAMPLE, "--set", "data.train_rows=5001"], "write 1 to 5,000"),
        (["--set", "epochs=3"], "unknown key 'epochs'"),
    ],
)
def test_bad_input(quick, arguments, words):
    refused_at_once(quick("normalize-check", *arguments), words)


@pytest.mark.slow
def test_fashion_mnist_is_sound_too(mlfound):
    if not FASHION.is_dir():
        pytest.skip(f"needs {FASHION}, from Debian's package dataset-fashion-mnist")
    outcome = mlfound(
        "normalize-check", "--no-plots", "--set", f"data.dataset={FASHION}", "--set", "tolerance=1e-4"
    )
    assert failed(outcome) == set()
    with gzip.open(FASHION / f"{NAMES[0]}.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16)[: 50_000 * 784]
    assert summary_of(outcome)["metrics"]["train_mean_before"] == pytest.approx(
        pixels.mean() / 256, rel=1e-12
    )


def test_moments_against_float64():
    x = torch.rand((2_345, 7), generator=torch.Generator().manual_seed(0))
    x[:, 2] = 77 / 256
    found, wanted = Moments.of(x), x.double()
    torch.testing.assert_close(found.mean, wanted.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.std, wanted.std(0, correction=0), rtol=1e-12, atol=1e-15)
    assert found.std[2] == 0
    mask = torch.tensor([True, True, False, True, False, False, True])
    for pixels, values in ((None, wanted), (mask, wanted[:, mask])):
        mean, std = found.together(pixels)
        assert mean == pytest.approx(values.mean().item(), rel=1e-12)
        assert std == pytest.approx(values.std(correction=0).item(), rel=1e-12)


def test_one_number_after_another_is_what_it_says():
    x = torch.rand((50, 40), generator=torch.Generator().manual_seed(0))
    total = np.float32(0)
    for value in x.flatten().numpy():
        total += value
    in_blocks, one_by_one = float32_means(x)
    assert one_by_one == float(total) / 2_000
    assert in_blocks == x.mean().item()


def test_a_histogram_counts_further_than_float32():
    """A float32 counter stops at 2^24: 16,777,216 + 1 is 16,777,216."""
    assert histogram(torch.zeros((100, 170_000)), torch.tensor([-0.5, 0.5, 1.5])) == [17_000_000, 0]
