"""Patterns: whether what a paper says that happens shows in the figures of a reproduction.

A published accuracy is of another size and cannot be met to the digit; how accuracies come one after the other can.
A recipe names claims, and each is decided here from figures alone, the same way for every recipe.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grokhop.core.records import Record
from grokhop.core.statistics import CellScore

DELAYED = 2.0
"""ID queries need at least so many times the steps of training queries for 'long before'."""
LOW, HIGH = 0.2, 0.9
"""OOD accuracies up to the one stay low, from the other on they are high."""

Verdict = tuple[bool | None, str]
"""Whether a claim shows (None where nothing was asked that could tell), and the numbers that say so."""


@dataclass(frozen=True, kw_only=True)
class PatternFigures:
    """The figures that decide a claim.

    Attributes:
        train_99_steps, id_95_steps: of each seed; None where the mark was not reached.
        look_every: steps between two looks at them.
        ood: the score of the OOD queries.
    """

    train_99_steps: Sequence[float | None]
    id_95_steps: Sequence[float | None]
    look_every: int
    ood: CellScore


@dataclass(frozen=True, kw_only=True)
class DecidedClaim(Record):
    """A claim of a recipe, what it says, whether it shows, and because of which numbers."""

    claim: str
    certainty: str
    where: str
    says: str
    shows: bool | None
    because: str


@dataclass(frozen=True, kw_only=True)
class Pattern(Record):
    """The claims of a recipe, and whether all of them show together; None where that cannot be told."""

    shows: bool | None
    claims: list[DecidedClaim]


def verdict(claims: Sequence[dict[str, str]], ours: PatternFigures) -> Pattern:
    """Decide the claims of a recipe (`Recipe.pattern`)."""
    decided = [_decided(claim, ours) for claim in claims]
    found = [claim.shows for claim in decided]
    return Pattern(shows=False if False in found else None if None in found else True, claims=decided)


def _decided(claim: dict[str, str], ours: PatternFigures) -> DecidedClaim:
    says, decide = CLAIMS[claim["claim"]]
    shows, because = decide(ours)
    return DecidedClaim(**claim, says=says, shows=shows, because=because)


def delays(ours: PatternFigures) -> list[float | None]:
    """Of each seed, the least that steps to 95 % of ID queries can be for each step to 99 % of training.

    Both are known to the look at which they were first seen. None where one was not reached.
    """
    steps = zip(ours.train_99_steps, ours.id_95_steps, strict=True)
    return [None if train is None or id_ is None else (id_ - ours.look_every) / train for train, id_ in steps]


def _memorised(ours: PatternFigures) -> Verdict:
    steps = ours.train_99_steps
    return None not in steps, f"steps to 99 % of training: {_listed(steps)}"


def _late_id(ours: PatternFigures) -> Verdict:
    found = delays(ours)
    shows = all(ratio is not None and ratio >= DELAYED for ratio in found)
    steps = f"{_memorised(ours)[1]}; to 95 % of ID: {_listed(ours.id_95_steps)}"
    return shows, f"{steps}; at least so many times as many: {_listed(found)}; {DELAYED:g} or more counts as long"


def _ood_low(ours: PatternFigures) -> Verdict:
    return _ood(ours, lambda accuracy: accuracy <= LOW, f"{_percent(LOW)} or less counts as low")


def _ood_high(ours: PatternFigures) -> Verdict:
    return _ood(ours, lambda accuracy: accuracy >= HIGH, f"{_percent(HIGH)} or more counts as high")


def _ood_rises(ours: PatternFigures) -> Verdict:
    return _ood(ours, lambda accuracy: accuracy > LOW, f"more than {_percent(LOW)} counts as risen")


def _ood(ours: PatternFigures, wanted: Callable[[float], bool], counts: str) -> Verdict:
    score = ours.ood
    if score.accuracy is None:
        return None, "no OOD query was asked"
    accuracy, low, high = map(_percent, (score.accuracy, score.low or 0.0, score.high or 0.0))
    return wanted(score.accuracy), f"OOD accuracy {accuracy} ({low} to {high}, n {score.n:,}); {counts}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _listed(numbers: Sequence[float | None]) -> str:
    return ", ".join("never" if n is None else f"{n:,.3g}" if n < 100 else f"{n:,.0f}" for n in numbers)


CLAIMS: dict[str, tuple[str, Callable[[PatternFigures], Verdict]]] = {
    "memorised": ("what was trained is answered", _memorised),
    "late_id": ("what was trained is answered long before ID queries are", _late_id),
    "ood_low": ("OOD queries stay unanswered", _ood_low),
    "ood_high": ("OOD queries are answered", _ood_high),
    "ood_rises": ("OOD queries do not stay unanswered", _ood_rises),
}
"""By name: what it says, and what decides it in every seed, or over all of them."""
