"""The circuit of a run's models: what 'grokhop explain' writes to `explain.json`.

Depths count applied layers, from 0 for the embeddings; positions are those of a query's tokens. Two-hop queries are
looked into, in distribution ('id') and out of it ('ood').
"""

from dataclasses import dataclass, field

from grokhop.core.records import INLINED, OMITTED, Conditions, Record


@dataclass(frozen=True, kw_only=True)
class OddAnswer(Record):
    """An answer that is right for the wrong reason: the query, what was named on the way, and the answer."""

    seed: int | None = field(default=None, metadata=OMITTED)
    query: tuple[str, ...]
    named: tuple[str, ...]
    answer: str


@dataclass(frozen=True, kw_only=True)
class Faithfulness(Record):
    """How often answers are right, and how often for the right reason.

    Attributes:
        right_and_named: right for the right reason. named_and_wrong: all bridges named, and yet another answer.
        bridge_named: the share of right answers with the right reason; None where nothing can be said.
        right_for_wrong_reason: some of the others.
    """

    n: int
    right: int
    right_and_named: int
    named_and_wrong: int
    bridge_named: float | None = None
    right_for_wrong_reason: tuple[OddAnswer, ...]


@dataclass(frozen=True, kw_only=True)
class LensRow(Record):
    """How far a place names the end of each hop: mean probability and median rank."""

    depth: int
    position: int
    probability: tuple[float, ...]
    rank: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Patched(Record):
    """The share of the logit difference that one place brings back by itself."""

    depth: int
    position: int
    head: int | None = field(default=None, metadata=OMITTED)
    restored: float


@dataclass(frozen=True, kw_only=True)
class Patching(Record):
    """Causal tracing with one token corrupted, of `n` pairs: a map for each part of the model."""

    corrupted: int
    n: int
    residual: tuple[Patched, ...]
    attention: tuple[Patched, ...]
    mlp: tuple[Patched, ...]
    heads: tuple[Patched, ...]

    def part(self, name: str) -> tuple[Patched, ...]:
        """Return the map of a part, 'residual' to 'heads'."""
        found: tuple[Patched, ...] = getattr(self, name)
        return found


@dataclass(frozen=True, kw_only=True)
class BridgePlace(Record):
    """Where the bridge is found."""

    depth: int
    position: int


@dataclass(frozen=True, kw_only=True)
class CarriedOver(Record):
    """Cross-query patching of `n` triples; shares are None where there are none.

    Attributes:
        restored: the share of the logit difference. answered: the share whose answer it becomes.
    """

    n: int = 0
    restored: float | None = None
    answered: float | None = None


@dataclass(frozen=True, kw_only=True)
class Ablation(Record):
    """The shares of `n` queries that are right without the `bridge`, and without the `second` entity there.

    Attributes:
        second_leads_there: the share of which a fact leads from the second to a right answer as well.
    """

    n: int = 0
    bridge: float | None = None
    second: float | None = None
    second_leads_there: float | None = None


@dataclass(frozen=True, kw_only=True)
class CellCircuit(Record):
    """All measures of one set of queries; the last three are None where too few are answered rightly."""

    score: Faithfulness
    lens: tuple[LensRow, ...]
    trace: tuple[Patching, ...]
    bridge: BridgePlace | None
    carried_over: CarriedOver | None
    ablation: Ablation | None


@dataclass(frozen=True, kw_only=True)
class BridgeReading(Record):
    """How far a depth names the bridge at its position: mean probability and median rank."""

    depth: int
    probability: float
    rank: float


@dataclass(frozen=True, kw_only=True)
class Formed(Record):
    """How far a snapshot is with one set of queries.

    Attributes:
        restored: what the bridge's place brings back; None where too few pairs are answered rightly.
    """

    accuracy: float | None
    bridge: tuple[BridgeReading, ...]
    restored: float | None


@dataclass(frozen=True, kw_only=True)
class Formation(Record):
    """How far a snapshot is with each set of queries; a set without queries has no key."""

    seed: int
    step: int
    train: Formed | None = field(default=None, metadata=OMITTED)
    id: Formed | None = field(default=None, metadata=OMITTED)
    ood: Formed | None = field(default=None, metadata=OMITTED)

    def of(self, name: str) -> Formed | None:
        """Return the measures of the set 'train', 'id' or 'ood', if there are any."""
        found: Formed | None = getattr(self, name)
        return found


@dataclass(frozen=True, kw_only=True)
class SeedCircuit(Record):
    """The circuit in the model of one seed."""

    seed: int
    id: CellCircuit
    ood: CellCircuit
    formation: tuple[Formation, ...] = ()

    def of(self, name: str) -> CellCircuit:
        """Return the measures of the set 'id' or 'ood'."""
        return self.ood if name == "ood" else self.id


@dataclass(frozen=True, kw_only=True)
class Candidate(Record):
    """An entity that a place may read out."""

    entity: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class PlaceReading(Record):
    """A place of a single query, with what it would read out, the likeliest first."""

    depth: int
    position: int
    token: str = ""
    top: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class QueryCircuit(Record):
    """A single query, looked into in the model of one seed."""

    text: str = ""
    seed: int
    query: tuple[str, ...]
    expected: tuple[str, ...]
    places: tuple[PlaceReading, ...]
    trace: tuple[Patching, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MeasureResult(Record):
    """What a registered measure (`grokhop.interpretability.measures`) found in one set, 'id' or 'ood', of a seed."""

    measure: str
    seed: int
    asked: str
    found: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Explanation(Record):
    """The content of `explain.json`.

    Attributes:
        bridge_named: out of distribution, the share of right answers with the right reason.
        asked: the set that `patching` is about, 'id' or 'ood'.
        patching: by place of the residual stream, what it restores of a corrupted head.
        formation: of all seeds. queries: those that were asked for.
        measures: what registered measures found; none where none is registered.
    """

    bridge_named: float | None = None
    right_for_wrong_reason: tuple[OddAnswer, ...] = ()
    asked: str
    patching: dict[str, float] = field(default_factory=dict)
    formation: tuple[Formation, ...]
    seeds: tuple[SeedCircuit, ...]
    queries: tuple[QueryCircuit, ...]
    measures: tuple[MeasureResult, ...] = ()
    conditions: Conditions | None = field(default=None, metadata=INLINED)
