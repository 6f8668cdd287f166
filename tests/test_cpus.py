"""What a training draws and prepares is the same bits on every CPU; here by the code that libraries have for others.

A CPU by Intel has more code of its own in MKL, which cannot run on one by another vendor.
"""

import json
import os
import subprocess
import sys

import pytest
import torch

# as old a CPU as torch has code for, and MKL; one without AVX-512; and as new a one as this is
CAPABILITIES = {
    "DEFAULT": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX512": {"ATEN_CPU_CAPABILITY": "avx512"},
}

# the first digits of digests, with torch 2.13 on an AMD EPYC 9004
PINNED = {
    "kaiming": "a1a397e0cf1e446e",
    "glorot-uniform": "ecd32b0f80e2f599",
    "orthogonal": "53dbba28b87dbaad",
    "order": "d3d79219e061c8a3",
    "masks": "d2f06a2ee163e1f9",
    "images, global": "c497b206c76951d1",
    "images, pixel": "0d31d7c424104622",
}


@pytest.mark.slow  # a process for each kind of CPU
def test_what_a_training_draws_and_prepares_is_the_same_bits_on_every_cpu():
    here = torch.backends.cpu.get_cpu_capability()
    if here not in ("AVX2", "AVX512"):
        pytest.skip(f"needs a CPU with AVX2; torch runs its code for {here}")
    names = list(CAPABILITIES)[: list(CAPABILITIES).index(here) + 1]
    found = {name: digests(**CAPABILITIES[name]) for name in names}
    assert [found[name].pop("capability") for name in names] == names
    parts = found[here]
    assert {part for name in names for part in parts if found[name][part] != parts[part]} == set()
    assert parts["masks"] == parts["masks of the kernel"]
    assert {part: parts[part][:16] for part in PINNED} == PINNED


def digests(**environment):
    command = [sys.executable, "-m", "tests.support.digests"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
