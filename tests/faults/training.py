"""A small training run to be disturbed, and what it must have come to in the end."""

import json
import re
import shutil
import time
from pathlib import Path

from tests.faults.commands import Commands, Ended

SETTINGS = ("data.dataset=mnist-sample", "checkpoint.seconds=0", "checkpoint.keep=2")
SHORT = ("epochs=3", "data.train_rows=500", "model.hidden=[20]")
ONE = ("epochs=12", "data.train_rows=4000", "model.hidden=[100]")
TWO = ("epochs=8", "data.train_rows=3000", "model.hidden=[60]", "replicates=2", "model.dropout=0.1")
ADAM = ("optimizer.name=adam", "model.dropout=0.3")
IN_TURN = (ONE, TWO, (*ONE, *ADAM), (*TWO, *ADAM))
CLOCKS = {"train_seconds", "eval_seconds", "images_per_s"}


class Training:
    """Runs of one config, one at a time: the first, which nothing disturbs, says what all others must come to."""

    def __init__(self, commands: Commands, *settings: str) -> None:
        self.commands, self.runs_dir = commands, commands.root / "runs"
        self.train = [
            "train",
            *(word for each in (*SETTINGS, *settings) for word in ("--set", each)),
        ]
        commands.run(*self.order())  # the first takes longer, and is not timed
        self.forget()
        started = time.perf_counter()
        commands.start(*self.order())
        run = self.wait_for_run()
        begun = time.perf_counter()
        ended = commands.end()
        self.until_begun, self.from_then = begun - started, time.perf_counter() - begun
        assert ended.code == 0, ended.err
        self.calls, self.writes = ended.calls, ended.writes
        self.weights = (run / "model.safetensors").read_bytes()
        self.rows = metrics(run)
        self.forget()

    def forget(self) -> None:
        """Let there be no run."""
        shutil.rmtree(self.runs_dir, ignore_errors=True)

    def order(self) -> list[str]:
        """The command line that takes up the run, or begins one."""
        where = ["--runs-dir", str(self.runs_dir), "--quiet"]
        run = self.run()
        return ["train", "--resume", str(run), *where] if run else [*self.train, *where]

    def resume(self) -> Ended:
        """Take up the run, or begin one, with nothing in its way."""
        ended = self.commands.run(*self.order())
        assert ended.code == 0, f"resumed: exit code {ended.code}: {ended.err[-600:]}"
        return ended

    def run(self) -> Path | None:
        """The one run that has begun."""
        begun = [path.parent for path in self.runs_dir.glob("[0-9]*/run.json")]
        assert len(begun) <= 1, f"a second run was begun: {begun}"
        return begun[0] if begun else None

    def wait_for_run(self) -> Path:
        """The run, as soon as it has begun."""
        for _ in range(30_000):
            if run := self.run():
                return run
            time.sleep(0.002)
        raise TimeoutError("no run has begun within a minute")

    def wait_for_rows(self, run: Path, count: int) -> None:
        """Until metrics.jsonl has so many rows: a row for each epoch and network."""
        for _ in range(30_000):
            path = run / "metrics.jsonl"
            if path.exists() and path.read_bytes().count(b"\n") >= count:
                return
            time.sleep(0.002)
        raise TimeoutError(f"no {count} rows within a minute")

    def check(self) -> None:
        """The run has ended as if nothing had been, every epoch once, and left nothing lying about."""
        run = self.run()
        assert run is not None, "there is no run"
        facts = json.loads((run / "run.json").read_text())
        assert facts["status"] == "completed", facts
        assert (run / "model.safetensors").read_bytes() == self.weights, "other weights"
        assert metrics(run) == self.rows, f"other metrics: {metrics(run)}"
        debris = [path.name for path in run.rglob(".*-????????")]
        assert not debris, f"debris: {debris}"
        assert json.loads((run / "summary.json").read_text())["metrics"], "no summary"
        assert "passed over" not in (run / "log.txt").read_text(), "a checkpoint was damaged"

    def check_refusal(self, ended: Ended) -> None:
        """It ended with one line and nothing else, which names a file that the user knows, not a temporary one."""
        assert ended.code in (1, 2), f"exit code {ended.code}"
        assert not ended.out, ended.out
        assert re.fullmatch(r"[^\n]+\n", ended.err), f"not one line: {ended.err[-600:]!r}"
        assert re.match(rf"(--runs-dir )?{re.escape(str(self.runs_dir))}.*: ", ended.err), (
            f"where? {ended.err!r}"
        )
        assert not re.search(r"/\.[^/:]*-........:", ended.err), f"a temporary file: {ended.err!r}"


def metrics(run: Path) -> list[dict[str, float]]:
    """What metrics.jsonl says, but for what a clock said."""
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in row.items() if name not in CLOCKS} for row in rows]
