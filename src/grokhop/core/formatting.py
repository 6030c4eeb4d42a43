"""Numbers as text, never rounded to a claim that they do not make."""

from grokhop.core.statistics import CellScore


def percent(share: float | None) -> str:
    """A share as text: '99.5 %'. Only all is '100 %' and only none is '0 %': digits are added where rounding lies."""
    if share is None:
        return "–"
    if share <= 1e-9 or share >= 1 - 1e-9:
        return "100 %" if share > 0.5 else "0 %"
    texts = (f"{100 * share:.{digits}f}" for digits in range(1, 9))
    return next(text for text in texts if 0 < float(text) < 100) + " %"


def count(number: float | None) -> str:
    """A number with its thousands apart: '36,106'."""
    return "–" if number is None else f"{number:,.0f}"


def interval(score: CellScore) -> str:
    return "–" if score.low is None else f"{percent(score.low)} to {percent(score.high)}"


def spread(score: CellScore) -> str:
    """The standard deviation over seeds in percentage points."""
    return "–" if score.spread is None else f"{100 * score.spread:.2f}"


def duration(seconds: float) -> str:
    """'9.4 s', '75 s', '12 min' or '3.5 h'."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def unbroken(text: str) -> str:
    """A heading in which no number is parted from its per cent sign."""
    return text.replace(" %", "\u00a0%")


def with_n(score: CellScore) -> str:
    return f"{interval(score)}, n\u00a0=\u00a0{count(score.n)}"
