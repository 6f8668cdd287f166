"""The types of config values, and the base class of every section.

A field's description completes the sentence "write ..."; for a Literal it is made from the choices.
"""

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

Count = Annotated[int, Field(ge=1, description="a whole number, 1 or more")]
Units = Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1, description=f"a whole number from 0 to {2**63 - 1}")]
Number = Annotated[float, Field(description="a number")]
Positive = Annotated[float, Field(gt=0, description="a number above 0")]
NotNegative = Annotated[float, Field(ge=0, description="a number, 0 or more")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="a number from 0 to below 1")]
Rate = Annotated[float, Field(ge=0, lt=1, description="a fraction from 0 to below 1")]
Flag = Annotated[bool, Field(description="true or false")]

# On one line, without control characters.
Text = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$")]


def anywhere(path: str) -> str:
    """An absolute path: a run's `config.yaml` must mean the same files from any folder."""
    return os.path.abspath(os.path.expanduser(path))


def dataset_or_folder(name: str) -> str:
    """The name of a data set unchanged; the path of a folder made absolute."""
    if name in DATASETS:
        return name
    is_path = {"/", os.sep} & set(name) or os.path.isdir(os.path.expanduser(name))
    return anywhere(name) if is_path else name


DATASETS = ("mnist", "fashion-mnist", "mnist-sample")  # those that data/registry.py knows
Dataset = Annotated[
    Text, AfterValidator(dataset_or_folder), Field(description="a name that mlfound download --list shows")
]
Device = Annotated[
    str, Field(pattern="^(auto|cpu|cuda(:[0-9]{1,3})?|mps)$", description="auto, cpu, cuda, cuda:N or mps")
]
Threads = Annotated[
    Literal["auto"] | Annotated[int, Field(ge=1, le=1024)],
    Field(description="auto or a whole number from 1 to 1024"),
]

Hidden = Annotated[
    tuple[Units, ...],
    Field(
        strict=False,  # YAML has lists, we keep tuples
        max_length=1000,
        description="a list of at most 1000 layers of 1 to 1000000 units, as in [100, 50]",
    ),
]
Replicates = Annotated[
    int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000, the number of seeds")
]

Init = Literal[
    "normal", "small", "xavier", "glorot-normal", "glorot-uniform", "kaiming", "kaiming-uniform",
    "kaiming-fan-out", "torch-default", "orthogonal",
]  # fmt: skip


class Config(BaseModel):
    """Refuses unknown keys, strings and booleans for numbers, infinities; an int may stand for a float."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def clash(message: str, *keys: str) -> PydanticCustomError:
    """The error for valid `keys` that exclude each other; it is reported at the one that was set last."""
    return PydanticCustomError("clash", message, {"keys": keys})


def fields(model: type[Config], above: str = "") -> dict[str, FieldInfo]:
    """The fields of `model` by dotted key, each section before its keys."""
    found = {}
    for name, field in model.model_fields.items():
        key = f"{above}{field.alias or name}"
        found[key] = field
        if section := section_of(field):
            found |= fields(section, f"{key}.")
    return found


def section_of(field: FieldInfo) -> type[Config] | None:
    """The model of a section such as `optimizer`; None for a key that holds a value."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Config) else None
