"""Checkpoints of a run: generations of one tensor file and one manifest, never changed once they are written.

`000007.safetensors` holds the tensors; `000007.json` comes after it and makes the generation count. A generation is
whole when its manifest is, byte for byte, what would be written for what the two files hold.
"""

import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, stack

from mlfound.errors import UserError
from mlfound.files import read_plain, sync_folder, write_whole
from mlfound.results import Checkpoint
from mlfound.runs.plain_files import read_json

SCHEMA = 1
MAX_MANIFEST_BYTES = 16 * 1024 * 1024  # some hundred bytes a tensor
FILE = re.compile(r"([0-9]{6}|[1-9][0-9]{6,})\.(json|safetensors)")


class Checkpoints:
    """What the run with the id `run` keeps in `folder`.

    store = Checkpoints(path / "checkpoints", "20261123-043146-train")
    store.write(Checkpoint(tensors, facts), keep=3, best=True)
    store.newest(print)  # that checkpoint, the same to the last bit, its tensors on the CPU
    """

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, self.run = folder, run
        self.damaged: set[int] = set()  # generations that `newest` passed over

    def write(self, checkpoint: Checkpoint, keep: int, best: bool = False) -> None:
        """One more generation, durable when this returns. Only then older ones go: the last `keep` and the best stay.

        FloatingPointError, with the tensor's name, for a number that is not finite: then nothing is written.
        OSError when the disk fails: the earlier generations are as they were.
        """
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
        for name, tensor in tensors.items():
            if tensor.numel() and not stack(tensor.aminmax()).isfinite().all():  # 40 times as fast as of each
                raise FloatingPointError(name)
        facts = json.loads(encode(checkpoint.facts))  # as they will be read: each tuple a list
        number = max(self.generations(), default=0) + 1
        data = save(tensors)
        manifest = self.manifest(number, best, facts, tensors, data)
        if len(manifest) > MAX_MANIFEST_BYTES:
            raise ValueError(f"facts of {len(manifest):,} bytes are too many for a manifest")

        self.folder.mkdir(exist_ok=True)
        sync_folder(self.folder.parent)
        write_whole(self.path(number, "safetensors"), data)
        write_whole(self.path(number, "json"), manifest)
        self.remove_old(keep)

    def newest(self, message: Callable[[str], None]) -> Checkpoint | None:
        """The newest generation that is whole, None if none was ever written.

        `message` gets a line for each one that is passed over; UserError if there are some and none is whole.
        """
        generations = sorted(self.generations("json"), reverse=True)
        for number in generations:
            try:
                return self.read(number)
            except UserError as error:
                self.damaged.add(number)
                message(f"{error}; this checkpoint is passed over")
        if generations:
            raise UserError(
                f"{self.folder}: no checkpoint in it is whole; "
                f"start a new run with mlfound train {self.folder.parent / 'config.yaml'}"
            )
        return None

    def of_epoch(self, epoch: int) -> Checkpoint:
        """The newest generation of this epoch's end; UserError if there is none, or if a newer one is damaged."""
        for number in sorted(self.generations("json"), reverse=True):
            checkpoint = self.read(number)
            if (checkpoint.facts["epoch"], checkpoint.facts["step"]) == (epoch, 0):
                return checkpoint
        raise UserError(f"{self.folder}: no checkpoint of epoch {epoch}")

    def read(self, number: int) -> Checkpoint:
        """This generation, if it is whole; UserError says which file is not."""
        path = self.path(number, "json")
        text = read_plain(path, MAX_MANIFEST_BYTES)
        try:
            content = json.loads(text)
            data = read_plain(self.path(number, "safetensors"), content["bytes"])
            if sha256(data).hexdigest() != content["sha256"]:
                raise UserError(f"{self.path(number, 'safetensors')}: damaged")
            tensors, facts = load(data), dict(content["facts"])
            if self.manifest(number, content["best"], facts, tensors, data) == text:
                return Checkpoint(tensors, facts)
        except (ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
            raise UserError(f"{path}: damaged") from error
        raise UserError(f"{path}: damaged, or of another run")

    def manifest(
        self, number: int, best: bool, facts: Mapping[str, Any], tensors: Mapping[str, Tensor], data: bytes
    ) -> bytes:
        """The JSON beside the tensor file `data`, with a digest of that and one of all it says itself."""
        content = {
            "schema": SCHEMA,
            "run": self.run,
            "generation": number,
            "best": best,
            "facts": facts,
            "tensors": {name: [str(tensor.dtype), *tensor.shape] for name, tensor in tensors.items()},
            "bytes": len(data),
            "sha256": sha256(data).hexdigest(),
        }
        return encode({**content, "manifest_sha256": sha256(encode(content)).hexdigest()})

    def remove_old(self, keep: int) -> None:
        """Remove all generations but the last `keep` and the best, and the halves that a broken write left.

        A manifest goes before its tensors: what is cut short between them is no generation any more.
        """
        whole = sorted(self.generations("json") - self.damaged)
        kept = {*whole[-keep:], max(filter(self.is_best, whole), default=None)}
        for number in self.generations() - kept:
            self.path(number, "json").unlink(missing_ok=True)
            self.path(number, "safetensors").unlink(missing_ok=True)

    def is_best(self, number: int) -> bool:
        """Whether this generation was written as the best so far."""
        try:
            return read_json(self.path(number, "json")).get("best") is True
        except UserError:
            return False

    def generations(self, *kinds: str) -> set[int]:
        """The generations that have a file of one of these kinds, or any file."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        found = [match for match in map(FILE.fullmatch, names) if match]
        return {int(match[1]) for match in found if not kinds or match[2] in kinds}

    def path(self, number: int, kind: str) -> Path:
        return self.folder / f"{number:06}.{kind}"


def encode(content: Mapping[str, Any]) -> bytes:
    """The one way to write these values as JSON; ValueError for a number that is not finite."""
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False).encode()
