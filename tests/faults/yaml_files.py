"""Hostile YAML, as a user's config: exit code 2 and one printable line; nothing is run, nothing is written."""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from mlfound.config.documents import MAX_CONFIG_BYTES
from tests.faults.report import Report
from tests.faults.watched import watch
from tests.support.commands import mlfound, refused

CANARY = "canary"


def import_all() -> None:
    """What a command imports late: without a config, and with a word that is no file."""
    mlfound("train", "--print-config")
    mlfound("train", "nowhere")


def trial(count: int, seed: int, folder: Path) -> Report:
    """The whole corpus, whatever the count: nothing in it is drawn."""
    started = time.perf_counter()
    assert len(CORPUS) >= count
    assert len(set(CORPUS.values())) == len(CORPUS), "one file twice"
    watched = watch(case, [(name,) for name in CORPUS], ready=import_all)
    return Report("yaml", len(CORPUS), watched.failures, seed, time.perf_counter() - started, str(watched))


def case(name: str) -> str:
    content = CORPUS[name]
    with tempfile.TemporaryDirectory() as own:
        os.chdir(own)
        Path("bad.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        line = refused(mlfound("train", "bad.yaml", "--print-config"))
        assert line.startswith("bad.yaml:"), f"it does not say where: {line!r}"
        assert os.listdir(own) == ["bad.yaml"], f"written: {os.listdir(own)}"
    return "refused"


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

CORPUS: Mapping[str, str | bytes] = {
    "call": f'epochs: !!python/object/apply:os.system ["touch {CANARY}"]\n',
    "call of a key": f'? !!python/object/apply:os.system ["touch {CANARY}"]\n: 1\n',
    "new object": f"!!python/object/new:os.system [touch {CANARY}]\n",
    "subprocess": f"epochs: !!python/object/apply:subprocess.Popen [[touch, {CANARY}]]\n",
    "evaluated": f"epochs: !!python/object/apply:eval [\"open('{CANARY}', 'w')\"]\n",
    "name": "epochs: !!python/name:os.system\n",
    "module": "epochs: !!python/module:antigravity\n",
    "own tag": "%TAG ! tag:yaml.org,2002:python/\n---\nepochs: !object/apply:os.system [touch canary]\n",
    "verbatim tag": "epochs: !<tag:yaml.org,2002:python/object/apply:os.system> [touch canary]\n",
    "binary": "epochs: !!binary aGVsbG8=\n",
    "set": "epochs: !!set {1, 2}\n",
    "billion laughs": BOMB,
    "bomb of merges": "a: &a {x: 1}\nb: {<<: [*a, *a, *a]}\n",
    "alias to itself": "a: &a [*a]\n",
    "alias of nothing": "epochs: *nothing\n",
    "deep lists": "[" * MAX_CONFIG_BYTES,
    "deep mappings": "{a: " * (MAX_CONFIG_BYTES // 4),
    "deep blocks": "- " * (MAX_CONFIG_BYTES // 2),
    "deep keys": "? " * (MAX_CONFIG_BYTES // 2),
    "long int": "epochs: " + "9" * 60_000,
    "long negative int": "seed: -" + "9" * 60_000,
    "long exponent": "optimizer: {lr: 1e" + "9" * 60_000 + "}",
    "long hex": "epochs: 0x" + "f" * 60_000,
    "sexagesimal": "epochs: " + ":".join(["59"] * 20_000),
    "long list": "model: {hidden: [" + "1," * 30_000 + "]}",
    "long bad list": "model: {hidden: [" + "0," * 30_000 + "]}",
    "many keys": "".join(f"k{number}: 1\n" for number in range(6_000)),
    "long key": "k" * 60_000 + ": 1\n",
    "long anchor": "&" + "a" * 60_000 + " b: 1\n",
    "long tag": "!" + "a" * 60_000 + " b: 1\n",
    "long tag handle": "!" + "a" * 60_000 + "!b c: 1\n",
    "escapes in a tag handle": "!\u202e!b c: 1\n",
    "NUL": "epochs: 3\x00\n",
    "escapes": 'epochs: "\\e]0;owned\\a\\e[2J\\r\\n\\u202e"\n',
    "escapes in a key": '"\\e[2J": 1\n',
    "escapes, raw": "epochs: \x1b[2J\n",
    "C1 escapes": "epochs: '\u009b2J'\n".encode(),
    "lone surrogate": 'data: {dataset: "\\ud800"}\n',
    "beyond Unicode": 'data: {dataset: "\\UFFFFFFFF"}\n',
    "line separators": "data: {dataset: 'a\u2028b\u2029c\u0085d'}\n",
    "climbing name": "data: {dataset: ../../../etc/passwd\x07}\n",
    "markers": "---\nepochs: 3\n---\nepochs: 4\n",
    "tabs": "optimizer:\n\tlr: 1\n",
    "Latin-1": "data: {dataset: é}\n".encode("latin-1"),
    "UTF-16": "epochs: 3\n".encode("utf-16"),
    "UTF-32": "epochs: 3\n".encode("utf-32"),
    "overlong UTF-8": b"epochs: \xc0\xaf\n",
    "surrogates in UTF-8": b"epochs: \xed\xa0\x80\n",
    "BOM in the middle": "epochs: \ufeff3\n",
    "two BOMs": "\ufeff\ufeffepochs: 3\n",
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00",
    "too large": b"epochs: 3\n" + b"#" * MAX_CONFIG_BYTES,
    "call of a list": "model: {hidden: !!python/tuple [!!python/object/apply:os.system [touch canary]]}\n",
    "call in a flow": "{epochs: !!python/object/apply:os.system [touch canary]}\n",
    "call below a section": "optimizer: !!python/object/apply:os.system [touch canary]\n",
    "call with a state": "epochs: !!python/object/new:type {args: [x, [], {extend: !!python/name:exec }]}\n",
    "object of ours": "epochs: !!python/object:mlfound.errors.UserError {}\n",
    "tag of a string": "epochs: !!str 3\n",
    "tag of an int": "epochs: !!int 3\n",
    "tag of a float": "optimizer: {lr: !!float 1}\n",
    "tag of a timestamp": "epochs: !!timestamp 2026-11-23\n",
    "tag of an ordered map": "epochs: !!omap [{a: 1}]\n",
    "tag that says nothing": "epochs: ! 3\n",
    "tag of a merge": "!!merge <<: {epochs: 3}\n",
    "tag with an escape": "epochs: !a%1B%5B2J 3\n",
    "tag that is not UTF-8": "epochs: !%ff%fe 3\n",
    "unknown tag handle": "epochs: !x!y 3\n",
    "tag directive twice": "%TAG ! a:\n%TAG ! b:\n---\nepochs: 3\n",
    "version directive twice": "%YAML 1.1\n%YAML 1.1\n---\nepochs: 3\n",
    "version to come": "%YAML 9999999999999999999999.1\n---\nepochs: 3\n",
    "unfinished directive": "%YAML\n---\nepochs: 3\n",
    "include": "%INCLUDE /etc/passwd\nepochs: !include /etc/passwd\n",
    "merge": "<<: {epochs: 3}\n",
    "merge of a list": "<<: [{epochs: 3}, {seed: 1}]\n",
    "anchor of a key": "&a epochs: 3\n",
    "anchor of the document": "--- &a\nepochs: 3\n",
    "alias as a key": "epochs: &a 3\n*a : 4\n",
    "anchor with an escape": "epochs: &\u00e9 3\n",
    "same key twice": "epochs: 3\nepochs: 4\n",
    "same key twice, once quoted": 'epochs: 3\n"epochs": 4\n',
    "same key twice, in a section": "optimizer: {lr: 1, lr: 2}\n",
    "same section twice": "optimizer: {lr: 1}\noptimizer: {momentum: 0}\n",
    "list as a key": "[epochs]: 3\n",
    "mapping as a key": "{epochs: 3}: 3\n",
    "number as a key": "3: 3\n",
    "null as a key": "~: 3\n",
    "empty key": '"": 3\n',
    "true as a key": "true: 3\n",
    "key with a dot": "optimizer.lr: 3\n",
    "key with a blank": "epochs : 3\nseed x: 1\n",
    "key with a path": "../../canary: 3\n",
    "key of another alphabet": "\u0435pochs: 3\n",
    "key written from right to left": '"\\u202eshcope": 3\n',
    "Python's own names": "__class__: 3\n",
    "pydantic's own names": "model_config: {extra: allow}\n",
    "key beside a key's value": "epochs: {__root__: 3}\n",
    "infinity": "optimizer: {lr: .inf}\n",
    "infinity by exponent": "optimizer: {lr: 1e999}\n",
    "not a number": "optimizer: {lr: .nan}\n",
    "not a number, as Python writes it": "optimizer: {lr: nan}\n",
    "octal": "epochs: 0o17\n",
    "octal, old": "epochs: 017\n",
    "binary number": "epochs: 0b11\n",
    "underscores": "epochs: 1_0\n",
    "digits of another alphabet": "epochs: \u0663\n",
    "a date": "epochs: 2026-11-23\n",
    "a time": "epochs: 12:30:45\n",
    "yes": "optimizer: {nesterov: yes}\n",
    "true for a number": "epochs: true\n",
    "a word for a number": "epochs: ten\n",
    "a number in quotes": 'epochs: "10"\n',
    "a whole float for an int": "epochs: 10.0\n",
    "nothing for a number": "epochs:\n",
    "a list for a number": "epochs: [3]\n",
    "a mapping for a number": "epochs: {n: 3}\n",
    "a number for a section": "optimizer: 3\n",
    "a list for a section": "optimizer: [lr, 3]\n",
    "nothing for a section": "optimizer:\n",
    "a list for the config": "[epochs, 3]\n",
    "a word for the config": "epochs\n",
    "a number beyond any": "seed: 9223372036854775808\n",
    "below zero": "seed: -1\n",
    "a million layers": "model: {hidden: [" + "1," * 1_001 + "]}\n",
    "a layer of 10 ** 99": "model: {hidden: [1" + "0" * 99 + "]}\n",
    "nested lists": "model: {hidden: [[50]]}\n",
    "device of a path": "device: cuda:../../canary\n",
    "device with a newline": 'device: "cpu\\n"\n',
    "dataset with a newline": 'data: {dataset: "mnist\\n"}\n',
    "dataset with a NUL": 'data: {dataset: "mnist\\0"}\n',
    "dataset from right to left": 'data: {dataset: "\\u202etsinm"}\n',
    "dataset of 10,000 letters": "data: {dataset: " + "m" * 10_000 + "}\n",
    "dataset of nothing": "data: {dataset: ''}\n",
    "block without end": "epochs: |\n  3\n",
    "folded text": "epochs: >-\n  3\n",
    "block of a million newlines": "epochs: |" + "\n" * 60_000,
    "quote without end": 'epochs: "3\n',
    "bracket without end": "epochs: [3\n",
    "escape that is none": 'epochs: "\\q"\n',
    "comment alone": "# epochs: 3\n",
    "marker alone": "---\n",
    "end alone": "...\n",
    "document, then words": "epochs: 3\n...\nseed: 1\n",
    "empty document behind": "epochs: 3\n---\n",
    "indented wrongly": "epochs: 3\n seed: 1\n",
    "dashes": "- epochs: 3\n",
    "JSON twice": '{"epochs": 3}{"epochs": 4}\n',
    "INI": "[train]\nepochs = 3\n",
    "template": "epochs: {{ 7 * 7 }}\n",
    "shell": "epochs: $(touch canary)\n",
    "format string": "data: {dataset: '{0.__class__}'}\nepochs: '%s%n'\n",
    "page": "<html><script>alert(1)</script></html>\n",
    "ELF": b"\x7fELF\x02\x01\x01" + bytes(100),
    "UTF-16 without a mark": "epochs: 3\n".encode("utf-16-le"),
    "UTF-7": b"epochs: +ADM-\n",
    "line ends of old Macs and NEL": "epochs: 3\rseed: -1\u0085".encode(),
    "nothing but blanks": "\n" * 60_000,
}
