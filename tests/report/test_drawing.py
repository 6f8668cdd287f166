"""Pictures drawn by processes of their own."""

import subprocess
import sys

import pytest
import torch

from mlfound.report import drawing
from mlfound.report.drawing import Drawing
from mlfound.results import Picture

CURVES = {"title": "Schedule", "progress": [0, 1], "lr": [0.1, 0.2], "momentum": [0.9, 0.8]}
PICTURES = [
    Picture("schedule", "schedule_curves", CURVES),
    Picture("confusion", "confusion", {"title": "Confusion", "counts": torch.tensor([[3, 1], [0, 4]])}),
    Picture("weights", "weights", {"title": "Weights", "weights": torch.rand(6, 3), "shape": (2, 3)}),
]


@pytest.fixture
def processes():
    made = Drawing(2)
    yield made
    made.close()
    assert all(process.wait(60) is not None for process in made.processes), "they end when nothing more comes"


def test_they_draw_the_same_bytes_without_torch(processes):
    drawn = processes.start(PICTURES)
    assert drawn() == Drawing().start(PICTURES)()
    assert [process.wait(60) for process in processes.processes] == [0] * len(processes.processes)


def test_drawing_loads_no_torch():
    code = "import sys, mlfound.report.drawing as d; d.draw([d.FIRST]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_dead_process_does_not_draw_is_drawn_here(processes, monkeypatch):
    here, draw = [], drawing.draw
    monkeypatch.setattr(drawing, "draw", lambda pictures: here.extend(pictures) or draw(pictures))
    processes.processes[0].kill()
    processes.processes[0].wait()
    drawn = processes.start(PICTURES)()
    assert here == PICTURES[:: len(processes.processes)]
    assert drawn == Drawing().start(PICTURES)()


def test_a_picture_that_cannot_be_drawn_is_an_error_here_too(processes):
    drawn = processes.start([Picture("bad", "schedule_curves", {"title": "no data"})])
    with pytest.raises(TypeError, match="progress"):
        drawn()


def test_no_plots_leaves_no_picture_and_no_page(mlfound):
    outcome = mlfound("normalize-check", "data.dataset=mnist-sample", "--no-plots")
    assert outcome.code == 0
    assert outcome.json("summary.json")["pictures"] == {}
    assert not list((outcome.path / "plots").iterdir())
    assert not (outcome.path / "report.html").exists()


def test_where_no_process_can_be_started_all_is_drawn_here(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    alone = Drawing(2)
    assert alone.processes == []
    assert alone.start(PICTURES)() == Drawing().start(PICTURES)()
