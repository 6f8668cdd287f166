"""May a training go on from a checkpoint? Only where it will end as if it had never stopped."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from mlfound.config.documents import flat
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.foundations.schedules import is_constant
from mlfound.native import compiling
from mlfound.results import Context
from mlfound.training.inputs import Inputs
from mlfound.training.machine import Machine
from mlfound.training.plan import pieces

# Each makes oneDNN, MKL, OpenBLAS or CUDA choose another kernel, which rounds in another order
KERNEL_VARIABLES = (
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE",
    "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "OPENBLAS_CORETYPE", "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG",
)  # fmt: skip


def what_decides_bits(machine: Machine, environment: Mapping[str, Any]) -> dict[str, str]:
    """All besides config and data on which the last bits of a result depend, for `run.json`."""
    bits = {
        "torch": torch.__version__,
        "cpu": f"{environment['cpu']} ({environment['cpu_id']})",
        "instructions": torch.backends.cpu.get_cpu_capability(),  # the CPU's, or those of ATEN_CPU_CAPABILITY
    }
    if machine.device.type == "cuda":
        bits["gpu"] = torch.cuda.get_device_name(machine.device)
    if machine.engine == "native":
        bits["compiled"] = compiling.digest()  # its compiler and the CPU decide none of the engine's bits
    return bits | {name: os.environ[name] for name in KERNEL_VARIABLES if name in os.environ}


def refuse_changes(config: TrainConfig, inputs: Inputs, bits: Mapping[str, str], context: Context) -> None:
    """A UserError that says what differs from when the checkpoint was written, and what to do."""
    resumed = context.resumed
    assert resumed is not None, "nothing to go on from"
    now, then = inputs.facts["digest"], resumed.facts["dataset"]["digest"]
    if now != then:
        raise UserError(
            f"the data is not what this run was begun with (digest {now[:12]}, then {then[:12]})",
            key="data.dataset",
        )
    version, then = (
        each["packages"]["mlfound"] for each in (context.environment, resumed.facts["environment"])
    )
    if version != then:
        raise UserError(
            f"mlfound is {version}, and the run was begun with {then}; install that version, "
            "or start a new run with its config.yaml"
        )
    if resumed.checkpoint is not None:
        if resumed.checkpoint.facts["epoch"] and "halves" not in resumed.checkpoint.facts:
            raise UserError("its checkpoint is of an earlier mlfound; start a new run with its config.yaml")
        has, had = config.model_dump(mode="json"), resumed.checkpoint.facts["config"]
        refuse_keys(dict(flat(has)), dict(flat(had)), config)
    if other := other_bits(bits, resumed.facts.get("bits") or {}):
        if not config.checkpoint.allow_other_bits:
            message = (
                f"{other}: the last bits may differ; set it back, or write true to go on with other bits"
            )
            raise UserError(message, key="checkpoint.allow_other_bits")
        context.recorder.message(f"{other}: the last bits may differ from those of an uninterrupted run.")


def other_bits(has: Mapping[str, str], had: Mapping[str, str]) -> str:
    """What decides the bits and is not as it was, in words."""
    changed = [name for name in {**has, **had} if has.get(name) != had.get(name)]
    return ", ".join(
        f"{name} is {has.get(name, 'not set')}, then {had.get(name, 'not set')}" for name in changed
    )


def refuse_keys(has: Mapping[str, Any], had: Mapping[str, Any], config: TrainConfig) -> None:
    """The config must be the checkpoint's, but for what does not touch the numbers, and for more epochs."""
    changed = [key for key in has if has[key] != had.get(key) and not key.startswith("checkpoint.")]
    for key in changed:
        if key != "epochs":
            message = f"{has[key]} where the checkpoint has {had.get(key)}: a resumed run cannot change it"
            raise UserError(f"{message}; leave it out, or start a new run", key=key)
        if not is_constant(pieces(config.schedule)):
            schedule = config.schedule if isinstance(config.schedule, str) else "of this config"
            raise UserError(
                f"the steps so far followed the schedule {schedule} over {had[key]} epochs; "
                "only a constant schedule can be trained further",
                key=key,
            )
        if has[key] < had[key]:
            raise UserError(f"this run was to have {had[key]} epochs; write more", key=key)
