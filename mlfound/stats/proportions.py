"""How sure an accuracy is: both the seeds and the test images are only some of those there could be."""

from collections.abc import Sequence
from statistics import mean, variance

from scipy.special import ndtri, stdtrit

MIN_SEEDS = 3  # of several: the spread of two says nothing of the spread of all
MIN_IMAGES = 30  # fewer allow nearly any accuracy


def accuracy_interval(accuracies: Sequence[float], images: int) -> tuple[float, float] | None:
    """The 95% interval of the accuracy of such networks on such images, in [0, 1]; None where there are too few.

    `accuracies` are of one network or of several seeds, all on the same `images`. The score interval of a proportion
    (Wilson 1927), of several seeds at an effective number of images: as many as would give the mean accuracy the
    variance that it has from seeds and images together (design effect, Kish 1965), with Student's quantile at
    Satterthwaite's (1946) degrees of freedom. The images' part of the seeds' variance counts twice, which is
    cautious. Of one network the seed is taken as given.
    """
    seeds, p = len(accuracies), mean(accuracies)
    if images < MIN_IMAGES or 1 < seeds < MIN_SEEDS:
        return None
    of_seeds = variance(accuracies) / seeds if seeds > 1 else 0.0
    of_images = p * (1 - p) / images
    n, z = float(images), float(ndtri(0.975))
    if of_seeds > 0:
        total = of_seeds + of_images
        n = images * of_images / total
        z = float(stdtrit((seeds - 1) * (total / of_seeds) ** 2, 0.975))
    centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    return max(0.0, (centre - half) / (1 + z**2 / n)), min(1.0, (centre + half) / (1 + z**2 / n))


def too_few(seeds: int, images: int) -> str:
    """Why there is no interval."""
    if images < MIN_IMAGES:
        return f"{images} test images are too few for an interval"
    return f"{seeds} seeds are too few for an interval"
