"""What every date says by itself: its year, month and day, as facts of one more hop.

An order cannot be learned over thousands of dates that occur once; it can be over the few hundred years, twelve months
and thirty-one days that they share. The entity of a year is that of the date of which no more is known, so that a
chain `person / date of birth / year` ends in the same place however much of the date was written.
"""

import re

from grokhop.graph.graph import Entity, Graph

SOURCE = "calendar"
YEAR, MONTH, DAY = "year", "month", "day"
UNITS = (YEAR, MONTH, DAY)
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_DATE = re.compile(r"date:(-?\d{4})(?:-(\d\d))?(?:-(\d\d))?")


def parts_of(key: str) -> dict[str, int]:
    """The numbers that the key of a date holds by their unit; none for what is no single date."""
    found = _DATE.fullmatch(key)
    return {} if found is None else {u: int(n) for u, n in zip(UNITS, found.groups(), strict=True) if n is not None}


def number_of(key: str, label: str = "") -> float | None:
    """The number that an entity stands for: a year, a month or a day, or what is written as a number, '8,336,817'."""
    unit, _, number = key.partition(":")
    if unit in (MONTH, DAY) and number.isdecimal():
        return int(number)
    parts = parts_of(key)
    if parts:
        return parts[YEAR] if list(parts) == [YEAR] else None
    return float(label.replace(",", "")) if _NUMBER.fullmatch(label) else None


def with_calendar(graph: Graph) -> Graph:
    """The graph with the year, month and day of each of its dates; a graph without dates as it is."""
    ids = {entity.key: i for i, entity in enumerate(graph.entities)}
    dates = [(i, parts) for i, entity in enumerate(graph.entities) if (parts := parts_of(entity.key))]
    labels = {entity.label for entity in graph.entities}
    relations = {unit: len(graph.relations) + i for i, unit in enumerate(UNITS)}
    new: list[Entity] = []
    facts = []
    for date, parts in dates:
        for unit, number in parts.items():
            key = _key(unit, number)
            if key not in ids:
                ids[key] = len(graph.entities) + len(new)
                new.append(Entity(key=key, label=_label(unit, number, labels)))
            facts.append((date, relations[unit], ids[key]))
    if not dates:
        return graph
    return graph.extended(facts, source=SOURCE, entities=new, relations=UNITS, observed=True)


def _key(unit: str, number: int) -> str:
    return (
        f"date:{number:05d}"
        if unit == YEAR and number < 0
        else f"date:{number:04d}"
        if unit == YEAR
        else f"{unit}:{number}"
    )


def _label(unit: str, number: int, taken: set[str]) -> str:
    label = (str(number) if number > 0 else f"{-number} BC") if unit == YEAR else f"{unit} {number}"
    return label if label not in taken else f"{label} ({unit})"


def days_since_zero(key: str) -> float | None:
    """Days since the year 0, near enough to tell two lives apart; None for what is no date."""
    parts = parts_of(key)
    return None if not parts else 365.25 * parts[YEAR] + 30.4 * (parts.get(MONTH, 1) - 1) + parts.get(DAY, 1)
