"""Rows and results of benchmarks, as they are shown and as JSON holds them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """One quantity of one contender.

    Attributes:
        name: the quantity.
        median, low, high: of its runs; None where the contender did not come to an end. `low` is the least.
        ratio: how many times the first contender is better than this one. Above 1 the first, ours, is ahead, whether
            less is better (seconds, bytes: theirs / ours) or more (questions per second: ours / theirs). The first has
            ratio 1; it is a lower bound where this one ran out of time at a quantity in seconds.
        reached: whether the contender came to an end; if not, `note` says why.
        runs: all values in their order.
        conditions: text.
    """

    name: str
    contender: str
    median: float | None
    low: float | None
    high: float | None
    unit: str
    ratio: float | None
    reached: bool
    note: str
    runs: list[float | None]
    conditions: str


@dataclass(frozen=True, kw_only=True)
class PeerRow(BenchRow):
    """A time to grok: of each run the rows and answers trained until then, and the best accuracy that was seen."""

    trained_rows: list[int | None]
    trained_answers: list[int | None]
    best: list[float]


@dataclass(frozen=True, kw_only=True)
class ScaleRow(BenchRow):
    """A quantity of a graph of so many facts."""

    facts: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Whether a contender found the same as we did, and in words what."""

    what: str
    same: bool


@dataclass(frozen=True, kw_only=True)
class AnswerAgreement(Agreement):
    """How many answers to all queries are the same."""

    answers: int
    queries: int


@dataclass(frozen=True, kw_only=True)
class CountAgreement(Agreement):
    """A count of paths of so many hops, in all and for each of so many relations."""

    facts: int
    contender: str
    hops: int
    relations: int


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Some benchmarks say more than rows; None where one does not.

    Attributes:
        same: whether contenders agree.
        notes: what was left out.
        exponents: of each quantity over the number of facts.
        peak_gflops: this machine's peak in a matrix product.
    """

    same: list[Agreement] | None = None
    notes: list[str] | None = None
    exponents: dict[str, float] | None = None
    peak_gflops: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """A benchmark, with all that a record needs to be run again.

    Attributes:
        commit: of the code; None where it is in no repository.
        conditions: when, with what and on what it was run (`grokhop.core.artifacts.conditions`).
        threads: of torch; None where it was not at work.
    """

    command: str
    commit: str | None
    conditions: Mapping[str, Any]
    threads: int | None
    rows: list[BenchRow]
    findings: Findings = field(default_factory=Findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the benchmark for JSON, without the findings that it does not have."""
        return {
            "command": self.command,
            "commit": self.commit,
            **self.conditions,
            "torch": {"version": self.conditions["versions"].get("torch"), "threads": self.threads},
            **{name: found for name, found in asdict(self.findings).items() if found is not None},
            "rows": [asdict(row) for row in self.rows],
        }
