"""Records: what goes to JSON comes back the same."""

import json
from dataclasses import dataclass, field

import pytest

from grokhop.core.records import INLINED, OMITTED, Record


@dataclass(frozen=True, kw_only=True)
class Point(Record):
    x: int
    y: int


@dataclass(frozen=True, kw_only=True)
class Named(Record):
    name: str


@dataclass(frozen=True, kw_only=True)
class Shape(Record):
    name: str
    centre: Point = field(metadata=INLINED)
    corners: tuple[Point, ...] = ()
    by_name: dict[str, Point | None] = field(default_factory=dict)
    mixed: list[Point | Named] = field(default_factory=list)
    note: str | None = field(default=None, metadata=OMITTED)
    label: Named | None = None


SHAPE = Shape(
    name="a",
    centre=Point(x=0, y=1),
    corners=(Point(x=2, y=3),),
    by_name={"b": Point(x=4, y=5), "c": None},
    mixed=[Named(name="d"), Point(x=6, y=7)],
    note="e",
    label=Named(name="f"),
)


def test_keys_stand_in_the_order_of_the_fields_and_those_of_an_inlined_record_among_them() -> None:
    assert json.dumps(SHAPE.to_dict()) == json.dumps(
        {
            "name": "a",
            "x": 0,
            "y": 1,
            "corners": [{"x": 2, "y": 3}],
            "by_name": {"b": {"x": 4, "y": 5}, "c": None},
            "mixed": [{"name": "d"}, {"x": 6, "y": 7}],
            "note": "e",
            "label": {"name": "f"},
        }
    )


def test_a_record_comes_back_from_json_as_it_was() -> None:
    assert Shape.from_dict(json.loads(json.dumps(SHAPE.to_dict()))) == SHAPE


def test_what_is_none_has_a_key_unless_it_is_to_be_omitted() -> None:
    plain = Shape(name="a", centre=Point(x=0, y=1))
    assert plain.to_dict().keys() == {"name", "x", "y", "corners", "by_name", "mixed", "label"}
    assert Shape.from_dict(plain.to_dict()) == plain


def test_a_missing_key_takes_the_default_of_its_field() -> None:
    assert Shape.from_dict({"name": "a", "x": 0, "y": 1, "more": 2}) == Shape(name="a", centre=Point(x=0, y=1))


@pytest.mark.parametrize("record", [{}, {"name": "a", "x": 0}, {"name": "a", "x": 0, "y": 1, "label": {}}])
def test_a_missing_key_without_a_default_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(KeyError):
        Shape.from_dict(record)
