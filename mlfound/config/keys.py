"""The types of config values, and the base class of every section.

A field's description completes the sentence "write ..."; for a choice of words it is made from these.
"""

import os
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mlfound import ladders

Count = Annotated[int, Field(ge=1, description="a whole number, 1 or more")]
Units = Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1, description=f"a whole number from 0 to {2**63 - 1}")]
Number = Annotated[float, Field(description="a number")]
Positive = Annotated[float, Field(gt=0, description="a number above 0")]
NotNegative = Annotated[float, Field(ge=0, description="a number, 0 or more")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="a number from 0 to below 1")]
Rate = Annotated[float, Field(ge=0, lt=1, description="a fraction from 0 to below 1")]
Limit = Annotated[float | None, Field(gt=0, description="a number above 0, or null for no limit")]
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


class OneOf:
    """Allows a string field these words only, which need not be written out as in a Literal."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.words))


def rung(file: str, ladder: str, *others: str) -> OneOf:
    """Allows the names on a ladder, after `others`."""
    return OneOf(*others, *ladders.names(file, ladder))


DATASETS = ladders.names("data/registry.py", "DATASETS")
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

INITIALIZATIONS = ladders.names("foundations/initialization.py", "INITIALIZATIONS")
_OF_MODELS = "foundations/model_initialization.py"
Init = Annotated[
    str,
    OneOf(*INITIALIZATIONS, *ladders.names(_OF_MODELS, "FITTED"), *ladders.names(_OF_MODELS, "BY_MODEL")),
]


class Config(BaseModel):
    """Refuses unknown keys, strings and booleans for numbers, infinities; an int may stand for a float.

    A section that is given whole sets the keys in it, beside those of the file, unless it `replaces` the file's.
    """

    replaces: ClassVar[bool] = False
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def clash(message: str, *keys: str) -> PydanticCustomError:
    """The error for valid `keys` that exclude each other; it is reported at the one that was set last.

    Without keys it is one of the whole section.
    """
    return PydanticCustomError("clash", message, {"keys": keys})


class Kind(Config):
    """A section that comes in several kinds; its key `name` says which."""

    name: str


class Kinds:
    """Marks a section that is one of several kinds: a Kind, or a union of them. Without a `name` it is the first.

    optimizer: Annotated[SGDConfig | AdamConfig, Kinds()] = SGDConfig()
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schemas = {name_of(kind): handler.generate_schema(kind) for kind in members(source)}
        first = next(iter(schemas))

        def chosen(value: Any) -> str:
            named = value.get("name", first) if isinstance(value, Mapping) else getattr(value, "name", first)
            return str(named)

        return core_schema.tagged_union_schema(schemas, chosen)


def members(annotation: Any) -> tuple[type[Config], ...]:
    """The classes of a section's kinds, the default first; none for what is no section. A section may be null."""
    found = (annotation,) if isinstance(annotation, type) else get_args(annotation)
    found = tuple(each for each in found if each is not NoneType)
    return found if all(isinstance(each, type) and issubclass(each, Config) for each in found) else ()


def item_section(annotation: Any) -> type[Config] | None:
    """The class of the sections in a list of them; None for what is no such list."""
    inner = get_args(annotation)
    if get_origin(annotation) is tuple and (kinds := members(inner[0])):
        return kinds[0]
    return next(filter(None, map(item_section, inner)), None)


def name_of(kind: type[Config]) -> str:
    """The `name` by which a kind is chosen; empty for a section of one kind."""
    return str(kind.model_fields["name"].default) if issubclass(kind, Kind) else ""


def section_of(field: FieldInfo, value: object = None) -> type[Config] | None:
    """The class of a section such as `optimizer`, of the kind that its `value` names; None for what is no section."""
    kinds = members(field.annotation)
    name = value.get("name") if isinstance(value, Mapping) else None
    return next((kind for kind in kinds if name_of(kind) == name), next(iter(kinds), None))


def fields(model: type[Config], given: object = None, above: str = "") -> dict[str, FieldInfo]:
    """The fields of `model` by dotted key, each section before its keys, of the kinds that the `given` values name.

    Of a list of sections those of the given items: `schedule.0.share`; of a section that is null, none.
    """
    found = {}
    for name, field in model.model_fields.items():
        word = field.alias or name
        found[key := f"{above}{word}"] = field
        value = given.get(word) if isinstance(given, Mapping) else None
        if (section := section_of(field, value)) and not (field.default is None and value is None):
            found |= fields(section, value, f"{key}.")
            if issubclass(section, Kind):
                words = OneOf(*map(name_of, members(field.annotation)))
                found[f"{key}.name"] = FieldInfo.from_annotation(Annotated[str, words])  # type: ignore[arg-type]
        elif isinstance(value, list) and (item := item_section(field.annotation)):
            for number, each in enumerate(value):
                found |= fields(item, each, f"{key}.{number}.")
    return found


def value_at(key: str, given: Any) -> Any:
    """The value of a dotted key; None where there is none."""
    for part in key.split("."):
        if isinstance(given, list | tuple) and part.isdigit():
            given = dict(enumerate(given)).get(int(part))
        else:
            given = given.get(part) if isinstance(given, Mapping) else None
    return given


def defaults(model: type[Config], given: Mapping[str, Any]) -> dict[str, Any]:
    """The default of every key, nested and as plain data; of the kinds that the `given` values name."""
    found = model().model_dump(mode="json", by_alias=True)
    for name, field in model.model_fields.items():
        section = section_of(field, given.get(name))
        if section and field.default is not None and not isinstance(field.default, section):
            found[name] = section().model_dump(mode="json", by_alias=True)
    return found
