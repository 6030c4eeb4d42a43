"""Rows and results of benchmarks, as they are shown and as JSON holds them."""

from dataclasses import dataclass, field

from grokhop.core.records import INLINED, OMITTED, Conditions, Record


@dataclass(frozen=True, kw_only=True)
class BenchRow(Record):
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
class Agreement(Record):
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
class Findings(Record):
    """Some benchmarks say more than rows; None where one does not.

    Attributes:
        same: whether contenders agree.
        notes: what was left out.
        exponents: of each quantity over the number of facts.
        peak_gflops: this machine's peak in a matrix product.
    """

    same: list[Agreement] | None = field(default=None, metadata=OMITTED)
    notes: list[str] | None = field(default=None, metadata=OMITTED)
    exponents: dict[str, float] | None = field(default=None, metadata=OMITTED)
    peak_gflops: float | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class Torch(Record):
    """The version of torch, None where it is not installed, and its threads, None where it was not at work."""

    version: str | None
    threads: int | None


@dataclass(frozen=True, kw_only=True)
class BenchResult(Record):
    """A benchmark, with all that a record needs to be run again.

    Attributes:
        commit: of the code; None where it is in no repository.
    """

    command: str
    commit: str | None
    conditions: Conditions = field(metadata=INLINED)
    torch: Torch
    findings: Findings = field(default_factory=Findings, metadata=INLINED)
    rows: list[BenchRow]
