"""The short form of every trial, with a fixed seed; `make faults` runs the long one."""

import pytest

from tests.faults.__main__ import TRIALS

SEED = 8


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIALS)
def test_trial(name, tmp_path):
    trial, _, count = TRIALS[name]
    report = trial(count, SEED, tmp_path)
    assert not report.failures, f"{len(report.failures)} of {report.cases}:\n" + "\n".join(report.failures)
    assert report.cases > 0
