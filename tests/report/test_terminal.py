import io
import itertools
import sys

import pytest
from rich.console import Console

from mlfound.report import terminal
from mlfound.report.terminal import Progress, screen, show
from mlfound.results import Check, Column, Result, Table

RESULT = Result(
    metrics={},
    checks=[
        Check("gradients agree with autograd", True, 3.1e-15, 1e-10),
        Check("mean is [bold]near[/bold] zero", False, 0.0123456, 1e-3),
    ],
    findings=[
        "Validation loss was lowest after epoch 7 of 10 and rose from there on: a sign of overfitting.",
        "Kept in \x1b[31mruns[/nothing]\x07.",
    ],
    tables=[
        Table(
            "epochs",
            "Epochs",
            [Column("epoch"), Column("loss", "training loss", ".4f"), Column("verdict")],
            [[1, 0.42, "falls"], [2, 1234.5, "[red]rises\x1b[2J"], [10, None, "–"]],
        ),
        Table("steps", "Too long for the screen", [Column("step")], [[1]], shown="never"),
    ],
)


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def lines(result: Result, width: int = 80, tty: bool = True) -> list[str]:
    out = io.StringIO()
    show(result, Console(file=out, width=width, force_terminal=tty, color_system=None))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def table(**columns: object) -> Result:
    """A result with one table of one row."""
    return Result(
        {}, tables=[Table("any", "Any", [Column(name) for name in columns], [list(columns.values())])]
    )


def test_very_many_checks_are_counted_and_those_that_failed_are_listed() -> None:
    checks = [Check(f"check {number}", number != 7, 1.0, 2.0) for number in range(50)]
    assert lines(Result({}, checks=checks)) == [
        "✓ 49 of 50 checks passed; summary.json lists them",
        "✗ check 7: 1 (bound 2)",
    ]
    assert len(lines(Result({}, checks=checks[:20]))) == 20


def test_a_failed_check_does_not_look_as_if_it_were_at_its_bound() -> None:
    checks = [Check("accuracy", passed, 0.9798, 0.98) for passed in (False, True)]
    assert lines(Result({}, checks=checks)) == [
        "✗ accuracy: 0.9798 (bound 0.98)",
        "✓ accuracy: 0.98 (bound 0.98)",
    ]


def test_a_result_on_a_terminal_of_80_columns() -> None:
    assert lines(RESULT) == [
        "Epochs",
        "epoch  training loss  verdict",
        "─" * 39,
        "    1         0.4200  falls",
        "    2      1234.5000  [red]rises\\x1b[2J",
        "   10              –  –",
        "",
        "✓ gradients agree with autograd: 3.1e-15 (bound 1e-10)",
        "✗ mean is [bold]near[/bold] zero: 0.0123 (bound 0.001)",
        "",
        "Validation loss was lowest after epoch 7 of 10 and rose from there on: a sign of",
        "overfitting.",
        "Kept in \\x1b[31mruns[/nothing]\\x07.",
    ]


def test_without_a_terminal_nothing_is_wrapped_or_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    words = "word " * 60
    show(Result({}, findings=[words + "end"], tables=table(a=words + "end", b=12345).tables), screen())
    out = capsys.readouterr().out

    assert "\x1b" not in out
    assert out.splitlines()[3] == f"{words}end  12345"
    assert out.splitlines()[-1] == f"{words}end"


def test_where_the_encoding_has_no_check_mark_a_word_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console = screen()
    show(RESULT, console)
    console.file.flush()

    assert b"ok gradients agree" in raw.getvalue()
    assert b"FAILED mean is" in raw.getvalue()


def progress(monkeypatch: pytest.MonkeyPatch, seconds_a_call: float) -> tuple[Progress, Tty]:
    """On a terminal, with a clock that moves so much at every look."""
    clock = itertools.count(start=1.0, step=seconds_a_call)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    out = Tty()
    return Progress(Console(file=out, width=80, force_terminal=True)), out


def test_progress_shows_label_share_and_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, out = progress(monkeypatch, seconds_a_call=1)
    bar.update("training", 1, 4, {"loss": "0.123", "accuracy": "97.1%"})

    assert "training" in out.getvalue()
    assert " 25%" in out.getvalue()
    assert "loss 0.123  accuracy 97.1%" in out.getvalue()
    bar.stop()


def test_progress_leaves_the_terminal_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, out = progress(monkeypatch, seconds_a_call=1)
    bar.update("training", 1, 4, {})
    bar.stop()
    bar.stop()

    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") == 1  # cursor hidden, shown
    assert out.getvalue().endswith("\x1b[2K")  # the bar's line erased


def test_progress_leaves_stdout_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = sys.stdout
    bar, _ = progress(monkeypatch, seconds_a_call=1)
    bar.update("training", 1, 4, {})

    assert sys.stdout is stdout
    bar.stop()


def test_progress_touches_the_screen_ten_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, out = progress(monkeypatch, seconds_a_call=0.001)
    for step in range(1000):
        bar.update("training", step, 1000, {})

    assert 8 <= out.getvalue().count("training") <= 12
    bar.update("training", 1000, 1000, {})
    assert "100%" in out.getvalue()
    bar.stop()


def test_a_new_label_begins_a_new_bar_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, out = progress(monkeypatch, seconds_a_call=0)
    bar.update("downloading", 1, 0, {})  # of how many is not known
    assert "%" not in out.getvalue()
    bar.update("training", 1, 2, {})

    assert "downloading" in out.getvalue()
    assert "training" in out.getvalue()
    bar.stop()


def test_progress_takes_no_markup_and_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, out = progress(monkeypatch, seconds_a_call=1)
    bar.update("[red]a\x07", 1, 2, {"b[/]": "\x1b[2J"})

    assert "[red]a\\x07" in out.getvalue()
    assert "50%  b[/] \\x1b[2J" in out.getvalue()
    bar.stop()


@pytest.mark.parametrize("color", ["", "1"])
def test_progress_is_silent_without_a_terminal(monkeypatch: pytest.MonkeyPatch, color: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", color)
    out = io.StringIO()
    bar = Progress(Console(file=out))
    bar.update("training", 1, 2, {})
    bar.stop()

    assert out.getvalue() == ""
