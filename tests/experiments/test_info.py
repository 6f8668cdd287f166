"""What a machine has, as text and as JSON; nothing is left behind."""

import json
from pathlib import Path

import torch

from mlfound.engines.ladder import ENGINES
from mlfound.native import compiling
from mlfound.reference.libraries import LIBRARIES


def test_what_is_here_and_why_not(mlfound, monkeypatch):
    monkeypatch.setattr(compiling, "unavailable", lambda: "there is no C compiler")
    outcome = mlfound("info", "--json", "--data-dir", "here")
    assert outcome.code == 0, outcome
    said = json.loads(outcome.out)
    assert {f"engine {name}" for name in ENGINES} | {f"for comparison {name}" for name in LIBRARIES} <= {
        *said
    }
    assert said["C compiler"] == "there is no C compiler"
    assert said["data"] == "here"
    if not torch.cuda.is_available():
        assert (said["device"], said["engine buffers"]) == ("cpu", "yes (auto)")
        assert "CUDA" in said["engine graph"]
    assert not Path("runs").exists()


def test_a_line_for_each(mlfound):
    outcome = mlfound("info")
    assert outcome.code == 0, outcome
    lines = outcome.out.splitlines()
    assert [line.split("  ")[0] for line in lines[3:] if line] == [*json.loads(mlfound("info", "--json").out)]
