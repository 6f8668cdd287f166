"""Curves over the epochs: losses, accuracy, learning rate and momentum; and the loss over the learning rate."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, GREEN, INK, ORANGE, PINK, SKY
from mlfound.report.style import Floats, counting, finite, head, marker, note, paper

BANDS = "Bands: one standard deviation over the seeds to either side."


def loss_curves(
    *,
    title: str,
    epoch: ArrayLike,
    train_loss: ArrayLike,
    valid_loss: ArrayLike | None = None,
    lr_progress: ArrayLike,
    lr: ArrayLike,
    best_epoch: int | None,
    train_loss_std: ArrayLike | None = None,
    valid_loss_std: ArrayLike | None = None,
) -> Figure:
    """Both losses over the epochs, the lowest validation loss marked, the learning rate below.

    Without validation images there is no `valid_loss`. With standard deviations over several seeds each loss has a
    band. `lr` was the learning rate at `lr_progress`, in epochs from 0; `best_epoch` is None if no loss was finite.
    """
    epochs, train, lrs = finite(epoch), finite(train_loss), finite(lr)
    valid = finite([] if valid_loss is None else valid_loss)
    figure, (losses, rates) = paper(6.2, 2, sharex=True, height_ratios=[4, 1])

    _curve(losses, epochs - 0.5, train, train_loss_std, BLUE, "training")
    subtitle = "no validation set" if valid_loss is None else "no finite validation loss"
    if valid_loss is not None:
        _curve(losses, epochs, valid, valid_loss_std, ORANGE, "validation")
    if best_epoch is not None:
        lowest = valid[epochs == best_epoch][0]
        losses.plot(best_epoch, lowest, "o", color=ORANGE, fillstyle="none", markersize=12)
        subtitle = f"lowest validation loss {lowest:.4g} after epoch {best_epoch:,} (circle)"
    positive = np.concatenate([train[train > 0], valid[valid > 0]])
    if positive.max(initial=0) > 1000 * positive.min(initial=np.inf):  # as when a loss explodes
        losses.set_yscale("log")
    losses.set_ylabel("loss")
    losses.legend()
    head(losses, title, subtitle)

    rates.plot(finite(lr_progress), lrs, color=GREEN, marker=marker(lrs))
    rates.set_ylabel("learning rate")
    rates.set_ylim(bottom=0)
    _epochs_along(rates, epochs)
    figure.align_ylabels()
    said = "The training loss is a mean over the epoch while the weights change: drawn at mid-epoch."
    note(figure, said if train_loss_std is None else f"{said} {BANDS}")
    return figure


def accuracy_curve(
    *,
    title: str,
    epoch: ArrayLike,
    valid_accuracy: ArrayLike,
    test_accuracy: float | None,
    valid_accuracy_std: ArrayLike | None = None,
) -> Figure:
    """Validation accuracy (0 to 1) over the epochs; the test accuracy, measured once, as a line across.

    With standard deviations over several seeds it has a band.
    """
    epochs = finite(epoch)
    figure, axes = paper(4.6)
    line = _curve(axes, epochs, finite(valid_accuracy), valid_accuracy_std, ORANGE, "validation")
    line.set_clip_on(False)  # a mark at 100% stays whole
    if test_accuracy is not None:
        label = "test, measured once at the end"
        axes.axhline(test_accuracy, color=INK, linestyle="--", linewidth=1.2, label=label)
        axes.annotate(f"{test_accuracy:.2%}", (1, test_accuracy), xycoords=("axes fraction", "data"),
                      xytext=(6, 0), textcoords="offset points", va="center")  # fmt: skip
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_ylabel("accuracy")
    axes.legend(loc="lower right")
    _epochs_along(axes, epochs)
    head(axes, title)
    if valid_accuracy_std is not None:
        note(figure, BANDS)
    return figure


def schedule_curves(
    *, title: str, progress: ArrayLike, lr: ArrayLike, momentum: ArrayLike, momentum_name: str = "momentum"
) -> Figure:
    """The learning rate, and the momentum below it, at `progress`, in epochs from 0; Adam's is called beta1."""
    epochs = finite(progress)
    figure, panels = paper(4.6, 2, sharex=True)
    for axes, name, values, colour in zip(
        panels, ("learning rate", momentum_name), (lr, momentum), (GREEN, PINK), strict=True
    ):
        axes.plot(epochs, finite(values), color=colour, marker=marker(epochs))
        axes.set_ylabel(name)
    panels[0].set_ylim(bottom=0)
    _epochs_along(panels[1], epochs)
    figure.align_ylabels()
    head(panels[0], title)
    return figure


def lr_find_curve(
    *, title: str, lr: ArrayLike, loss: ArrayLike, smoothed_loss: ArrayLike, suggestions: Mapping[str, float]
) -> Figure:
    """The loss of each step and its running mean over the learning rate; the suggested learning rates by name."""
    lrs, losses, means = finite(lr), finite(loss), finite(smoothed_loss)
    figure, axes = paper(5.2)
    axes.plot(lrs, losses, "o", color=SKY, alpha=0.5, markersize=4, markeredgewidth=0, label="of each step")
    axes.plot(lrs, means, color=BLUE, linewidth=2.4, label="smoothed")
    for (name, suggested), colour in zip(suggestions.items(), (ORANGE, GREEN), strict=False):
        height = np.interp(np.log(suggested), np.log(lrs), means)
        axes.axvline(suggested, color=colour, linewidth=1.2, linestyle="--")
        axes.plot(suggested, height, "o", color=colour, markersize=9, label=f"{name}: {suggested:.2g}")
    subtitle = ""
    if len(means):
        lowest = np.nanargmin(means)
        axes.plot(lrs[lowest], means[lowest], "o", color=BLUE, fillstyle="none", markersize=12)
        subtitle = f"lowest smoothed loss {means[lowest]:.4g} at {lrs[lowest]:.2g} (circle)"
        # an explosion would flatten all that matters
        axes.set_ylim(0, 1.5 * np.nanmax(means[: lowest + 1]) or 1)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.legend(loc="lower left")
    head(axes, title, subtitle)
    return figure


def _curve(axes: Axes, x: Floats, y: Floats, std: ArrayLike | None, colour: str, label: str) -> Line2D:
    """A line, and a band of one `std` to either side."""
    if std is not None:
        axes.fill_between(x, y - finite(std), y + finite(std), color=colour, alpha=0.18, linewidth=0)
    [line] = axes.plot(x, y, color=colour, marker=marker(x), label=label)
    return line


def _epochs_along(axes: Axes, epochs: Floats) -> None:
    axes.set_xlabel("epoch")
    axes.set_xlim(0, 1.02 * epochs.max(initial=1))
    counting(axes.xaxis, steps=[1, 2, 5, 10])
