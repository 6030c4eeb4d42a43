"""The answers of a run's models, scored: what 'grokhop eval' writes to `eval.json` and `questions-NAME.json`.

Cells tell by which facts a query is answered: I for one trained in compositions, O for one held out of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from grokhop.core.records import INLINED, OMITTED, Conditions, Record
from grokhop.core.statistics import CellScore
from grokhop.runs.metrics import GrokTime


@dataclass(frozen=True, kw_only=True)
class Miss(Record):
    """A question that was answered wrongly.

    Attributes:
        seed: of the model that missed it; a baseline has none. id: of the question, where it has one.
        answer: None where the question was not understood.
        read: what was read out at each hop. cause: why it was missed, where that is known.
    """

    seed: int | None = field(default=None, metadata=OMITTED)
    id: str | None = field(default=None, metadata=OMITTED)
    question: str
    expected: str
    answer: str | None = None
    read: tuple[str, ...] | None = field(default=None, metadata=OMITTED)
    cause: str | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class Counts(Record):
    """How many questions an endpoint was asked (all that count in scores), and what became of the others.

    Attributes:
        not_asked: for the budget's end. unreadable: among those asked. failed: at the endpoint.
    """

    asked: int
    not_asked: int
    unreadable: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class QuestionScore(Record):
    """EM and F1 of questions by the benchmark's rules (`grokhop.evaluation.qa_metrics.score`).

    Attributes:
        score: of exact answers. parsed: the share that was understood.
        counts: what became of the questions at an endpoint. ambiguous: how many the facts answer in several ways.
        causes: how often each cause was behind a miss.
        baseline: of comparisons, the share that is right whatever is asked.
    """

    score: CellScore = field(metadata=INLINED)
    f1: float | None
    f1_low: float | None = None
    f1_high: float | None = None
    evidence_em: float | None = None
    evidence_f1: float | None
    evidence_f1_low: float | None = None
    evidence_f1_high: float | None = None
    evidence_precision: float | None = None
    evidence_recall: float | None = None
    parsed: float | None
    counts: Counts | None = field(default=None, metadata=INLINED)
    ambiguous: int | None = field(default=None, metadata=OMITTED)
    causes: dict[str, int] | None = field(default=None, metadata=OMITTED)
    misses: tuple[Miss, ...] | None = field(default=None, metadata=OMITTED)
    baseline: float | None = field(default=None, metadata=OMITTED)


Questions = dict[str, dict[str, QuestionScore]]
"""Scores of questions by type and cell."""
Cells = dict[str, dict[str, CellScore]]
"""Scores of queries by hops and cell."""


@dataclass(frozen=True, kw_only=True)
class Floor(Record):
    """The shares of a cell's queries that are right without following a fact (`grokhop.evaluation.floors`).

    Each is None where the cell has no queries.

    Attributes:
        majority: by the commonest tail of the last relation. pair: by the commonest end of the last two relations.
        head: by repeating the head of the query.
    """

    majority: float | None
    pair: float | None
    head: float | None

    @property
    def highest(self) -> float | None:
        """Return the highest of the three."""
        return max((share for share in (self.majority, self.pair, self.head) if share is not None), default=None)

    @property
    def named(self) -> str:
        """Name the rule that reaches the highest in words, the simplest where several do."""
        rules = (
            (self.majority, "the commonest tail of the last relation"),
            (self.pair, "the commonest end of the last two relations"),
            (self.head, "repeating the head"),
        )
        highest = self.highest
        return "" if highest is None else next(name for share, name in rules if share == highest)

    @staticmethod
    def pooled(floors: Iterable[tuple["Floor", int]]) -> "Floor":
        """Return the floor of several cells together, each given with its number of queries."""
        known = [(floor, n) for floor, n in floors if n]

        def share(name: str) -> float | None:
            return sum(getattr(floor, name) * n for floor, n in known) / sum(n for _, n in known) if known else None

        return Floor(majority=share("majority"), pair=share("pair"), head=share("head"))


Floors = dict[str, dict[str, Floor]]
"""Floors of queries by hops and cell."""


@dataclass(frozen=True, kw_only=True)
class ComparisonScore(Record):
    """The score of comparisons of facts in one cell.

    Attributes:
        majority: the share that is right by giving the commonest answer of each operator.
    """

    score: CellScore = field(metadata=INLINED)
    majority: float | None


@dataclass(frozen=True, kw_only=True)
class RuleScore(Record):
    """The scores of a word that stands for a path, and the number of examples that were trained."""

    rule: str
    path: tuple[str, ...]
    examples: int
    id: CellScore
    ood: CellScore


@dataclass(frozen=True, kw_only=True)
class RelationScores(Record):
    """Two-hop scores of a relation as first, as last and as any hop, by cell."""

    relation: str
    first_hop: dict[str, CellScore]
    last_hop: dict[str, CellScore]
    any_hop: dict[str, CellScore] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PairScore(Record):
    """The two-hop score of a pair of relations over all cells."""

    relations: tuple[str, ...]
    score: CellScore = field(metadata=INLINED)


@dataclass(frozen=True, kw_only=True)
class ControlScores(Record):
    """What a control of a run answers, which is asked the same queries: facts on their own, and cells by hops."""

    seeds: int
    atomic: CellScore
    cells: Cells


@dataclass(frozen=True, kw_only=True)
class EvalResult(Record):
    """The content of `eval.json`. A default stands for what earlier versions did not measure.

    Attributes:
        seeds: how many models were asked. control: which control they are, if they are one.
        controls: scores of controls of the run on the same cells, by name.
        atomic: all facts on their own; `atomic_held_out` those held out.
        floors: what is right in each cell of `cells` without following a fact.
        comparison: comparisons of facts by cell, 'id' and 'ood'.
        parsed: the share of all questions that was understood.
        per_relation, per_pair: two-hop queries, the hardest first.
        grok: the grokking times of each seed by name, None where one was not reached.
    """

    seeds: int
    control: str | None = field(default=None, metadata=OMITTED)
    controls: dict[str, ControlScores] = field(default_factory=dict)
    atomic: CellScore
    atomic_held_out: CellScore
    cells: Cells
    never_composed: dict[str, CellScore] = field(default_factory=dict)
    floors: Floors = field(default_factory=dict)
    comparison: dict[str, ComparisonScore] = field(default_factory=dict)
    rules: tuple[RuleScore, ...] = ()
    questions: Questions = field(default_factory=dict)
    parsed: float | None = None
    per_relation: tuple[RelationScores, ...]
    per_pair: tuple[PairScore, ...]
    grok: dict[str, tuple[GrokTime | None, ...]] = field(default_factory=dict)
    train_seconds: tuple[float, ...] = ()
    conditions: Conditions | None = field(default=None, metadata=INLINED)


@dataclass(frozen=True, kw_only=True)
class QuestionFile(Record):
    """A file of questions, and how many of them have their facts in the graph."""

    name: str
    sha256: str
    questions: int
    in_graph: int


@dataclass(frozen=True, kw_only=True)
class FileResult(Record):
    """The content of `questions-NAME.json`: the scores of the questions of a file."""

    seeds: int
    control: str | None = field(default=None, metadata=OMITTED)
    questions: Questions
    parsed: float | None
    file: QuestionFile
    conditions: Conditions | None = field(default=None, metadata=INLINED)
