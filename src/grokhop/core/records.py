"""Records: frozen dataclasses that go to JSON and come back from it.

A record names its keys once, as fields. `Record` reads the types of the fields, so that records may hold others.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

_HOW = "json"
INLINED = {_HOW: "inlined"}
"""Metadata of a field that holds a record. Its keys stand among the keys around it; None adds no key."""
OMITTED = {_HOW: "omitted"}
"""Metadata of a field that has no key where it is None."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The base of all records; a subclass is a frozen dataclass too."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record for JSON, its keys in the order of its fields."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value, how = getattr(self, field.name), field.metadata.get(_HOW)
            if how is None or (value is not None and how != INLINED[_HOW]):
                found[field.name] = _plain(value)
            elif value is not None:
                found |= _plain(value)
        return found

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Read the record out of a JSON object, which may hold more.

        Raises:
            KeyError: a field has neither a key nor a default. TypeError: something else is no JSON object.
        """
        kinds = _kinds(cls)  # type: ignore[arg-type]  # a class is hashable
        return cls(**{field.name: _field(field, kinds[field.name], record) for field in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Conditions(Record):
    """When, with what and on what a result was made (`grokhop.core.artifacts.conditions`)."""

    created: str
    versions: dict[str, str]
    hardware: dict[str, Any]


@cache
def _kinds(record: type) -> Mapping[str, Any]:
    return get_type_hints(record)


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _field(field: Field[Any], kind: Any, record: Mapping[str, Any]) -> Any:
    """The value of one field, or its default where its keys are missing."""
    try:
        inlined = field.metadata.get(_HOW) == INLINED[_HOW]
        return _read(kind, record if inlined else record[field.name])
    except KeyError:
        if field.name in record or (field.default is MISSING and field.default_factory is MISSING):
            raise
        return field.default if field.default_factory is MISSING else field.default_factory()


def _read(kind: Any, value: Any) -> Any:
    """A JSON value as a value of a type."""
    if hasattr(kind, "from_dict"):
        return kind.from_dict(value)
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return None if value is None else _read_any([one for one in arguments if one is not NoneType], value)
    if get_origin(kind) is tuple:
        return tuple(_read(arguments[0], one) for one in value)
    if get_origin(kind) is list:
        return [_read(arguments[0], one) for one in value]
    if get_origin(kind) in (dict, Mapping):
        return {key: _read(arguments[1], one) for key, one in value.items()}
    return value


def _read_any(kinds: list[Any], value: Any) -> Any:
    """The value as the first of several types whose keys are all there."""
    for kind in kinds[:-1]:
        try:
            return _read(kind, value)
        except KeyError:
            continue
    return _read(kinds[-1], value)
