import io
import os
import subprocess
import sys
from functools import cache
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from mlfound.data.registry import DATASETS
from mlfound.report.alternatives import SHOWS, alternative
from mlfound.report.pictures import PICTURES, png
from mlfound.results import Picture

NAN, INF = float("nan"), float("inf")
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (30, 28, 28), dtype=np.uint8)

# Every picture with data of every kind; in the ordinary ones each argument makes a difference.
SAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "loss_curves": {
        "ordinary": {
            "title": "Loss",
            "epoch": [1, 2, 3],
            "train_loss": [0.5, 0.3, 0.2],
            "valid_loss": [0.4, 0.2, 0.3],
            "lr_progress": [0.0, 1.0, 2.5],
            "lr": [0.1, 0.05, 0.01],
            "best_epoch": 2,
        },
        "one epoch": {
            "title": "",
            "epoch": [1],
            "train_loss": [0.5],
            "valid_loss": [0.5],
            "lr_progress": [0],
            "lr": [0],
            "best_epoch": 1,
        },
        "no epoch": {
            "title": r"no formula: $\frac$",
            "epoch": [],
            "train_loss": [],
            "valid_loss": [],
            "lr_progress": [],
            "lr": [],
            "best_epoch": None,
        },
        "diverged": {
            "title": "a title that is far too long for one line " * 4,
            "epoch": [1, 2, 3, 4],
            "train_loss": [2.3, 1e30, INF, NAN],
            "valid_loss": [0, NAN, NAN, -INF],
            "lr_progress": np.arange(200_000) / 50_000,
            "lr": np.full(200_000, 50.0),
            "best_epoch": 1,
        },
    },
    "schedule_curves": {
        "ordinary": {
            "title": "Schedule",
            "progress": [0.0, 1.0, 2.5],
            "lr": [0.01, 0.1, 0.0],
            "momentum": [0.9, 0.81, 0.85],
            "momentum_name": "beta1",
        },
        "no epoch": {"title": r"$\frac$", "progress": [], "lr": [], "momentum": []},
        "every step": {
            "title": "a title that is far too long for one line " * 4,
            "progress": np.arange(200_000) / 50_000,
            "lr": np.full(200_000, 1e30),
            "momentum": np.full(200_000, NAN),
        },
    },
    "lr_find_curve": {
        "ordinary": {
            "title": "Loss",
            "lr": [1e-4, 1e-3, 1e-2, 1e-1, 1],
            "loss": [2.3, 2.2, 1.0, 0.5, 30.0],
            "smoothed_loss": [2.3, 2.2, 1.1, 0.6, 10.0],
            "suggestions": {"steepest fall": 3e-3, "a tenth of the minimum": 1e-2},
        },
        "one step": {"title": "", "lr": [1e-7], "loss": [2.3], "smoothed_loss": [2.3], "suggestions": {}},
        "all zero": {
            "title": r"$\frac$",
            "lr": [1, 2],
            "loss": [0, 0],
            "smoothed_loss": [0, 0],
            "suggestions": {},
        },
        "exploded": {
            "title": "a title that is far too long for one line " * 4,
            "lr": np.geomspace(1e-12, 1e6, 1000),
            "loss": np.geomspace(1, 1e38, 1000),
            "smoothed_loss": np.geomspace(1, 1e38, 1000),
            "suggestions": {},
        },
    },
    "accuracy_curve": {
        "ordinary": {
            "title": "Accuracy",
            "epoch": [1, 2, 3],
            "valid_accuracy": [0.94, 0.96, 0.97],
            "test_accuracy": 0.9776,
        },
        "all right": {"title": "", "epoch": [1, 2], "valid_accuracy": [1, 1], "test_accuracy": 1},
        "all wrong": {"title": "", "epoch": [1], "valid_accuracy": [0], "test_accuracy": 0.0},
        "diverged": {"title": "", "epoch": [1, 2], "valid_accuracy": [0.1, NAN], "test_accuracy": None},
        "many": {
            "title": "",
            "epoch": np.arange(1, 1001),
            "valid_accuracy": np.linspace(0.1, 0.9, 1000),
            "test_accuracy": 0.5,
        },
    },
    "confusion": {
        "clothes": {
            "title": "",
            "counts": np.eye(10, dtype=int),
            "names": DATASETS["fashion-mnist"].class_names,
        },
        "ordinary": {"title": "Confusion", "counts": [[980, 2], [7, 1_100]], "names": ["Shirt", "$Bag$"]},
        "one class": {"title": "", "counts": [[3]]},
        "no rows": {"title": "", "counts": np.zeros((10, 10), int)},
        "many": {"title": "", "counts": RANDOM.poisson(1, (26, 26)) + 4000 * np.eye(26, dtype=int)},
        "256 classes": {"title": "", "counts": RANDOM.poisson(1, (256, 256)) + 40 * np.eye(256, dtype=int)},
    },
    "wrong_digits": {
        "ordinary": {
            "title": "Wrong",
            "images": IMAGES[:25],
            "true": np.arange(25) % 7,
            "predicted": np.arange(25) % 9,
            "confidence": np.linspace(0.3, 1, 25),
        },
        "ordinary regression": {
            "title": "Wrong",
            "images": IMAGES[:3],
            "true": [1, 2, 3],
            "predicted": [4, 5, 6],
            "predicted_value": [4.2, 5.3, 6.4],
        },
        "none": {"title": "", "images": np.zeros((0, 28, 28)), "true": [], "predicted": [], "confidence": []},
        "blank": {"title": "", "images": np.full((1, 2, 3), NAN), "true": ["$a$"], "predicted": ["b"]},
    },
    "digits": {
        "ordinary": {"title": "Digits", "images": IMAGES / 255, "labels": np.arange(30) % 10},
        "none": {"title": "", "images": np.zeros((0, 28, 28)), "labels": []},
        "one, all zero": {"title": "", "images": np.zeros((1, 8, 8), bool), "labels": ["T-shirt/top"]},
    },
    "image_pairs": {
        "ordinary": {
            "title": "Before and after",
            "images": IMAGES[:10],
            "changed": IMAGES[10:20],
            "labels": np.arange(10),
        },
        "none": {
            "title": "",
            "images": np.zeros((0, 28, 28)),
            "changed": np.zeros((0, 28, 28)),
            "labels": [],
        },
        "wide": {
            "title": "",
            "images": np.zeros((1, 2, 9)),
            "changed": np.full((1, 2, 9), NAN),
            "labels": ["$a$"],
        },
    },
    "weights": {
        "ordinary": {
            "title": "Weights",
            "weights": RANDOM.normal(size=(784, 12)),
            "shape": (28, 28),
            "of": "channel",
        },
        "one unit, all zero": {"title": "", "weights": np.zeros((6, 1)), "shape": (2, 3)},
        "many": {"title": "", "weights": RANDOM.normal(size=(16, 800)), "shape": (4, 4)},
        "diverged": {"title": "", "weights": np.array([[NAN, INF], [1, 1e30]]), "shape": (1, 2)},
    },
    "feature_maps": {
        "ordinary": {
            "title": "Through the network",
            "image": RANDOM.random((9, 7)),
            "layers": ["convolution 1", "max pooling 1"],
            "channels": [3, 40],
            "maps": [RANDOM.random((3, 5, 4)), RANDOM.normal(size=(16, 2, 3))],
        },
        "one pixel, all zero": {
            "title": r"$\frac$",
            "image": np.zeros((1, 1)),
            "layers": ["$a$"],
            "channels": [1],
            "maps": [np.zeros((1, 1, 1))],
        },
        "tall and wide, diverged": {
            "title": "a title that is far too long for one line " * 4,
            "image": np.eye(300, 2),
            "layers": ["a", "b"],
            "channels": [16, 1],
            "maps": [np.full((16, 300, 2), NAN), np.full((1, 3, 200), INF)],
        },
    },
    "pixel_histograms": {
        "ordinary": {
            "title": "Pixels",
            "edges": [[-0.5, 0.5, 1.5], [-1, 1, 3]],
            "counts": [[31_000_000, 7], [29_000_000, 70]],
            "mean": [0.13, 0.1],
            "std": [0.31, 1.0],
            "zero_share": 0.8,
        },
        "all the same": {
            "title": "",
            "edges": [[0, 1], [0, 1]],
            "counts": [[5], [5]],
            "mean": [0, NAN],
            "std": [0, NAN],
            "zero_share": 1,
        },
    },
    "mean_and_std_images": {
        "ordinary": {"title": "Images", "mean": RANDOM.random((28, 28)), "std": RANDOM.random((28, 28))},
        "wide, never changing": {"title": "", "mean": np.zeros((3, 30)), "std": np.zeros((3, 30))},
        "tall": {"title": "", "mean": np.eye(60, 4), "std": np.eye(60, 4)},
    },
    "class_balance": {
        "ordinary": {
            "title": "Classes",
            "splits": ["training", "test"],
            "counts": [[9, 20, 7], [4, 0, 3]],
            "names": ["Bag", "$a$", "T-shirt/top"],
        },
        "one class": {"title": "", "splits": ["$a$"], "counts": [[3]]},
        "many": {"title": "", "splits": ["a", "b", "c"], "counts": RANDOM.poisson(3, (3, 256))},
        "long names": {
            "title": "",
            "splits": ["a"],
            "counts": [[1] * 26],
            "names": ["a rather long name"] * 26,
        },
    },
    "duration_dots": {
        "ordinary": {
            "title": "Bars",
            "names": ["loops", "matmul", "onednn"],
            "median_s": [0.3, 6e-6, 2e-5],
            "low_s": [0.25, 5e-6, 1e-5],
            "high_s": [0.5, 7e-6, 3e-5],
            "lesson_s": [0.6, None, 1e-5],
        },
        "one, once": {
            "title": "",
            "names": ["python"],
            "median_s": [2.0],
            "low_s": [2.0],
            "high_s": [2.0],
            "lesson_s": [None],
        },
    },
    "pass_dots": {
        "ordinary": {
            "title": "Dots",
            "names": ["loops", "unfold"],
            "median_s": {"forward": [0.3, 6e-6], "dx": [0.5, 2e-5]},
            "low_s": {"forward": [0.25, 5e-6], "dx": [0.4, 1e-5]},
            "high_s": {"forward": [0.4, 7e-6], "dx": [0.6, 3e-5]},
            "of": "one image",
        },
        "one, once": {
            "title": "",
            "names": ["library"],
            "median_s": {"dw": [2.0]},
            "low_s": {"dw": [2.0]},
            "high_s": {"dw": [2.0]},
        },
    },
    "rate_bars": {
        "ordinary": {
            "title": "Bars",
            "names": ["modules", "torch-nn"],
            "images_per_s": [170_000, 150_000],
            "low": [160_000, 130_000],
            "high": [180_000, 155_000],
        },
        "one, once": {
            "title": "",
            "names": ["modules"],
            "images_per_s": [1.0],
            "low": [1.0],
            "high": [1.0],
        },
    },
    "speeds": {
        "ordinary": {
            "title": "Speed",
            "shapes": ["64x784x50", "5x784x10", "512x512x512"],
            "flop": [5e6, 8e4, 3e8],
            "gflop_per_s": {"dot": [0.1, 0.2, None], "matmul": [70.0, 13.0, 90.0]},
            "roofline": [200.0, 60.0, 210.0],
        },
    },
    "single_draws": {
        "ordinary": {
            "title": "Draws",
            "names": ["relu", "relu - 0.5"],
            "mean": [[0.5, 0.6, 0.55], [0.0, 0.1, 0.05]],
            "std": [[0.8, 0.9, 0.7], [0.81, 0.91, 0.71]],
            "mean_theory": [0.56, 0.06],
            "std_theory": [0.82, 0.83],
            "mean_scatter": [0.05, 0.06],
        },
        "one draw, no theory": {
            "title": "",
            "names": ["linear"],
            "mean": [[0.0]],
            "std": [[1.0]],
            "mean_theory": [None],
            "std_theory": [None],
            "mean_scatter": [None],
        },
    },
    "activation_histograms": {
        "ordinary": {
            "title": "Before and after",
            "names": ["before", "relu"],
            "edges": [-1, -0.4, 0, 1.5],
            "counts": [[3, 5, 4], [0, 20, 4]],
            "mean": [0.1, 0.5],
            "std": [1.0, 0.6],
        },
        "nothing seen": {
            "title": "",
            "names": ["x"],
            "edges": [0, 1],
            "counts": [[0]],
            "mean": [NAN],
            "std": [INF],
        },
    },
    "signal_by_layer": {
        "ordinary": {
            "title": "Signal",
            "layer": [1, 2, 3],
            "forward": {"normal": [1.0, 30.0, INF], "kaiming": [1.0, 0.9, 1.2]},
            "backward": {"kaiming": [1.3, 0.8, 1.0]},
        },
        "forward alone": {"title": "", "layer": [1], "forward": {"$a$": [0.0]}, "backward": {}},
        "many schemes": {
            "title": "",
            "layer": np.arange(1, 5001),
            "forward": {str(n): np.full(5000, 10.0**n) for n in range(13)},
            "backward": {},
        },
    },
    "inside_curves": {
        "ordinary": {
            "title": "Inside",
            "step": [0, 10, 20],
            "mean": {"2 ReLU": [0.5, 0.6, 0.7], "4 ReLU": [0.5, 0.4, 0.3]},
            "std": {"2 ReLU": [1.0, 100.0, 0.1], "4 ReLU": [1.0, 1.1, 1.2]},
            "near_zero": {"2 ReLU": [0.5, 0.9, 1.0], "4 ReLU": [0.0, 0.5, 0.2]},
            "gradient": {"2 ReLU": [0.1, 0.2, 0.1], "4 ReLU": [0.1, 0.2, 0.0]},
        },
        "one look, diverged": {
            "title": "",
            "step": [0],
            **{name: {"$a$": [NAN]} for name in ("mean", "std", "near_zero", "gradient")},
        },
        "all zero, many": {
            "title": "a title that is far too long for one line " * 4,
            "step": np.arange(5000),
            **{
                name: {f"{n} ReLU": np.zeros(5000) for n in range(8)}
                for name in ("mean", "std", "near_zero", "gradient")
            },
        },
    },
    "inside_histograms": {
        "ordinary": {
            "title": "What comes out",
            "layers": ["2 ReLU", "4 ReLU", "6 Tanh"],
            "step": [0, 10, 20],
            "edges": [-100, -3, 0, 3, 100],
            "counts": RANDOM.poisson(3, (3, 3, 4)),
        },
        "one look, nothing finite": {
            "title": r"$\frac$",
            "layers": ["$a$"],
            "step": [0],
            "edges": [-100, 0, 100],
            "counts": np.zeros((1, 1, 2)),
        },
    },
    "size_histograms": {
        "ordinary": {
            "title": "Sizes",
            "names": ["kaiming", "xavier"],
            "counts": RANDOM.poisson(3, (2, 8, 5)),
            "largest": 8.0,
            "layers": 5,
        },
        "five, nothing seen": {
            "title": "",
            "names": list("abcde"),
            "counts": np.zeros((5, 8, 3)),
            "largest": 4.0,
            "layers": 3,
        },
    },
    "compared_seeds": {
        "ordinary": {
            "title": "Seeds",
            "names": ["relu_shift 0", "relu_shift 0.5", "relu_shift 1"],
            "values": [[97.1, 97.2, NAN], [97.3, 97.5, NAN], [NAN, NAN, 97.9]],
            "axis": "test accuracy, %",
            "differences": [[0.2, 0.3, NAN], [NAN, NAN, NAN]],
            "difference": [0.25, 0.7],
            "low": [0.1, 0.5],
            "high": [0.4, 0.9],
            "unit": "points",
        },
        "one seed, no interval, long names": {
            "title": "",
            "names": ["$\\frac$" * 20, "20261123-083549-train-base-0" * 3],
            "values": [[0.1], [0.1]],
            "axis": "test loss",
            "differences": [[0.0]],
            "difference": [0.0],
            "low": [NAN],
            "high": [NAN],
            "unit": "",
        },
        "many": {
            "title": "Seeds",
            "names": [str(n) for n in range(12)],
            "values": RANDOM.random((12, 100)),
            "axis": "",
            "differences": RANDOM.random((11, 100)) - 2,
            "difference": np.full(11, -1.5),
            "low": np.full(11, -1.6),
            "high": np.full(11, -1.4),
            "unit": "points",
        },
    },
    "compared_curves": {
        "ordinary": {
            "title": "Curves",
            "names": ["relu_shift 0", "relu_shift 0.5"],
            "curves": {
                "accuracy": [
                    ([1, 2], [95, 97], [94, 96.9], [96, 97.1]),
                    ([1, 2, 3], [94, 96, 98], [93, 95, 97], [95, 97, 99]),
                ],
                "loss": [([1, 2], [0.3, 0.2], [0.2, 0.1], [0.4, 0.3]), ([1], [0.3], [0.3], [0.3])],
            },
        },
        "nothing seen": {
            "title": "",
            "names": ["a", "$b$"],
            "curves": {"loss": [([], [], [], []), ([], [], [], [])]},
        },
        "many": {
            "title": "",
            "names": ["20261123-083549-train-base-0" * 3] * 12,
            "curves": {"loss": [(np.arange(1, 101), *RANDOM.random((3, 100)))] * 12},
        },
    },
    "setting_line": {
        "ordinary": {
            "title": "Loss by rate",
            "figure": "validation loss",
            "key": "optimizer.lr",
            "values": [0.2, 0.05, 0.1],
            "mean": [0.3, 0.2, 0.25],
            "low": [0.25, 0.18, 0.2],
            "high": [0.35, 0.22, 0.3],
            "seeds": [[0.28, 0.32], [0.19, 0.21], [0.25]],
        },
        "ordinary words": {
            "title": "Loss by init",
            "figure": "validation loss",
            "key": "model.init",
            "values": ["xavier", "$kaiming"],
            "mean": [0.3, 0.2],
            "low": [0.25, 0.18],
            "high": [0.35, 0.22],
            "seeds": [[0.28, 0.32], [0.19, 0.21]],
        },
        "one seed, far apart": {
            "title": "",
            "figure": "$",
            "key": "$x",
            "values": [1, 1000],
            "mean": [0.3, NAN],
            "low": [None, None],
            "high": [None, None],
            "seeds": [[0.3], []],
        },
        "many words": {
            "title": "",
            "figure": "loss",
            "key": "model.hidden",
            "values": [f"[{n}, {n}, {n}]" for n in range(30)],
            "mean": RANDOM.random(30),
            "low": [None] * 30,
            "high": [None] * 30,
            "seeds": [[0.5]] * 30,
        },
    },
    "setting_lines": {
        "ordinary": {
            "title": "Error by rows",
            "figure": "test error, %",
            "key": "training rows",
            "values": [1000, 5000, 50_000],
            "names": ["alone", "$more data"],
            "mean": [[10, 4, 2], [4, 2, None]],
            "low": [[9, 3.5, 1.9], [3.5, 1.8, None]],
            "high": [[11, 4.5, 2.1], [4.5, 2.2, None]],
        },
        "one number, an error of 0": {
            "title": "",
            "figure": "$",
            "key": "$x",
            "values": [1],
            "names": ["a"],
            "mean": [[0.0]],
            "low": [[0.0]],
            "high": [[NAN]],
        },
        "many": {
            "title": "",
            "figure": "error",
            "key": "rows",
            "values": np.arange(1, 21) * 1000,
            "names": [f"remedy {n}" for n in range(30)],
            "mean": RANDOM.random((30, 20)) + 1,
            "low": RANDOM.random((30, 20)) + 0.5,
            "high": RANDOM.random((30, 20)) + 2,
        },
    },
    "setting_map": {
        "ordinary": {
            "title": "Loss by rate and width",
            "figure": "validation loss",
            "keys": ["optimizer.lr", "model.hidden"],
            "rows": [0.05, 0.1],
            "columns": ["[50]", "[100]", "[200]"],
            "mean": [[0.3, 0.2, 0.25], [0.4, None, 0.2]],
            "half": [[0.01, 0.02, None], [0.01, None, 0.03]],
        },
        "large, nothing seen": {
            "title": "",
            "figure": "loss",
            "keys": ["$a", "$b"],
            "rows": range(12),
            "columns": [f"[{n}, {n}, {n}]" for n in range(20)],
            "mean": [[NAN] * 20] * 12,
            "half": [[None] * 20] * 12,
        },
    },
}
EVERY_SAMPLE = [(kind, name) for kind, samples in SAMPLES.items() for name in samples]
EVERY_ARGUMENT = [
    (kind, name, argument)
    for kind, name in EVERY_SAMPLE
    if name.startswith("ordinary")
    for argument in SAMPLES[kind][name]
]


def draw(kind: str, **data: Any) -> bytes:
    return png(Picture(name="any", kind=kind, data=data))


@cache
def drawn(kind: str, name: str) -> bytes:
    """A sample, once."""
    return draw(kind, **SAMPLES[kind][name])


def figure_of(kind: str, name: str = "ordinary", **other: Any) -> Figure:
    return PICTURES[kind](**(SAMPLES[kind][name] | other))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def changed(value: Any) -> Any:
    match value:
        case str():
            return value + "!"
        case int() | float():
            return value / 2
        case tuple():
            return (value[0] // 2, value[1] * 2)
        case dict():
            return {key: changed(values) for key, values in value.items()}
        case _:
            return value[::-1]


def test_every_picture_has_samples() -> None:
    assert SAMPLES.keys() == PICTURES.keys()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=[*[pytest.mark.slow] * (n > 1)])
        for kind, samples in SAMPLES.items()
        for n, name in enumerate(samples)
    ],
)
def test_it_is_a_png_of_the_usual_width_with_something_on_it(kind: str, name: str) -> None:
    pixels = imread(io.BytesIO(drawn(kind, name)), format="png")

    assert pixels.shape[1] == 1170
    if name != "none":
        assert pixels.min() < 0.5 < pixels.max()


@pytest.mark.parametrize(("kind", "name"), EVERY_SAMPLE)
def test_its_alternative_text_has_the_title_and_says_what_is_plotted(kind: str, name: str) -> None:
    data = SAMPLES[kind][name]
    text = alternative(Picture("sample", kind, data))
    assert text.startswith(data["title"].strip(". "))
    shown = text[len(data["title"].strip()) :]
    assert len(shown.split()) > 4
    assert text.endswith(".")


def test_alternative_texts_have_the_figures_that_matter() -> None:
    def shown(kind: str, name: str = "ordinary") -> str:
        return alternative(Picture("sample", kind, SAMPLES[kind][name]))

    assert set(SHOWS) == set(PICTURES)
    assert "training loss from 0.5 to 0.2, validation loss from 0.4 to 0.3" in shown("loss_curves")
    assert "2,080 of 2,089 images lie on the diagonal" in shown("confusion")
    assert "training loss from 2.3 to 1e+30" in shown("loss_curves", "diverged"), "what is finite"
    assert "loops 300 ms, matmul 6.00 µs" in shown("duration_dots")
    assert "of one image: forward: loops 300 ms, unfold 6.00 µs; dx: loops 500 ms" in shown("pass_dots")
    assert shown("digits").endswith("9, 0, 1 and 18 more."), "long lists are cut"


@pytest.mark.parametrize("kind", PICTURES)
def test_equal_data_gives_equal_bytes_whatever_the_users_settings(kind: str) -> None:
    data = SAMPLES[kind]["ordinary"]
    first = draw(kind, **data)
    with matplotlib.rc_context({"font.size": 30, "figure.facecolor": "black"}):
        again = draw(kind, **data)
        assert matplotlib.rcParams["font.size"] == 30

    assert first == again


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "argument"), EVERY_ARGUMENT)
def test_every_argument_is_seen(kind: str, name: str, argument: str) -> None:
    data = SAMPLES[kind][name]
    other = 1 if argument == "best_epoch" else changed(data[argument])

    assert drawn(kind, name) != draw(kind, **(data | {argument: other}))


def test_training_loss_stands_at_mid_epoch_and_validation_loss_at_its_end() -> None:
    training, validation, lowest = figure_of("loss_curves").axes[0].lines

    assert list(training.get_xdata()) == [0.5, 1.5, 2.5]
    assert list(validation.get_xdata()) == [1, 2, 3]
    assert (list(lowest.get_xdata()), list(lowest.get_ydata())) == ([2], [0.2])


def test_an_exploding_loss_gets_a_log_axis_and_an_ordinary_one_does_not() -> None:
    assert figure_of("loss_curves").axes[0].get_yscale() == "linear"
    assert figure_of("loss_curves", train_loss=[2.3, 1e5, NAN]).axes[0].get_yscale() == "log"


def test_the_suggestions_stand_on_the_smoothed_loss_and_no_explosion_hides_them() -> None:
    axes = figure_of("lr_find_curve").axes[0]
    points = {line.get_label(): line.get_xydata()[-1].tolist() for line in axes.lines}

    assert points["a tenth of the minimum: 0.01"] == pytest.approx([1e-2, 1.1])
    assert points["steepest fall: 0.003"] == pytest.approx([3e-3, 2.2 - 1.1 * np.log10(3)])
    assert (axes.get_xscale(), axes.get_ylim()) == ("log", pytest.approx((0, 1.5 * 2.3)))


def test_the_test_accuracy_is_labelled() -> None:
    assert "97.76%" in texts(figure_of("accuracy_curve"))


def test_confusion_shows_counts_and_the_share_right_and_colours_errors_only() -> None:
    axes = figure_of("confusion").axes[0]
    shares = [label.get_text() for label in axes.child_axes[0].get_yticklabels()]

    assert texts(axes.figure)[:4] == ["980", "2", "7", "1,100"]
    assert shares == ["99.8%", "99.4%"]
    assert axes.images[0].get_clim() == (0, 7)
    assert axes.images[0].get_array().mask.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("classes", [32, 33, 256])
def test_confusion_of_many_classes_shows_those_with_the_most_errors(classes: int) -> None:
    """Beyond 32 classes a number in each cell took 58 s and 0.9 GB, and nobody could read it."""
    counts = 50 * np.eye(classes, dtype=int)
    counts[7, 31] = 9
    counts[np.arange(10, 28), 5] = 3
    figure = figure_of("confusion", counts=counts, names=[f"name {number}" for number in range(classes)])
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    shown = range(32) if classes == 32 else [5, 7, *range(10, 27), 31]
    assert labels == [label.get_text() for label in axes.get_xticklabels()] == [f"name {n}" for n in shown]
    assert len(axes.texts) == 1 + len(shown) ** 2  # the line below the title
    assert any("tables/confusion.csv" in text for text in texts(figure)) == (classes > 32)
    assert no_overlap(axes.get_xticklabels(), figure)


def test_names_of_classes_lie_flat_where_they_fit() -> None:
    figure = figure_of("confusion", "clothes")
    labels = figure.axes[0].get_xticklabels()
    assert no_overlap(labels, figure)
    assert {label.get_rotation() for label in labels} == {0}


def no_overlap(labels: list[Text], figure: Figure) -> bool:
    """Whether no two of these labels are printed over each other."""
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in labels if label.get_visible() and label.get_text()]
    return len(boxes) > 1 and not any(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize("high", [0.0301, 0.05, 0.9, 900.0])
def test_times_have_readable_ticks_in_one_unit(high: float) -> None:
    data = {"names": ["a", "b"], "median_s": [0.03, high], "lesson_s": [None, None]}
    axes = figure_of("duration_dots", low_s=[0.03, high], high_s=[0.03, high], **data).axes[0]
    axes.figure.draw_without_rendering()
    low, top = axes.get_xlim()
    labels = [
        each for each, at in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True) if low <= at <= top
    ]
    assert no_overlap(labels, axes.figure)
    assert all(float(label.get_text().replace(",", "")) > 0 for label in labels), "numbers without a unit"
    assert axes.get_xlabel() == f"time of one call, {'s' if high > 500 else 'ms'}"
    assert not [label for label in axes.get_xticklabels(minor=True) if label.get_text()]


def test_a_confidence_is_not_rounded_to_certainty() -> None:
    labels = texts(figure_of("wrong_digits"))

    assert labels[:2] == ["true 0", "→ 0, 30.0%"]
    assert labels[48:50] == ["true 3", "→ 6, >99.9%"]


def test_a_regression_model_shows_the_number_it_gave() -> None:
    assert "→ 4 (4.20)" in texts(figure_of("wrong_digits", "ordinary regression"))


def test_fifty_units_of_the_largest_norm_are_shown_and_the_reader_is_told() -> None:
    values = np.tile(np.arange(60.0), (4, 1))
    shown = texts(figure_of("weights", weights=values, shape=(2, 2)))

    assert shown[:50] == [str(unit) for unit in range(59, 9, -1)]
    assert shown[50].startswith("50 of 60 channels")
    assert texts(figure_of("weights", "one unit, all zero"))[-1] == "its only unit"


@pytest.mark.parametrize("size", [3, 5, 28, 60])
def test_small_images_are_enlarged_so_that_gaps_do_not_dwarf_them(size: int) -> None:
    [sheet] = (
        figure_of("weights", weights=RANDOM.normal(size=(size**2, 10)), shape=(size, size)).axes[0].images
    )
    height, width = sheet.get_array().shape
    assert width == 10 * (width // 10 // size * size + 3) - 3
    assert 20 <= height - 8 <= 60


def test_feature_maps_say_which_channels_are_shown_and_have_one_scale_a_layer() -> None:
    axes = figure_of("feature_maps").axes[0]

    assert texts(axes.figure)[:3] == [
        "image of 9 × 7",
        "convolution 1: 3 channels of 5 × 4",
        "max pooling 1: 16 of 40 channels, evenly chosen, each of 2 × 3",
    ]
    limits = [image.get_clim() for image in axes.images[1:]]
    assert all(low == -high < 0 for low, high in limits)
    assert len(set(limits)) == 2


def test_a_feature_map_keeps_its_pixels_and_its_shape() -> None:
    data = SAMPLES["feature_maps"]["ordinary"]
    axes = figure_of("feature_maps").axes[0]

    for drawn, maps in zip(axes.images[1:], data["maps"], strict=True):
        sheet, (left, right, bottom, top) = drawn.get_array().filled(NAN), drawn.get_extent()
        count, height, width = maps.shape
        pitch, times = sheet.shape[1] // count, sheet.shape[0] // height
        for n, each in enumerate(maps):
            assert (
                sheet[times // 2 :: times, n * pitch + times // 2 :][:, : times * width : times] == each
            ).all()
        across, down = (right - left) / sheet.shape[1], (bottom - top) / sheet.shape[0]
        assert across == pytest.approx(down, rel=0.02), "square pixels, but for the rounding of a gap"


def test_the_reader_is_told_whether_normalising_kept_the_shape() -> None:
    same = [[7, 5], [7, 5]]

    assert (
        figure_of("pixel_histograms", counts=same).get_supxlabel().startswith("Normalising shifts and scales")
    )
    assert figure_of("pixel_histograms").get_supxlabel().startswith("Every pixel is shifted")


def test_pixels_that_never_change_are_marked_and_counted() -> None:
    figure = figure_of("mean_and_std_images", std=np.where(np.eye(28), 0, 0.3))

    assert texts(figure)[0].startswith("28 of 784 pixels are the same")
    assert figure.axes[1].images[0].get_array().mask.sum() == 28
    assert texts(figure_of("mean_and_std_images", std=np.ones((28, 28))))[0].startswith("every pixel changes")


def test_a_class_that_is_missing_is_marked() -> None:
    axes = figure_of("class_balance").axes[0]

    assert [text.get_position() for text in axes.texts if text.get_text() == "×"] == [(1.2, 0)]
    assert [bar.get_height() for bar in axes.patches[:3]] == [9 / 36, 20 / 36, 7 / 36]


def test_the_colours_of_weights_are_symmetric_about_zero() -> None:
    low, high = figure_of("weights", weights=RANDOM.random((784, 3))).axes[0].images[0].get_clim()

    assert low == -high < 0
    assert figure_of("weights", weights=np.zeros((784, 1))).axes[0].images[0].get_clim() == (-1, 1)


def test_compared_seeds_show_each_difference_with_its_interval() -> None:
    left, right = figure_of("compared_seeds").axes
    zero, first, interval, mean, none, _, other = right.lines

    assert list(zero.get_xdata()) == [0, 0]
    assert list(first.get_xdata()[:2]) == [0.2, 0.3]
    assert list(interval.get_xdata()) == [0.1, 0.4]
    assert (list(mean.get_xdata()), list(other.get_xdata())) == ([0.25], [0.7])
    assert np.isnan(none.get_xdata()).all(), "what is not paired has no differences"
    assert left.get_ylim() == (2.5, -0.5), "the first side stands on top"


def test_compared_seeds_join_only_what_is_paired() -> None:
    lines = len(figure_of("compared_seeds").axes[0].lines)

    assert lines == 3 + len(figure_of("compared_seeds", differences=np.full((2, 3), NAN)).axes[0].lines)


def test_the_bands_of_compared_curves() -> None:
    accuracy, loss = figure_of("compared_curves").axes

    assert [line.get_label() for line in accuracy.lines] == ["relu_shift 0", "relu_shift 0.5"]
    assert [len(axes.collections) for axes in (accuracy, loss)] == [2, 2]
    assert accuracy.collections[0].get_datalim(accuracy.transData).y1 == 97.1


def test_a_home_that_cannot_be_written_is_not_talked_about(tmp_path):
    (tmp_path / "home").touch()
    (tmp_path / "temporary").mkdir()
    mine = ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in mine}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    code = "import os, mlfound.report.pictures; print(os.listdir(os.environ['TMPDIR']))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "matplotlib" in done.stdout
    assert not list((tmp_path / "temporary").iterdir()), "removed at exit"
