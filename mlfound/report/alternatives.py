"""What a picture shows, in words: for those who cannot see it, and where it is not loaded. It loads no matplotlib."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mlfound.errors import some
from mlfound.report.tables import duration
from mlfound.results import Picture

MAX_NAMED = 12  # names in a text

Data = Mapping[str, Any]


def alternative(picture: Picture) -> str:
    """The picture's title, and a sentence or two on what is plotted, with the figures that matter."""
    title, shows = str(picture.data["title"]).strip(" ."), SHOWS[picture.kind](picture.data)
    return f"{title}. {shows}" if title else shows


def _accuracy(data: Data) -> str:
    curve = f"A line over {_epochs(data)}: validation accuracy {_course(data['valid_accuracy'], '.2%')}."
    test = data["test_accuracy"]
    return curve if test is None else f"{curve} A level line: test accuracy {test:.2%}."


def _loss(data: Data) -> str:
    curves = f"training loss {_course(data['train_loss'])}"
    if "valid_loss" not in data:
        return f"A line over {_epochs(data)}: {curves}. Below: the learning rate."
    curves = f"{curves}, validation loss {_course(data['valid_loss'])}"
    return f"Lines over {_epochs(data)}: {curves}. Below: the learning rate."


def _lr_find(data: Data) -> str:
    marks = [f"{name} at {lr:.2g}" for name, lr in data["suggestions"].items()]
    marked = f" Marked: {_listed(marks)}." if marks else ""
    return f"The loss of each step and its running mean over learning rates {_course(data['lr'])}.{marked}"


def _confusion(data: Data) -> str:
    counts = _list(data["counts"])
    right, total = sum(int(row[n]) for n, row in enumerate(counts)), int(sum(map(sum, counts)))
    on = f"{right:,} of {total:,} images lie on the diagonal, where both are the same"
    return f"A matrix, the true classes in rows and the predicted ones in columns: {on}."


def _feature_maps(data: Data) -> str:
    layers = [
        f"{layer} ({count:,} of {' by '.join(map(str, maps.shape[1:]))})"
        for layer, count, maps in zip(data["layers"], data["channels"], data["maps"], strict=True)
    ]
    return f"The image, and below it a row for each layer, all or some of its channels: {_listed(layers)}."


def _inside(data: Data) -> str:
    layers = [f"{layer} {_course(values)}" for layer, values in data["std"].items()]
    steps = f"Lines over the steps 0 to {_list(data['step'])[-1]:,}"
    return f"{steps}, one a layer, for mean, share near zero, gradient and standard deviation: {_listed(layers)}."


def _signal(data: Data) -> str:
    lines = [f"{name} {_course(values)}" for name, values in data["forward"].items()]
    beside = f" Beside it: {data.get('gradient', 'that of the gradient')}." if data["backward"] else ""
    return f"Standard deviation after each layer, logarithmic: {_listed(lines)}.{beside}"


# By the kind of a picture; a test holds its keys to those of PICTURES
SHOWS: dict[str, Callable[[Data], str]] = {
    "loss_curves": _loss,
    "accuracy_curve": _accuracy,
    "schedule_curves": lambda data: (
        f"Lines over the epochs: learning rate {_reach(data['lr'])}, below it "
        f"{data.get('momentum_name', 'momentum')} {_reach(data['momentum'])}."
    ),
    "lr_find_curve": _lr_find,
    "confusion": _confusion,
    "wrong_digits": lambda data: (
        f"Images with their true and their predicted classes: {_pairs(data, 'true', 'predicted', '{} taken for {}')}."
    ),
    "digits": lambda data: f"Images with their classes: {_listed(map(str, data['labels']))}.",
    "image_pairs": lambda data: (
        f"Pairs of images, each as it was and as it was changed, of the classes {_listed(map(str, data['labels']))}."
    ),
    "weights": lambda data: (
        f"An image of {' by '.join(map(str, data['shape']))} weights for each {data.get('of', 'unit')}, "
        "red above 0, blue below."
    ),
    "feature_maps": _feature_maps,
    "pixel_histograms": lambda data: (
        f"Two histograms of pixel values: before normalising, mean and standard deviation {_both(data, 0)}; "
        f"after, {_both(data, 1)}."
    ),
    "mean_and_std_images": lambda _: "Two images: the mean of each pixel, and its standard deviation.",
    "class_balance": lambda data: f"Bars: the share of each class in {_listed(data['splits'])}.",
    "duration_dots": lambda data: (
        f"Dots on a logarithmic axis, the median times of {data.get('of', 'one call')}: "
        f"{_listed(_durations(data['names'], data['median_s']))}."
    ),
    "pass_dots": lambda data: (
        f"Dots on a logarithmic axis, the median times of {data.get('of', 'one call')}: "
        + "; ".join(
            f"{name}: {_listed(_durations(data['names'], s))}" for name, s in data["median_s"].items()
        )
        + "."
    ),
    "rate_bars": lambda data: (
        f"Bars, images per second: {_pairs(data, 'names', 'images_per_s', '{} {:,.0f}')}."
    ),
    "speeds": lambda data: (
        f"GFLOP/s at each shape, logarithmic: {_listed(data['gflop_per_s'])}, and the roofline."
    ),
    "single_draws": lambda data: (
        f"One dot per draw, beside theory: mean and standard deviation of {_listed(data['names'])}."
    ),
    "activation_histograms": lambda data: (
        "Histograms, one panel each, with mean and standard deviation: "
        f"{_listed(f'{name} {_both(data, n)}' for n, name in enumerate(data['names']))}."
    ),
    "signal_by_layer": _signal,
    "inside_curves": _inside,
    "inside_histograms": lambda data: (
        f"A panel for each of {_listed(data['layers'])}: the histogram of what it gave at each of "
        f"{len(_list(data['step'])):,} looks, side by side."
    ),
    "size_histograms": lambda data: (
        f"Layer by layer, how often activations have which size, logarithmic: {_listed(data['names'])}."
    ),
    "compared_seeds": lambda data: (
        f"One dot per seed, {data['axis']}: "
        f"{_listed(f'{name} {_reach(dots)}' for name, dots in zip(data['names'], data['values'], strict=True))}. "
        "To the right: differences from the first."
    ),
    "compared_curves": lambda data: (
        f"Lines over the epochs, {' and '.join(data['curves'])}: {_listed(data['names'])}."
    ),
    "setting_line": lambda data: (
        f"Means of {data['figure']} with their intervals, and one dot per seed, by {data['key']}: "
        f"{_pairs({**data, 'mean': _numbers(data['mean'])}, 'values', 'mean', '{} {}')}."
    ),
    "setting_lines": lambda data: (
        f"Lines of {data['figure']} with intervals over {data['key']} {_listed(map(str, data['values']))}: "
        + "; ".join(
            f"{name} {_listed(_numbers(means))}"
            for name, means in zip(data["names"], data["mean"], strict=True)
        )
        + "."
    ),
    "setting_map": lambda data: (
        f"A map of the means of {data['figure']}, {data['keys'][0]} in rows, {data['keys'][1]} in columns: "
        + "; ".join(
            f"{row}: {_listed(_numbers(means))}"
            for row, means in zip(data["rows"], data["mean"], strict=True)
        )
        + "."
    ),
}


def _course(values: Iterable[float], form: str = ".3g") -> str:
    """The first and the last of what is finite."""
    known = _finite(values)
    return f"from {known[0]:{form}} to {known[-1]:{form}}" if known else "nowhere finite"


def _reach(values: Iterable[float]) -> str:
    """The least and the greatest of what is finite."""
    known = sorted(set(_finite(values)))
    return " to ".join(f"{value:.4g}" for value in known[:1] + known[1:][-1:]) or "nowhere finite"


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in _list(values) if value is not None and math.isfinite(value)]


def _both(data: Data, n: int) -> str:
    return f"{float(data['mean'][n]):z.3f} and {float(data['std'][n]):.3f}"


def _pairs(data: Data, first: str, second: str, form: str) -> str:
    pairs = zip(_list(data[first]), _list(data[second]), strict=True)
    return _listed(form.format(*pair) for pair in pairs)


def _durations(names: Iterable[str], seconds: Iterable[float]) -> Iterable[str]:
    return (f"{name} {duration(each)}" for name, each in zip(names, _list(seconds), strict=True))


def _numbers(values: Iterable[float | None]) -> list[str]:
    """In four digits; a dash where there is none."""
    return ["–" if value is None else f"{value:.4g}" for value in _list(values)]


def _epochs(data: Data) -> str:
    count = len(data["epoch"])
    return f"{count:,} epoch{'s' * (count != 1)}"


def _listed(words: Iterable[str]) -> str:
    return some(list(words), MAX_NAMED) or "none"


def _list(values: Any) -> list[Any]:
    """An array or a tensor as lists of Python's numbers."""
    return values.tolist() if hasattr(values, "tolist") else list(values)
