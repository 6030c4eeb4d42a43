"""The calendar: what every date says by itself, against dates written out by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from grokhop.graph.graph import Entity, Graph, Split
from grokhop.tasks.calendar import DAY, MONTH, UNITS, YEAR, number_of, parts_of, with_calendar
from tests.graphs import built, parted, triples

DATES = ["date:1975-03-08", "date:1951-06", "date:1953", "date:-0044-03-15", "date:-0044", "date:0476-09-04"]
NO_DATES = ["date:1990/1995", "date:circa 1900", "date:", "date:12345", "Paris", "8 March 1975"]


def dated(*keys: str) -> Graph:
    return built((f"p{i}", "born", key) for i, key in enumerate(keys))


def said_of(graph: Graph, key: str) -> dict[str, tuple[str, str]]:
    """The key and label of the year, month and day of a date."""
    ends = {}
    for h, r, t in triples(graph):
        if graph.entities[h].key == key and graph.relations[r] in UNITS:
            assert graph.relations[r] not in ends
            ends[graph.relations[r]] = (graph.entities[t].key, graph.entities[t].label)
    return ends


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("date:1975-03-08", {YEAR: ("date:1975", "1975"), MONTH: ("month:3", "month 3"), DAY: ("day:8", "day 8")}),
        ("date:1951-06", {YEAR: ("date:1951", "1951"), MONTH: ("month:6", "month 6")}),
        ("date:-0044-03-15", {YEAR: ("date:-0044", "44 BC"), MONTH: ("month:3", "month 3"), DAY: ("day:15", "day 15")}),
        ("date:0476-09-04", {YEAR: ("date:0476", "476"), MONTH: ("month:9", "month 9"), DAY: ("day:4", "day 4")}),
    ],
)
def test_a_date_says_as_much_as_was_written_of_it(key: str, expected: dict[str, tuple[str, str]]) -> None:
    assert said_of(with_calendar(dated(key)), key) == expected


@pytest.mark.parametrize("key", ["date:1953", "date:-0044"])
def test_a_date_that_is_a_year_only_ends_in_itself(key: str) -> None:
    assert said_of(with_calendar(dated(key)), key) == {YEAR: (key, key)}


@pytest.mark.parametrize("key", NO_DATES)
def test_what_is_no_single_date_says_nothing(key: str) -> None:
    assert parts_of(key) == {}
    assert said_of(with_calendar(dated(key, "date:1953-01-02")), key) == {}


def test_a_graph_without_dates_stays_as_it_is() -> None:
    graph = dated(*NO_DATES)
    assert with_calendar(graph) is graph


def test_the_old_entities_relations_and_facts_keep_their_ids_and_parts() -> None:
    graph = dated(*DATES, *NO_DATES)
    graph = parted(graph, {("p0", "born"): Split.TEST, ("p3", "born"): Split.VALIDATION})
    larger = with_calendar(graph)
    assert larger.entities[: len(graph.entities)] == graph.entities
    assert larger.relations == (*graph.relations, *UNITS)
    for column in ("head", "relation", "tail", "part", "source"):
        np.testing.assert_array_equal(getattr(larger, column)[: len(graph)], getattr(graph, column))
    assert (larger.part[len(graph) :] == Split.TRAIN).all()


def test_keys_and_labels_stay_unique_where_a_title_is_a_number() -> None:
    graph = dated(*DATES)
    titles = [Entity(key="film", label="1975"), Entity(key="song", label="month 6")]
    larger = with_calendar(replace(graph, entities=(*graph.entities, *titles)))
    for names in ([e.key for e in larger.entities], [e.label for e in larger.entities]):
        assert [name for name, n in Counter(names).items() if n > 1] == []
    assert {"1975 (year)", "month 6 (month)"} <= {e.label for e in larger.entities}


def test_dates_of_one_year_end_in_one_entity() -> None:
    larger = with_calendar(dated("date:1953", "date:1953-05", "date:1953-05-09"))
    ends = {said_of(larger, key)[YEAR] for key in ("date:1953", "date:1953-05", "date:1953-05-09")}
    assert ends == {("date:1953", "date:1953")}


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("date:1953", 1953),
        ("date:-0044", -44),
        ("month:12", 12),
        ("day:31", 31),
        ("date:1953-05", None),
        ("day:night", None),
        ("Q5", None),
    ],
)
def test_years_months_and_days_stand_for_numbers_and_nothing_else_does(key: str, number: int | None) -> None:
    assert number_of(key) == number
