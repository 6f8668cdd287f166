"""The pictures of a result by name, and their rendering as PNG."""

import io
from collections.abc import Callable

import matplotlib.style
from matplotlib.figure import Figure

from mlfound.report.bars import duration_dots, pass_dots, rate_bars, speeds
from mlfound.report.comparisons import compared_curves, compared_seeds
from mlfound.report.curves import accuracy_curve, loss_curves, lr_find_curve, schedule_curves
from mlfound.report.distributions import class_balance, mean_and_std_images, pixel_histograms
from mlfound.report.heatmaps import confusion
from mlfound.report.images import digits, image_pairs, weights, wrong_digits
from mlfound.report.inside import inside_curves, inside_histograms
from mlfound.report.maps import feature_maps
from mlfound.report.settings import setting_line, setting_lines, setting_map
from mlfound.report.signals import activation_histograms, signal_by_layer, single_draws, size_histograms
from mlfound.report.style import DPI, SHEET
from mlfound.results import Picture


def png(picture: Picture) -> bytes:
    """The picture as a PNG, 1170 pixels wide; equal data gives equal bytes."""
    with matplotlib.style.context(SHEET, after_reset=True):
        figure = PICTURES[picture.kind](**picture.data)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


PICTURES: dict[str, Callable[..., Figure]] = {
    draw.__name__: draw
    for draw in (
        loss_curves, accuracy_curve, schedule_curves, lr_find_curve, confusion, wrong_digits, digits, image_pairs,
        weights, feature_maps, pixel_histograms, mean_and_std_images, class_balance, duration_dots, pass_dots,
        rate_bars, speeds,
        single_draws, activation_histograms, signal_by_layer, size_histograms, compared_seeds, compared_curves,
        setting_line, setting_lines, setting_map, inside_curves, inside_histograms,
    )
}  # fmt: skip
