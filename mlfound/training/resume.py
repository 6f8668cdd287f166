"""May a training go on from a checkpoint? Only where it will end as if it had never stopped."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mlfound.config.documents import flat
from mlfound.config.keys import defaults
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
UNSET = {"ranks": "1"}  # what is meant where it is not noted

NO_NUMBERS = ("checkpoint", "expect")  # sections that change none


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
    if machine.ranks > 1:
        bits["ranks"] = str(machine.ranks)  # by which sums are cut in parts
    if machine.ranks > 2:
        bits["ranks"] += f" by {machine.sums}"  # which adds them up in an order of its own
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
        judged = resumed.checkpoint.facts["epoch"] and len(inputs.splits.valid.y)
        if judged and "halves" not in resumed.checkpoint.facts:
            raise UserError("its checkpoint is of an earlier mlfound; start a new run with its config.yaml")
        has, had = config.model_dump(mode="json"), resumed.checkpoint.facts["config"]
        refuse_keys(dict(flat(has)), with_new_keys(had), config)
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
        f"{name} is {has.get(name, UNSET.get(name, 'not set'))}, then {had.get(name, UNSET.get(name, 'not set'))}"
        for name in changed
    )


def with_new_keys(had: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's config by dotted keys; those that there have been since are at their defaults."""
    found, default = dict(flat(had)), dict(flat(defaults(TrainConfig, had)))
    new = {key: value for key, value in default.items() if not any(is_within(key, each) for each in found)}
    return {**new, **found}


def is_within(key: str, other: str) -> bool:
    """Whether one of two dotted keys is the other, or a key of its section."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def refuse_differences(facts: Sequence[Mapping[str, str]]) -> None:
    """A UserError where ranks, which say these in their order, would not take the same steps to the last bit."""
    for rank, has in enumerate(facts):
        for name, fact in facts[0].items():
            if has.get(name) != fact:
                advice = "give all the same data"
                if name != "dataset":
                    advice = "use machines that are alike, or write checkpoint.allow_other_bits: true"
                raise UserError(
                    f"{name} is {fact} for rank 0 and {has.get(name, 'not set')} for rank {rank}; {advice}"
                )


def refuse_keys(has: Mapping[str, Any], had: Mapping[str, Any], config: TrainConfig) -> None:
    """The config must be the checkpoint's, but for what changes no numbers, more epochs, and no early stop."""
    changed = [key for key in {**has, **had} if has.get(key) != had.get(key)]
    for key in changed:
        section = key.partition(".")[0]
        if section in NO_NUMBERS or (section == "early_stop" and config.early_stop is None):
            continue
        if key != "epochs":
            message = (
                f"{has.get(key)} where the checkpoint has {had.get(key)}: a resumed run cannot change it"
            )
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
