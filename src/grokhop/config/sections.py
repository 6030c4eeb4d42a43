"""How a section of settings is declared: a frozen dataclass that pydantic checks, with a docstring for each field."""

from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def section(cls: type[T]) -> type[T]:
    """Make a class a section: unknown names and values of another kind are refused, numbers are never rounded."""
    rules = ConfigDict(extra="forbid", use_attribute_docstrings=True, validate_default=True)
    made: Any = dataclass(cls, frozen=True, kw_only=True, config=rules)
    return cast("type[T]", made)
