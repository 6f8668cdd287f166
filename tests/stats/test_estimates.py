"""What it costs to know how well a number is known."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "modules",
    ["mlfound.experiments.train", "mlfound.stats.estimates", "mlfound.report.pictures, matplotlib.figure"],
)
def test_a_training_does_not_load_scipy_stats(modules):
    """It takes a second to import."""
    code = f"import {modules}, sys; assert 'scipy.stats' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
