"""Dates as people write them, each brought to one key and one label.

'March 8, 1975' and '8 March 1975' are one entity with the key `date:1975-03-08` and the label '8 March 1975'.
A key holds what is known: `date:1951-06`, `date:1953`. Years have four digits; a year before Christ has a
minus sign and is the year as written (44 BC is -0044, not the astronomical -0043). A range is
`date:1990/1995`.
"""

import re
from dataclasses import dataclass

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTH = "(?P<month>" + "|".join(f"{m[:3]}(?:{m[3:]})?" if m[3:] else m for m in MONTHS) + r"|Sept)\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:AD )?(?P<year>\d{1,4})(?: ?(?P<era>BCE?|B\.C\.|CE|AD|A\.D\.))?"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        _YEAR,
        f"{_MONTH},? {_YEAR}",
        f"{_DAY}(?: of)? {_MONTH},? {_YEAR}",
        f"{_MONTH} {_DAY},? {_YEAR}",
        f"{_YEAR},? {_MONTH} {_DAY}",
        r"(?P<era>[+-])?(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2})(?:T[\d:.]+Z?)?)?",
    )
)
_DASH = "\N{EN DASH}"
_RANGE = re.compile(r"(.+?) ?(?:[\N{EN DASH}\N{EM DASH}]|-| to ) ?(.+)")


@dataclass(frozen=True, kw_only=True)
class Date:
    """One date: `key` is its identity, `label` is what people read."""

    key: str
    label: str


def canonical(text: str) -> Date:
    """Return the date that `text` writes; one that is not understood is an entity of its own, by its text."""
    text = " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())
    single = _single(text)
    if single:
        return Date(key=f"date:{single[0]}", label=single[1])
    ends = _RANGE.fullmatch(text)
    first, last = (_single(ends[1]), _single(ends[2])) if ends else (None, None)
    if first and last:
        return Date(key=f"date:{first[0]}/{last[0]}", label=f"{first[1]}{_DASH}{last[1]}")
    return Date(key=f"date:{text.casefold()}", label=text)


def is_full_date(text: str) -> bool:
    """Whether `text` is a date with a day or a month, which is nothing else; a number may be a title."""
    single = _single(" ".join(text.split()))
    return single is not None and not single[1].replace(" BC", "").isdecimal()


def _single(text: str) -> tuple[str, str] | None:
    """The ISO form without `date:` and the label, or None."""
    for form in _FORMS:
        found = form.fullmatch(text)
        if found:
            return _forms(found.groupdict())
    return None


def _forms(parts: dict[str, str | None]) -> tuple[str, str] | None:
    year, day = int(parts["year"] or 0), int(parts.get("day") or 0)
    month = _month_number(parts.get("month"))
    if month > 12 or day > 31:
        return None
    before = (parts.get("era") or "").upper().startswith(("B", "-"))
    iso = f"{'-' if before else ''}{year:04d}" + (f"-{month:02d}" if month else "") + (f"-{day:02d}" if day else "")
    words = [
        *([str(day)] if day else []),
        *([MONTHS[month - 1]] if month else []),
        str(year),
        *(["BC"] if before else []),
    ]
    return iso, " ".join(words)


def _month_number(month: str | None) -> int:
    if month is None:
        return 0
    if month.isdecimal():
        return int(month)
    return next(i for i, name in enumerate(MONTHS, 1) if name.lower().startswith(month.lower()[:3]))
