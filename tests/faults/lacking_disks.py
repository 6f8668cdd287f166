"""Disks that lack a call: every command on each, under three umasks, comes to the same results and says so in a line.

What may be lacking is fsync of folders or of files, chmod, flock, links, and all of that at once.
"""

import csv
import json
import random
import re
import shutil
import stat
import time
from collections import Counter
from pathlib import Path

from mlfound.runs.find import latest
from tests.faults import shim
from tests.faults.commands import Commands, Ended
from tests.faults.report import Report
from tests.faults.training import metrics
from tests.support.made import made_up

SMALL = (
    "--set data.dataset=mnist-sample --set data.train_rows=200 --set model.hidden=[8] --set schedule=constant"
)
TRAIN = f"train {SMALL} --set epochs=2 --set checkpoint.seconds=0 --runs-dir R/runs"
SAMPLE = "--set data.dataset=mnist-sample --runs-dir R/runs"

# R stands for the root of the disk, A and B for the ids of two earlier runs on it
COMMANDS = {
    "download": "download --dataset made --from R/made --data-dir R/data --runs-dir R/runs",
    "download of a folder": "download --dataset mnist-sample --runs-dir R/runs",
    "normalize-check": f"normalize-check {SAMPLE}",
    "matmul-bench": "matmul-bench --impl matmul --shape 8x8x8 --budget 0.01 --runs-dir R/runs",
    "conv-bench": "conv-bench --impl library --shape 1x5x5-2x3x3 --budget 0.01 --runs-dir R/runs",
    "init-stats": f"init-stats --init kaiming --hidden 8 --draws 2 {SAMPLE}",
    "backprop-bench": "backprop-bench --check-only --runs-dir R/runs",
    "train": TRAIN,
    "train replicates": f"{TRAIN} --replicates 2",
    "train again": "train R/runs/A/config.yaml --runs-dir R/runs",
    "resume": "train --resume A --set epochs=3 --runs-dir R/runs",
    "resume of a crashed run": "train --resume B --runs-dir R/runs",
    "compare": "compare A B --runs-dir R/runs",
    "runs": "runs --runs-dir R/runs",
    "runs show": "runs show latest --runs-dir R/runs",
    "runs export": "runs export A --tensorboard R/events --runs-dir R/runs",
    "report": "report B --runs-dir R/runs",
    "notebook new": "notebook new R/02_mine.ipynb",
    "notebook export": "notebook export R/01_demo.ipynb",
    "notebook call": "notebook call R/exp/nb_01.py relative_change 50 60",
    "notebook test": "notebook test R/01_demo.ipynb --save --runs-dir R/runs",
}
# Those that leave a run folder
RUNS = {name for name in COMMANDS if not re.match("runs|report|notebook [^t]", name)}
QUICK = ("download", "train", "resume")  # where not all cases are tried: these make most of the calls

SAID = {
    shim.FSYNC_FOLDER: "fsync of folders",
    shim.FSYNC_FILE: "fsync of files",
    shim.CHMOD: "chmod",
    shim.FLOCK_ENOLCK: "flock",
    shim.FLOCK_ENOSYS: "flock",
}
LINKS = (shim.SYMLINK, shim.LINK)  # without them nothing is lost, and nothing is said
ALL = sum((*SAID, *LINKS))
LACKING = (0, *SAID, *LINKS, ALL - shim.FLOCK_ENOLCK, ALL - shim.FLOCK_ENOSYS)
UMASKS = (0o022, 0o077, 0o002)
LINE = re.compile(r"\S+: this file system does not support (.+) \(.+\): .+")


def trial(count: int, seed: int, folder: Path) -> Report:
    """All commands on all such disks under all umasks, if `count` is as large, or so many drawn; some are quiet."""
    started = time.perf_counter()
    chance, failures, seen = random.Random(seed), [], Counter[str]()
    with Commands(folder, shim.build(folder), folder / "disk") as commands:
        disk = Disk(commands, folder / "prepared")
        cases = [(name, lacking, umask) for name in COMMANDS for lacking in LACKING for umask in UMASKS]
        if count < len(cases):
            cases = [
                (chance.choice(QUICK), LACKING[number % len(LACKING)], chance.choice(UMASKS))
                for number in range(count)
            ]
        for name, lacking, umask in cases:
            quiet = name in RUNS and chance.random() < 0.3
            try:
                seen.update(disk.check(name, lacking, umask, quiet))
            except Exception as error:
                case = f"{name}, lacking {lacking:#b}, umask {umask:03o}{', quiet' * quiet}"
                failures.append(f"{case}: {type(error).__name__}: {error!s:.800}")
    note = "the commands missed " + ", ".join(f"{call} {times:,} times" for call, times in seen.most_common())
    return Report("disks-that-lack-a-call", len(cases), failures, seed, time.perf_counter() - started, note)


class Disk:
    """A disk with two runs, a dataset and a notebook; and what each command comes to where nothing lacks."""

    def __init__(self, commands: Commands, prepared: Path) -> None:
        self.commands, self.root, self.prepared = commands, commands.root, prepared
        self.ids: list[str] = []
        for seed in (1, 2):
            self.ids.append(Path(self.run(f"{TRAIN} --seed {seed}").out.splitlines()[-1]).name)
        self.run("notebook new R/01_demo.ipynb")
        self.run("notebook export R/01_demo.ipynb")
        (self.root / "01_demo.ipynb").chmod(0o600)
        with (self.root / "exp/nb_01.py").open("a") as module:
            module.write("# stale\n")
        made_up().write(self.root / "made")
        shutil.copytree(self.root, prepared, symlinks=True)
        files = [path for path in prepared.rglob("*") if not path.is_symlink()]
        self.modes = {path.relative_to(prepared): mode(path) for path in files}
        self.wanted: dict[str, tuple[Ended, dict[str, object]]] = {}

    def run(self, command: str, *flags: str, **fault: int) -> Ended:
        """Run a command of COMMANDS, which must succeed."""
        names = {"R": str(self.root), **dict(zip("AB", self.ids, strict=False))}
        words = re.sub(r"\b[RAB]\b", lambda found: names[found[0]], command).split()
        ended = self.commands.run(*words, *flags, **fault)
        assert ended.code == 0, f"exit code {ended.code}: {ended.err[-600:]}"
        return ended

    def start_over(self, name: str) -> None:
        """Let the disk be as it was prepared, for this command."""
        shutil.rmtree(self.root)
        shutil.copytree(self.prepared, self.root, symlinks=True)
        if "crashed" in name:
            path = self.root / "runs" / self.ids[1] / "run.json"
            path.write_text(path.read_text().replace('"completed"', '"running"'))

    def check(self, name: str, lacking: int, umask: int, quiet: bool) -> list[str]:
        """Run a command where these calls lack; those that it would have made."""
        if name not in self.wanted:
            self.start_over(name)
            ended = self.run(COMMANDS[name])
            self.wanted[name] = ended, self.results(name, ended)
        self.start_over(name)
        ended = self.run(COMMANDS[name], *["--quiet"] * quiet, lacking=lacking, umask=umask)
        usual, wanted = self.wanted[name]
        assert quiet or len(ended.out.splitlines()) == len(usual.out.splitlines()), ended.out
        found = self.results(name, ended)
        differs = {path for path in {*found, *wanted} if found.get(path) != wanted.get(path)}
        assert not differs, f"other results: {differs}"
        missed = sorted({call for bit, call in SAID.items() if ended.missed & bit})
        self.check_said(name, ended, usual, missed, quiet)
        self.check_modes(umask, bool(ended.missed & shim.CHMOD))
        return missed

    def check_said(self, name: str, ended: Ended, usual: Ended, missed: list[str], quiet: bool) -> None:
        """A line for each call that was missed, beside what is said anyway; in the log too, if quiet only there."""
        lines = ended.err.splitlines()
        notes = [line for line in lines if LINE.fullmatch(line)]
        assert sorted(LINE.fullmatch(note)[1] for note in notes) == ([] if quiet else missed), ended.err
        assert quiet or len(lines) == len(usual.err.splitlines()) + len(notes), ended.err
        assert not quiet or not lines, ended.err
        if name in RUNS:
            log = (Path(ended.out.splitlines()[-1]) / "log.txt").read_text().splitlines()
            noted = [match[1] for match in map(LINE.fullmatch, log) if match]
            assert sorted(noted) == missed, f"the log says {noted}"

    def check_modes(self, umask: int, kept_none: bool) -> None:
        """New files and folders have the umask's modes, replaced ones have kept theirs where that can be."""
        for path in self.root.rglob("*"):
            usual = (0o777 if path.is_dir() else 0o666) & ~umask
            old = self.modes.get(path.relative_to(self.root), usual)
            allowed = {old, old & ~umask} if kept_none else {old}
            assert path.is_symlink() or mode(path) in allowed, f"{path} has mode {mode(path):o}, not {old:o}"

    def results(self, name: str, ended: Ended) -> dict[str, object]:
        """What lies on the disk, by its path: the content, but for what a clock or a path said. No debris."""
        new = Path(ended.out.splitlines()[-1]).name if name in RUNS else ""
        found: dict[str, object] = {"latest": latest(self.root / "runs").name.replace(new or "-", "NEW")}
        for path in self.root.rglob("*"):
            place = str(path.relative_to(self.root)).replace(new or "-", "NEW")
            assert not re.search(r"/\.(.*-\w{8}|latest-.*|export-.*)$", f"/{place}"), f"debris: {place}"
            found[re.sub(r"tfevents.*", "tfevents", place)] = content(path)
        return found


def content(path: Path) -> object:
    """What a file says, as far as it must be the same each time."""
    if path.name == "metrics.jsonl":
        return metrics(path.parent)
    if path.name == "summary.json":
        summary = json.loads(path.read_text())
        return summary["tables"], summary["pictures"], [check["name"] for check in summary["checks"]]
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        return header, len(rows)
    lasting = path.suffix in (".safetensors", ".yaml", ".py", ".ipynb", ".png") or "ubyte" in path.name
    return path.read_bytes() if lasting and path.is_file() else None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)
