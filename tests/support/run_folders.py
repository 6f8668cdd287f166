"""Run folders as a run leaves them, made by hand: a thousand of them take a second, and each can be spoiled."""

import json
import struct
import zlib

import torch

from mlfound.report.tables import csv_bytes
from mlfound.results import Column, Table

EPOCHS = Table(
    "epochs",
    "Epochs",
    [
        Column("epoch"),
        Column("valid_loss"),
        Column("valid_accuracy"),
        Column("train_seconds"),
        Column("note"),
    ],
    [(1, 0.25, 0.93, 0.5, "b10"), (2, 0.0625, 0.971, 0.4, "b9"), (10, None, 0.975, 1.5, "")],
)


def make_run(
    runs_dir, name="20261123-043146-train", tables=(EPOCHS,), plots=("loss",), summary=None, **facts
):
    """A completed training; `facts` replace what run.json says, None leaves it out."""
    path = runs_dir / name
    for kind in ("tables", "plots"):
        (path / kind).mkdir(parents=True)
    stated = {
        "schema": 1,
        "id": name,
        "command": "train",
        "command_line": "mlfound train",
        "status": "completed",
        "start": "2026-11-23T04:31:46.000+00:00",
        "end": "2026-11-23T04:33:51.500+00:00",
        "dataset": {"name": "mnist", "digest": "0" * 64, "rows": {"train": 50_000}},
        "network": "784-50-10",
        "seeds": [0],
        "device": "cpu",
        "environment": {"cpu": "a processor", "packages": {"torch": "2.6"}, "git": {"commit": "abc"}},
        **facts,
    }
    write_json(path / "run.json", {key: value for key, value in stated.items() if value is not None})
    write_json(path / "summary.json", summary or SUMMARY)
    (path / "config.yaml").write_text("epochs: 10\noptimizer:\n  lr: 0.1\n")
    (path / "log.txt").write_text("mnist: 50,000 train\n")
    (path / ".lock").touch()
    for table in tables:
        (path / "tables" / f"{table.name}.csv").write_bytes(csv_bytes(table))
    for plot in plots:
        (path / "plots" / f"{plot}.png").write_bytes(png(90, 60))
    return path


SUMMARY = {
    "schema": 1,
    "metrics": {
        "test_accuracy": 0.975,
        "test_accuracy_low": 0.97,
        "test_accuracy_high": 0.98,
        "test_wrong": 250,
        "train_seconds": 125.0,
    },
    "checks": [{"name": "gradients agree", "passed": True, "value": 3e-16, "bound": 1e-10}],
    "findings": ["Test accuracy 97.50%."],
    "tables": {"epochs": "What the epochs brought"},
    "pictures": ["loss"],
}


HOSTILE = (
    "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"
    "{{ 7*7 }}\x1b[31m\u202e</style></pre>"
)


def hostile_run(tmp_path):
    """A run that says HOSTILE wherever a run can say anything."""
    table = Table("epochs", "", [Column(HOSTILE), Column("n")], [(HOSTILE, 1), ("b", 2)])
    summary = {
        "schema": 1,
        "metrics": {HOSTILE: 1, "text": HOSTILE},
        "checks": [{"name": HOSTILE, "passed": HOSTILE, "value": HOSTILE, "bound": HOSTILE}],
        "findings": [HOSTILE],
        "tables": {"epochs": HOSTILE},
        "pictures": [HOSTILE],
    }
    path = make_run(
        tmp_path, "<b>hostile & co", tables=[table], plots=["<i>plot & co\"'"], summary=summary, id=HOSTILE,
        command=HOSTILE, command_line=HOSTILE, status=HOSTILE, start=HOSTILE, device=HOSTILE, seeds=[HOSTILE],
        dataset={"name": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}}, environment={HOSTILE: HOSTILE},
    )  # fmt: skip
    (path / "config.yaml").write_text(f"a: {HOSTILE}")
    (path / "log.txt").write_text(HOSTILE)
    return path


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


def png(width, height, noise=False):
    """A grey picture; of noise, it is as large as its pixels."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    pixels = (
        torch.randint(256, (height, width + 1), generator=torch.Generator().manual_seed(0)) if noise else None
    )
    rows = b"\0" + b"\x80" * width
    raw = rows * height if pixels is None else b"".join(b"\0" + bytes(row[1:].tolist()) for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )
